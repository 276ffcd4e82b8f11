"""Stages that are found by the shapes of their blocks: flat lists, sequences without a usual name, necks, taps."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional

import gradlens as gl
from gradlens.errors import GradlensError
from gradlens.models.cross_stage import StageNotCut
from gradlens.models.finding import stages_by_shape
from gradlens.models.stage import CspStage


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Module:
    layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.SiLU())


class Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int | None = None) -> None:
        super().__init__()
        self.one, self.two = conv(inputs, inputs // 2, 1), conv(inputs // 2, outputs or inputs)
        self.add = outputs is None

    def forward(self, x: Tensor) -> Tensor:
        y = self.two(self.one(x))
        return x + y if self.add else y


class Flat(nn.Module):
    """A list of modules that name the modules they read, as the networks of ultralytics are written."""

    def __init__(self, *rows: tuple[int | list[int], nn.Module]) -> None:
        super().__init__()
        self.model = nn.Sequential(*(module for _, module in rows))
        for index, (module, (reads, _)) in enumerate(zip(self.model, rows, strict=True)):
            module.f, module.i = reads, index

    def forward(self, x: Tensor) -> Tensor:
        outputs: list[Tensor] = []
        for module in self.model:
            reads = module.f if isinstance(module.f, list) else [module.f]
            inputs = [x if not outputs and j == -1 else outputs[j] for j in reads]
            outputs.append(module(inputs if len(inputs) > 1 else inputs[0]))
        return outputs[-1]


class Join(nn.Module):
    def forward(self, x: list[Tensor]) -> Tensor:
        first, second = x
        return torch.cat([functional.interpolate(first, size=second.shape[2:]), second], 1)


class Head(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.mean((2, 3)))


PAGE = Path(__file__).parents[2] / "docs" / "csp.md"
IMAGE = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(2))


def detector() -> Flat:
    return Flat(
        (-1, conv(3, 8, stride=2)),
        (-1, Residual(8)),
        (-1, conv(8, 16, stride=2)),
        (-1, nn.Sequential(Residual(16), Residual(16))),
        (-1, conv(16, 32, stride=2)),
        (-1, Residual(32)),
        (-1, Residual(32)),
        ([-1, 3], Join()),
        (-1, Residual(48, 16)),
        (-1, Residual(16)),  # of the neck
        (-1, Head(16)),
    )


def csp_stages(model: nn.Module) -> list[str]:
    return [path for path, module in model.named_modules() if isinstance(module, CspStage)]


def check(model: nn.Module, size: int = 32) -> None:
    """Capture a network: the sums at forks and splits are verified; every weight gets a gradient."""
    torch.manual_seed(0)
    images, labels = torch.rand(4, 3, size, size), torch.arange(4) % 5
    recording = gl.capture(model, [(images, labels)], costs=False)
    cuts = [group for group in recording.plan.groups if group.where == "split" and ".cut" in group.site]
    assert len(cuts) == len(csp_stages(model))
    for index, group in enumerate(recording.plan.groups):
        assert group.total is None or recording.dry_errors[index] == 0
    functional.cross_entropy(model.train()(images), labels).backward()
    assert all(p.grad is not None for p in model.parameters())


def found(model: nn.Module) -> list[tuple[str, int]]:
    return [
        (stage.path, len(stage.rest)) for stage in stages_by_shape(model.eval(), IMAGE) if not stage.reason
    ]


def test_the_blocks_between_the_strided_convolutions_of_a_flat_list_are_stages() -> None:
    model = detector()
    assert found(model) == [("model.1", 0), ("model.3", 0), ("model.5", 1)]
    cut = gl.cspify(model.train(), seed=0)
    assert csp_stages(cut) == ["model.1", "model.3", "model.5"]
    check(cut)


def test_the_neck_is_not_cut_and_finds_the_modules_it_reads() -> None:
    cut = gl.cspify(detector(), seed=0)
    assert [type(module) for module in (cut.model[6], cut.model[9])] == [nn.Identity, Residual]
    assert [(module.f, module.i) for module in cut.model[5:8]] == [(-1, 5), (-1, 6), ([-1, 3], 7)]
    assert cut(torch.rand(2, 3, 32, 32)).shape == (2, 5)


def test_a_run_ends_where_another_part_reads_it() -> None:
    model = detector()
    model.model[7].f = [-1, 5]  # the output of the first of two blocks
    model.model[8] = Residual(64, 16)
    model.model[8].f, model.model[8].i = -1, 8
    assert ("model.5", 0) in found(model)
    check(gl.cspify(model, seed=0))


@pytest.mark.parametrize("gamma", [0, 0.25, 0.5])
@pytest.mark.parametrize("strategy", ["fusion_first", "fusion_last", "csp"])
def test_every_strategy_runs_on_a_flat_list(strategy: str, gamma: float) -> None:
    cut = gl.cspify(detector(), strategy, gamma=gamma, seed=0)
    assert cut(IMAGE.repeat(2, 1, 1, 1)).shape == (2, 5)
    assert len(csp_stages(cut)) == 3


def test_without_a_cut_the_blocks_of_a_run_are_those_of_the_network() -> None:
    """γ = 0 without its transitions is the network itself: the blocks run in the same order on the same values."""
    model = detector().eval()
    cut = gl.cspify(model, "fusion_last", gamma=0, seed=0).eval()
    for stage in cut.modules():
        if isinstance(stage, CspStage):
            stage.transition = nn.Identity()
            stage.forward = lambda x, stage=stage: stage.blocks(stage.lead(x))  # type: ignore[method-assign]
    torch.testing.assert_close(cut(IMAGE), model(IMAGE), rtol=0, atol=0)


def test_blocks_that_change_their_width_are_named_in_a_warning() -> None:
    model = detector()
    model.model[1], model.model[2] = Residual(8, 12), conv(12, 16, stride=2)
    for index in (1, 2):
        model.model[index].f, model.model[index].i = -1, index
    with pytest.warns(StageNotCut, match=r"model\.1: it changes its width inside \(8 to 12 channels\)"):
        cut = gl.cspify(model, seed=0)
    assert csp_stages(cut) == ["model.3", "model.5"]


def test_a_network_of_width_changing_blocks_is_an_error_that_says_so() -> None:
    model = nn.Sequential(conv(3, 8), Residual(8, 16), nn.MaxPool2d(2), Residual(16, 32), Head(32))
    with pytest.raises(
        GradlensError, match=r"1: it changes its width inside \(8 to 16 channels\); 3: it changes"
    ):
        gl.cspify(model)


def test_attention_in_a_flat_list_is_an_error_that_says_so() -> None:
    class Attending(Residual):
        num_heads = 2

    model = Flat((-1, conv(3, 8, stride=2)), (-1, Attending(8)), (-1, Head(8)))
    with pytest.raises(GradlensError, match=r"model\.1: .*is attention, whose width cannot change"):
        gl.cspify(model)


def test_a_block_named_by_its_path_is_cut_as_a_whole() -> None:
    cut = gl.cspify(detector(), stages="model.3,model.9", seed=0)
    assert csp_stages(cut) == ["model.3", "model.9"]
    check(cut)


class Halves(nn.Module):
    """A block that cuts its own channels in two equal parts, so that only even widths fit."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.expand, self.inner, self.mix = (
            conv(width, width, 1),
            conv(width // 2, width // 2),
            conv(width, width, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.expand(x).chunk(2, 1)
        return self.mix(torch.cat([first, self.inner(second)], 1))


def test_a_gamma_that_a_block_cannot_be_rounded_to_is_an_error_that_says_what_to_do() -> None:
    model = Flat((-1, conv(3, 16, stride=2)), (-1, Halves(16)), (-1, Head(16)))
    check(gl.cspify(model, gamma=0.25, seed=0))
    with pytest.raises(
        GradlensError, match=r"cannot be rounded alike; use another gamma, such as 0\.5 or 0\.25"
    ):
        gl.cspify(model, gamma=0.3, seed=0)  # 11 of 16 channels enter the block


@pytest.mark.parametrize("width", [8, 12])
def test_sequences_of_plain_convolutions_are_stages(width: int) -> None:
    stage = nn.Sequential(conv(width, width), conv(width, width))
    model = nn.Sequential(conv(3, width, stride=2), stage, conv(width, 16, stride=2), Head(16))
    assert found(model) == [("1", 0)]
    check(gl.cspify(model, seed=0))


TORCHVISION: dict[str, tuple[list[str], dict[str, Any]]] = {
    "regnet_y_400mf": ([f"trunk_output.block{n}" for n in (2, 3, 4)], {}),
    "efficientnet_b0": ([f"features.{n}" for n in (2, 3, 4, 5, 6)], {}),
    "mobilenet_v2": ([f"features.{n}" for n in (3, 5, 8, 12, 15)], {}),
    "mobilenet_v3_small": ([f"features.{n}" for n in (3, 5, 8, 10)], {}),
    "shufflenet_v2_x0_5": (["stage2", "stage3", "stage4"], {}),
    "mnasnet0_5": ([f"layers.{n}" for n in (8, 9, 10, 11, 12)], {}),
    "convnext_tiny": ([f"features.{n}" for n in (1, 3, 5, 7)], {}),
    "resnet18": ([f"layer{n}" for n in (1, 2, 3, 4)], {}),
    "densenet121": ([f"features.denseblock{n}" for n in (1, 2, 3, 4)], {}),
}
"""Stages that are found in the networks of torchvision without being named."""


@pytest.mark.parametrize("name", TORCHVISION)
def test_stages_of_torchvision_are_found_and_captured(name: str) -> None:
    stages, options = TORCHVISION[name]
    model = torchvision.models.get_model(name, weights=None, num_classes=5, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StageNotCut)
        cut = gl.cspify(model, seed=0)
    assert csp_stages(cut) == stages
    check(cut)


def test_the_body_of_a_torchvision_detector_is_cut_inside_the_detector() -> None:
    weights = {"weights": None, "weights_backbone": None}
    model = torchvision.models.get_model("ssdlite320_mobilenet_v3_large", num_classes=4, **weights)
    cut = gl.cspify(model, seed=0).train()
    paths = csp_stages(cut)
    assert len(paths) == 6
    assert all(path.startswith("backbone.features.") for path in paths)
    target = {"boxes": torch.tensor([[4.0, 4.0, 40.0, 40.0]]), "labels": torch.tensor([1])}
    losses = cut([torch.rand(3, 64, 64)] * 2, [target] * 2)
    sum(losses.values()).backward()
    cuts = [cut.get_submodule(path) for path in paths]
    assert all(p.grad is not None for stage in cuts for p in stage.parameters())


@pytest.mark.parametrize("name", TORCHVISION)
def test_the_page_lists_the_stages_that_are_found(name: str) -> None:
    stages = ", ".join(f"`{stage}`" for stage in TORCHVISION[name][0])
    assert f"| `{name}` | {stages} |" in PAGE.read_text(encoding="utf-8")
