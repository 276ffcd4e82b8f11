"""Each transition strategy against its program in figure 3 of the paper, written out by hand."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from gradlens.catalogue.transitions import STRATEGIES
from gradlens.errors import GradlensError
from gradlens.models import TRANSITIONS
from gradlens.models.stage import CspStage, Project, Split, Style
from gradlens.models.transitions import Transition, Widths

WIDTHS = Widths(bypass=3, dense=4, out=7)
ORDERS = {"conv first": False, "norm first": True}


@pytest.fixture(autouse=True)
def double() -> object:
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def layer(preactivated: bool) -> Callable[[int, int], nn.Module]:
    """Return a factory of layers as in ``cspify``, with normalisations that are not the identity."""
    style = Style(nn.LeakyReLU(0.1), batch_norm=True)

    def make(inputs: int, outputs: int) -> nn.Module:
        built = style.layer(preactivated, inputs, outputs)
        for module in built.modules():
            if isinstance(module, nn.BatchNorm2d):
                for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                    nn.init.uniform_(tensor, 0.5, 2.0)  # type: ignore[arg-type]
        return built

    return make


def T(module: nn.Module, x: Tensor) -> Tensor:
    """Apply a 1x1 convolution, normalisation and activation by hand, in the order of the module."""
    steps = {"Conv2d": _convolved, "BatchNorm2d": _normalised, "LeakyReLU": _activated}
    for part in module.children():
        x = steps[type(part).__name__](part, x)
    return x


def _convolved(conv: nn.Module, x: Tensor) -> Tensor:
    return torch.einsum("oi,nihw->nohw", conv.weight[:, :, 0, 0], x)


def _normalised(norm: nn.Module, x: Tensor) -> Tensor:
    mean, var, gain, bias = (
        t[:, None, None] for t in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    return (x - mean) / (var + norm.eps) ** 0.5 * gain + bias


def _activated(_: nn.Module, x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.1 * x)


def pool(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    return x.reshape(n, c, h // 2, 2, w // 2, 2).mean((3, 5))


def same(x: Tensor) -> Tensor:
    return x


def cat(*parts: Tensor) -> Tensor:
    return torch.cat(parts, dim=1)


PROGRAMS: dict[str, Callable[..., Tensor]] = {
    "fusion_first": lambda t, p1, b, end: end(T(t.after, cat(p1, b))),
    "fusion_last": lambda t, p1, b, end: end(cat(p1, T(t.before, b))),
    "csp": lambda t, p1, b, end: T(t.after, end(cat(p1, T(t.before, b)))),
    "no_fusion": lambda t, p1, b, end: end(cat(p1, b)),
}


def branches(widths: Widths, size: int = 4) -> tuple[Tensor, Tensor]:
    return torch.randn(2, widths.bypass, size, size), torch.randn(2, widths.dense, size, size)


def test_programs_of_the_strategies_of_the_paper() -> None:
    programs = {
        "none": "T(B(x))",
        "fusion_first": "T(cat[p1, B(p2)])",
        "fusion_last": "cat[p1, T(B(p2))]",
        "csp": "T_U(cat[p1, T_T(B(p2))])",
        "no_fusion": "cat[p1, B(p2)]",
    }
    assert {name: TRANSITIONS[name].program for name in programs} == programs


def test_each_strategy_has_its_own_class_with_its_program() -> None:
    assert list(TRANSITIONS) == list(STRATEGIES)
    assert len(set(TRANSITIONS.values())) == len(STRATEGIES)
    for name, strategy in STRATEGIES.items():
        transition = TRANSITIONS[name]
        assert issubclass(transition, Transition)
        assert f"{transition.__module__}.{transition.__qualname__}" == strategy.module
        assert transition.program == strategy.program


@pytest.mark.parametrize("strategy", [name for name in TRANSITIONS if name != "none"])
def test_all_strategies_have_the_output_shape_of_the_baseline(strategy: str) -> None:
    widths = Widths(bypass=4, dense=4, out=8)
    transition = TRANSITIONS[strategy](widths, layer(False), lambda: nn.AvgPool2d(2))
    assert transition(*branches(widths)).shape == (2, widths.out, 2, 2)


def test_the_documentation_shows_all_strategies_with_their_programs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "csp.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| `([^`]+)`", page, flags=re.MULTILINE)
    assert dict(rows[: len(STRATEGIES)]) == {name: strategy.program for name, strategy in STRATEGIES.items()}
    assert all(f"`{strategy.control}`" in page for strategy in STRATEGIES.values() if strategy.control)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("pools", [False, True], ids=["plain", "pooled"])
@pytest.mark.parametrize("strategy", PROGRAMS)
def test_forward_equals_the_formula_of_the_paper(strategy: str, pools: bool, order: str) -> None:
    end, module = (pool, lambda: nn.AvgPool2d(2)) if pools else (same, nn.Identity)
    transition = TRANSITIONS[strategy](WIDTHS, layer(ORDERS[order]), module).eval()
    p1, b = branches(WIDTHS)
    torch.testing.assert_close(transition(p1, b), PROGRAMS[strategy](transition, p1, b, end))


@pytest.mark.parametrize("widths", [Widths(3, 4, 7), Widths(1, 9, 6), Widths(5, 30, 17)], ids=str)
@pytest.mark.parametrize("strategy", ["fusion_first", "fusion_last", "csp"])
def test_the_output_has_the_width_of_the_stage_and_is_pooled_once(strategy: str, widths: Widths) -> None:
    transition = TRANSITIONS[strategy](widths, layer(False), lambda: nn.AvgPool2d(2))
    assert transition(*branches(widths)).shape == (2, widths.out, 2, 2)


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("fusion_first", {"after": (7, 6)}),
        ("fusion_last", {"before": (4, 3)}),
        ("csp", {"before": (4, 3), "after": (6, 6)}),
        ("no_fusion", {}),
    ],
)
def test_channels_read_and_written_by_each_convolution(
    strategy: str, expected: dict[str, tuple[int, int]]
) -> None:
    out = 7 if strategy == "no_fusion" else 6
    transition = TRANSITIONS[strategy](Widths(3, 4, out), layer(False), nn.Identity)
    convs = {
        name.split(".")[0]: (m.in_channels, m.out_channels)
        for name, m in transition.named_modules()
        if isinstance(m, nn.Conv2d)
    }
    assert convs == expected


def test_no_fusion_with_another_output_width_is_an_error() -> None:
    with pytest.raises(GradlensError, match=r"change 3 \+ 4 channels to the 6"):
        TRANSITIONS["no_fusion"](Widths(3, 4, 6), layer(False), nn.Identity)


def test_the_strategy_none_is_not_a_transition() -> None:
    with pytest.raises(TypeError, match="does not cut the stage"):
        TRANSITIONS["none"](WIDTHS, layer(False), nn.Identity)


@pytest.mark.parametrize("strategy", PROGRAMS)
def test_a_stage_passes_the_first_channels_to_the_bypass_and_the_rest_to_the_blocks(strategy: str) -> None:
    lead, blocks = nn.Conv2d(2, 7, 1), nn.Conv2d(4, 4, 3, padding=1)
    transition: Transition = TRANSITIONS[strategy](WIDTHS, layer(False), nn.Identity)
    stage = CspStage(lead, Split(3, 4), blocks, transition).eval()
    x = torch.randn(2, 2, 4, 4)
    whole = lead(x)
    expected = PROGRAMS[strategy](transition, whole[:, :3], blocks(whole[:, 3:]), same)
    torch.testing.assert_close(stage(x), expected)


@pytest.mark.parametrize("strategy", PROGRAMS)
def test_a_projected_stage_computes_both_parts_from_the_whole_input(strategy: str) -> None:
    blocks = nn.Conv2d(4, 4, 3, padding=1)
    transition = TRANSITIONS[strategy](WIDTHS, layer(False), nn.Identity)
    stage = CspStage(nn.Identity(), Project(3, 4, layer(False)), blocks, transition).eval()
    x = torch.randn(2, 7, 4, 4)
    p1, p2 = T(stage.cut.bypass, x), T(stage.cut.dense, x)
    torch.testing.assert_close(stage(x), PROGRAMS[strategy](transition, p1, blocks(p2), same))
