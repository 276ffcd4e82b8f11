"""PeleeNet, checked against its paper and table 1 of CSPNet."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from gradlens.models import cspify, load_model
from gradlens.models.peleenet import PeleeLayer, PeleeNet, PeleeStem
from gradlens.models.sources.own import PELEENETS


@functools.cache
def peleenet() -> nn.Module:
    return load_model("peleenet", seed=0)


def bflops(model: nn.Module) -> float:
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model.to("meta").eval()(torch.empty(1, 3, 224, 224, device="meta"))
    return counter.get_total_flops() / 1e9


def test_the_number_of_parameters_equals_that_of_the_paper() -> None:
    assert sum(value.numel() for value in peleenet().parameters()) == pytest.approx(2.80e6, rel=0.002)


def test_flops_equal_those_of_the_papers() -> None:
    measured = bflops(load_model("peleenet", seed=0))
    assert measured == pytest.approx(1.017, rel=0.02)  # arXiv 1911.11929, table 1
    assert measured / 2 == pytest.approx(0.508, rel=0.005)  # arXiv 1804.06882, multiply-adds


@pytest.mark.parametrize(("gamma", "paper"), [(0.75, 0.800), (0.5, 0.888), (0.25, 0.986)])
def test_flops_of_csp_peleenet_are_within_5_percent_of_the_paper(gamma: float, paper: float) -> None:
    assert bflops(cspify(peleenet(), "csp", gamma=gamma, seed=0)) == pytest.approx(paper, rel=0.05)


def test_widths_and_resolutions_after_each_stage() -> None:
    model, shapes = load_model("peleenet", seed=0).eval(), {}
    for number in (1, 2, 3, 4):
        model.get_submodule(f"features.transition{number}").register_forward_hook(
            lambda _m, _i, out, number=number: shapes.update({number: tuple(out.shape[1:])})
        )
    with torch.no_grad():
        model(torch.randn(1, 3, 64, 64))
    assert shapes == {1: (128, 8, 8), 2: (256, 4, 4), 3: (512, 2, 2), 4: (704, 2, 2)}


def test_the_stem_reduces_the_resolution_to_a_quarter() -> None:
    assert PeleeStem(3)(torch.randn(2, 3, 32, 32)).shape == (2, 32, 8, 8)


def test_a_layer_concatenates_its_input_and_two_branches_of_half_the_growth() -> None:
    torch.manual_seed(0)
    layer = PeleeLayer(6, 8, 2).double().eval()
    x = torch.randn(2, 6, 5, 5, dtype=torch.float64)

    def run(branch: nn.Module, h: Tensor) -> Tensor:
        for part in branch.children():
            conv, norm = part.conv, part.bn  # type: ignore[union-attr]
            h = nn.functional.conv2d(h, conv.weight, None, 1, conv.kernel_size[0] // 2)
            h = (h / (1 + norm.eps) ** 0.5).relu()
        return h

    expected = torch.cat([x, run(layer.short, x), run(layer.long, x)], 1)
    torch.testing.assert_close(layer(x), expected)
    assert [len(layer.short), len(layer.long)] == [2, 3]
    assert layer.short[0].conv.out_channels == 8  # half the growth times the bottleneck


@pytest.mark.parametrize("name", PELEENETS)
def test_classes_channels_and_seed(name: str) -> None:
    first, again = (load_model(name, num_classes=7, in_chans=2, seed=4) for _ in range(2))
    assert isinstance(first, PeleeNet)
    assert first(torch.randn(2, 2, 64, 64)).shape == (2, 7)
    fresh = load_model(name, num_classes=7, in_chans=2, seed=4).state_dict()
    assert all(torch.equal(value, fresh[key]) for key, value in again.state_dict().items())


def test_the_small_network_has_half_the_layers() -> None:
    assert PELEENETS["peleenet_small"] == (2, 2, 4, 3)
    assert sum(PELEENETS["peleenet_small"]) == pytest.approx(sum(PELEENETS["peleenet"]) / 2, abs=1)
