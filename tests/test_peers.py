"""The steps of other tools that captures are compared with, and what the page says about them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from pages import ROOT
from torch import Tensor, nn
from torch.nn import functional

from benchmarks import peers
from benchmarks.measuring import interval
from benchmarks.overhead import KINDS, Case
from benchmarks.peer_steps import (
    GROUPED,
    PEERS,
    UNCHANGED,
    Peer,
    grouped,
    kept_gradients,
    layers_of,
    nodes_of,
)
from benchmarks.performance_peers import RIVALS, memory_lines, peer_lines
from gradlens.hooks.watcher import Watcher
from gradlens.metrics import cka, hsic_matrix


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """Measurements set the number of threads of the process."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


OURS = [name for name, peer in PEERS.items() if not peer.package]


class Small(nn.Module):
    """A convolutional network with a sum in place, like many of timm."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.second = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8))
        self.head = nn.Linear(8, 10)

    def forward(self, images: Tensor) -> Tensor:
        features = self.first(images)
        changed = self.second(features)
        changed += features
        return self.head(functional.relu_(changed).mean((2, 3)))


class SmallCase(Case):
    """A small network on a batch."""

    def network(self) -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return Small()

    def data(self) -> tuple[Tensor, Tensor]:
        images = torch.randn(self.batch, 3, self.size, self.size, generator=torch.Generator().manual_seed(0))
        return images, torch.arange(self.batch) % 10


SMALL = SmallCase("small", 4, 8)


@pytest.mark.parametrize("name", [name for name in OURS if name != "module hooks"])
def test_a_step_without_other_packages_runs_twice(name: str) -> None:
    run = PEERS[name].step(SMALL.network(), *SMALL.data())
    run()
    run()


def test_a_step_leaves_the_network_of_the_others_as_it_is() -> None:
    model, data = SMALL.network(), SMALL.data()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    for name in OURS:
        PEERS[name].step(model, *data)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._backward_hooks for module in model.modules())
    assert any(isinstance(module, nn.BatchNorm2d) for module in model.modules())


def test_the_hooks_are_at_every_operation_of_the_graph() -> None:
    first, second = nn.Linear(3, 4), nn.Linear(4, 2)
    loss = functional.cross_entropy(second(first(torch.randn(5, 3)).relu()), torch.zeros(5, dtype=torch.long))
    names = [node.name() for node in nodes_of(loss)]
    # transposed weights are operations too: one per linear layer
    assert sorted(set(names)) == [
        "AddmmBackward0",
        "LogSoftmaxBackward0",
        "NllLossBackward0",
        "ReluBackward0",
        "TBackward0",
    ]
    assert len(names) == 7


def test_each_batch_norm_becomes_a_group_norm_that_keeps_samples_apart() -> None:
    model = grouped(SMALL.network())
    assert sum(isinstance(module, nn.GroupNorm) for module in model.modules()) == 2
    assert not any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    images, _ = SMALL.data()
    assert torch.allclose(model(images)[:1], model(images[:1]), atol=1e-6)


def test_the_activation_inside_a_norm_of_timm_is_kept() -> None:
    from timm.layers import BatchNormAct2d

    model = grouped(nn.Sequential(BatchNormAct2d(6, act_layer=nn.ReLU)))
    assert bool((model(torch.randn(2, 6, 4, 4)) >= 0).all())
    (norm,) = [module for module in model.modules() if isinstance(module, nn.GroupNorm)]
    assert norm.num_groups == 2  # the first of the list that divides 6


def test_steps_that_raise_and_missing_packages_have_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = Peer("a tool", lambda model, images, labels: lambda: None, "no-such-distribution-at-all")
    chosen = {name: PEERS[name] for name in (UNCHANGED, GROUPED, "signals", "module hooks")} | {
        "missing": missing
    }
    monkeypatch.setattr(peers, "PEERS", chosen)
    row = peers.measure(SMALL, 1e-6)
    assert set(row["steps"]) == {"signals", "module hooks", "missing"}
    assert "modified inplace" in row["steps"]["module hooks"]["reason"]
    assert row["steps"]["missing"] == {
        "version": None,
        "reason": "no-such-distribution-at-all is not installed",
    }
    assert row["steps"]["signals"]["processor"]["pairs"] == peers.ROUNDS["least"]
    assert set(row["plain"]) == {UNCHANGED, GROUPED}


def test_a_reason_is_one_short_line() -> None:
    line = peers.reason(ValueError("first\nsecond " * 200))
    assert line.startswith("ValueError: first second first")
    assert "\n" not in line
    assert len(line) < peers.LONGEST + 20


def test_slow_steps_run_in_fewer_rounds() -> None:
    first = {"quick": 0.1, "slow": 1.0, "slower": 3.0, "slowest": 60.0}
    assert peers.counts(first, 4.0) == {"quick": 6, "slow": 4, "slower": 3, "slowest": 1}


def test_cases_are_chosen_by_their_whole_name_or_a_part_of_it() -> None:
    assert [case.key for case in peers.cases("resnet50 8x96")] == ["resnet50 8x96"]
    assert {case.model for case in peers.cases("resnet50")} == {"resnet50", "cspresnet50"}
    assert len(peers.cases()) == len(peers.MODELS) * len(peers.SIZES)
    every = {(case.model, case.batch, case.size) for case in peers.cases()}
    assert set(peers.AT_PEAK) <= every


def test_every_package_of_a_step_is_in_the_requirements_and_none_names_a_host() -> None:
    text = (ROOT / "benchmarks" / "peers.txt").read_text("utf-8")
    listed = {
        re.split(r"[\[<>=~ #]", line)[0] for line in text.splitlines() if line and not line.startswith("#")
    }
    assert {peer.package for peer in PEERS.values() if peer.package} == listed
    assert "//" not in text


def test_every_tool_has_a_step_of_gradlens_with_the_same_base() -> None:
    assert set(RIVALS) == {name for name, peer in PEERS.items() if peer.package or name == "module hooks"}
    for name, rival in RIVALS.items():
        assert PEERS[name].base == PEERS[rival].base


def test_the_kept_gradients_are_those_of_the_signals() -> None:
    """The tool and gradlens compare the same gradients, so both find the same CKA."""
    model, data = SMALL.network(), SMALL.data()
    kept = torch.stack([gradient @ gradient.T for gradient in kept_gradients(model, *data)][::-1])
    assert len(kept) == len(layers_of(model))
    state, watched = Watcher(model, KINDS["signals"]).first(data)
    ours = cka(hsic_matrix(watched.grams.grams[list(state.plan.signals)][:, None]))
    theirs = cka(hsic_matrix(kept.double().numpy()[:, None]))
    assert ours == pytest.approx(theirs, abs=1e-4)


def result(ratio: float) -> dict[str, Any]:
    return {"version": "1.0", "processor": interval([ratio] * 6), "wall": interval([ratio] * 6)}


def document(signals: float, chosen: float) -> dict[str, Any]:
    """Return saved results of one case."""
    steps = {
        name: {"version": "", "reason": "RuntimeError: no `view`"}
        for name in PEERS
        if name not in (UNCHANGED, GROUPED)
    }
    steps |= {"signals": result(signals), "torchlens, chosen": result(chosen)}
    seconds = {"processor": 1.0, "wall": 2.0}
    row = {"model": "net", "batch": 4, "size": 8, "plain": dict.fromkeys((UNCHANGED, GROUPED), seconds)}
    return {"rows": {"net 4x8": {**row, "steps": steps, "others": 0.0}}}


@pytest.mark.parametrize(
    ("signals", "chosen", "words"), [(1.5, 1.2, "longer in 1 of 1"), (1.1, 4.4, "longer in 0 of 1")]
)
def test_the_page_says_where_gradlens_takes_longer(signals: float, chosen: float, words: str) -> None:
    text = "\n".join(peer_lines(document(signals, chosen)))
    (line,) = [line for line in text.splitlines() if words in line]
    assert f"takes {signals / chosen:.2f} to {signals / chosen:.2f} times as long" in line
    assert ("most: net at 8 px" in line) is (signals > chosen)
    assert "`RuntimeError: no view`" in text
    assert f"{chosen:.2f} [{chosen:.2f}, {chosen:.2f}], {chosen:.2f}" in text


def test_memory_is_compared_with_the_plain_step_of_the_same_network() -> None:
    values: dict[str, Any] = dict.fromkeys(PEERS, "not installed") | {
        UNCHANGED: 100,
        "all": 101,
        GROUPED: 200,
        "opacus": 300,
    }
    text = "\n".join(
        memory_lines({"rows": {"net": {"model": "net", "batch": 4, "size": 8, "bytes": values}}})
    )
    assert f"| {PEERS['all'].title} | 1.01 |" in text
    assert f"| {PEERS['opacus'].title} | 1.50 |" in text
    assert f"| {PEERS['graphyco'].title} | does not run |" in text
