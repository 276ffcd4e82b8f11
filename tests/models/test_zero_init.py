"""lift_zero_init: only layers that are initialised with zeros change."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gradlens.models import lift_zero_init, load_model, zero_gains


def zeros_in(model: nn.Module) -> int:
    return sum(
        not value.any()
        for name, value in model.named_parameters()
        if not name.endswith("bias") and value.numel()
    )


@pytest.mark.parametrize(
    ("name", "blocks"), [("resnet50", 16), ("cspresnet50", 13), ("torchvision:resnet50", 0)]
)
def test_one_layer_per_residual_block_is_lifted(name: str, blocks: int) -> None:
    model = load_model(name, num_classes=3, zero_init=True)
    assert zeros_in(model) == blocks
    assert lift_zero_init(model) == blocks
    assert zeros_in(model) == 0
    assert lift_zero_init(model) == 0


@pytest.mark.parametrize("name", ["nfnet_f0", "dm_nfnet_f0"])
def test_gains_of_networks_without_normalisation_are_lifted(name: str) -> None:
    torch.manual_seed(0)
    assert zeros_in(load_model(name, num_classes=3)) == 0


@pytest.mark.parametrize(
    "norm", [nn.BatchNorm2d(4), nn.GroupNorm(2, 4), nn.LayerNorm(4), nn.InstanceNorm1d(4, affine=True)]
)
def test_all_kinds_of_normalisation_are_lifted(norm: nn.Module) -> None:
    with torch.no_grad():
        norm.get_parameter("weight").zero_()
    assert lift_zero_init(nn.Sequential(norm)) == 1
    assert bool((norm.get_parameter("weight") == 1).all())
    assert not norm.get_parameter("bias").any()


def test_partly_zero_weights_and_other_layers_stay() -> None:
    norm, linear = nn.LayerNorm(2), nn.Linear(2, 2)
    with torch.no_grad():
        norm.weight[0] = 0
        linear.weight.zero_()
    assert lift_zero_init(nn.Sequential(norm, linear, nn.BatchNorm2d(2, affine=False))) == 0
    assert norm.weight.tolist() == [0, 1]
    assert not linear.weight.any()


def test_the_default_changes_only_the_zero_initialised_gains() -> None:
    plain = load_model("resnet50", num_classes=3, seed=2, zero_init=True).state_dict()
    lifted = load_model("resnet50", num_classes=3, seed=2).state_dict()
    changed = {key for key in plain if not torch.equal(plain[key], lifted[key])}
    assert len(changed) == 16
    assert all(key.endswith("bn3.weight") for key in changed)


class Gate(nn.Module):
    """``x + number * f(x)``, with the number under any name."""

    def __init__(self, name: str, shape: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.register_parameter(name, nn.Parameter(torch.zeros(shape)))


@pytest.mark.parametrize("name", ["alpha", "gamma", "resweight", "res_scale", "skipinit_gain"])
@pytest.mark.parametrize("shape", [(), (1,), (1, 1, 1, 1)])
def test_a_number_that_multiplies_a_block_is_a_gain(name: str, shape: tuple[int, ...]) -> None:
    model = nn.Sequential(Gate(name, shape))
    assert zero_gains(model) == [f"0.{name}"]
    assert lift_zero_init(model) == 1
    assert float(model[0].get_parameter(name).detach().sum()) == 1


@pytest.mark.parametrize(
    "name", ["logit_scale", "log_sigma", "temperature", "scale_bias", "weight", "log_alpha"]
)
def test_other_single_numbers_stay(name: str) -> None:
    assert lift_zero_init(Gate(name)) == 0
    assert lift_zero_init(nn.Sequential(nn.PReLU(init=0.0))) == 0
    with torch.no_grad():
        linear = nn.Linear(1, 1)
        linear.weight.zero_()
    assert lift_zero_init(linear) == 0


class ScaledNorm(nn.Module):
    """A normalisation of the user: ``offset + weight`` is its gain."""

    def __init__(self, offset: float, axis: int) -> None:
        super().__init__()
        self.offset, self.axis = offset, axis
        self.weight, self.bias = nn.Parameter(torch.zeros(6)), nn.Parameter(torch.randn(6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shape = [6 if axis == self.axis % x.dim() else 1 for axis in range(x.dim())]
        scaled = x * x.square().mean(self.axis, keepdim=True).rsqrt()
        return scaled * (self.offset + self.weight.reshape(shape)) + self.bias.reshape(shape)


@pytest.mark.parametrize("axis", [1, -1])
def test_a_norm_whose_zero_gain_lets_gradients_through_is_left(axis: int) -> None:
    assert lift_zero_init(ScaledNorm(0, axis)) == 1
    assert lift_zero_init(ScaledNorm(1, axis)) == 0  # ``1 + weight``, as in Gemma


def test_global_response_normalisation_stays_the_identity() -> None:
    """Woo et al. 2023, arXiv:2301.00808, equation 3: ``x + gain * x * n(x)``."""
    first, second = (
        load_model("convnextv2_atto", num_classes=3, seed=0, zero_init=zero_init).state_dict()
        for zero_init in (True, False)
    )
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_a_gain_of_zero_in_a_lazy_or_frozen_layer() -> None:
    assert zero_gains(nn.Sequential(nn.LazyBatchNorm2d())) == []
    norm = nn.BatchNorm2d(3)
    nn.init.zeros_(norm.weight)
    norm.requires_grad_(False)
    assert zero_gains(norm) == ["weight"]
