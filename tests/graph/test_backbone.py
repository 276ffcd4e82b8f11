"""The modules of a backbone, and the time that they take."""

from __future__ import annotations

import time

import pytest
import torch
from torch import nn

from gradlens.catalogue.losses import BOTH, FORWARD, FORWARD_OF_BACKBONE
from gradlens.graph.backbone import backbone_modules
from gradlens.graph.owners import OUTSIDE, Owner
from gradlens.hooks import timing


def modules(**stages: str) -> frozenset[str]:
    """Return the backbone of modules (with ``__`` as the dot) in these stages."""
    owners = [Owner(path.replace("__", "."), 0) for path in stages]
    return backbone_modules([*owners, OUTSIDE], [*stages.values(), "loss"])


def test_a_module_with_operations_of_another_part_does_not_belong_to_the_backbone() -> None:
    found = modules(body__stem="4", body__layer1="8", body="8", fpn__top="neck 8 top-down", head="head 8 box")
    assert found == {"body", "body.stem", "body.layer1"}
    found = modules(model__0="4", model__1="8", model__2="neck 8 top-down", model__3="head")
    assert found == {"model.0", "model.1"}  # `model` contains the neck, too
    found = modules(blocks__0="blocks.0", blocks__1="blocks.1", up="neck 8 top-down", head="head 8")
    assert found == {"blocks", "blocks.0", "blocks.1"}  # of one resolution, named by block


@pytest.mark.parametrize(
    "stages", [{"a": "4", "b": "8", "fc": "head"}, {"blocks__0": "head"}, {"b__0": "b.0", "b__1": "b.1"}]
)
def test_a_network_that_is_a_backbone_and_a_head_has_no_part_to_time(stages: dict[str, str]) -> None:
    assert modules(**stages) == frozenset()


class Sleeper(nn.Module):
    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds, self.scale = seconds, nn.Parameter(torch.ones(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        time.sleep(self.seconds)
        return x * self.scale


def test_the_backbone_is_timed_from_its_first_module_to_its_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is one that only the modules move: two seconds before, one and two inside, five after the backbone."""
    now = [0.0]
    monkeypatch.setattr(time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    net = nn.Sequential(*map(Sleeper, (2.0, 1.0, 2.0, 5.0)))
    speeds = timing.passes(net, lambda x: net(x).sum(), torch.ones(4, 1), 4, 2, backbone={"1", "2"})
    assert speeds == {FORWARD: [0.4, 0.4], BOTH: [0.4, 0.4], FORWARD_OF_BACKBONE: [4 / 3, 4 / 3]}
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


def test_without_a_backbone_that_runs_the_passes_are_timed_as_before() -> None:
    net = nn.Sequential(nn.Linear(1, 1))
    for backbone in ((), {"absent"}):
        speeds = timing.passes(net, lambda x: net(x).sum(), torch.ones(4, 1), 4, 1, backbone)
        assert set(speeds) == {FORWARD, BOTH}
