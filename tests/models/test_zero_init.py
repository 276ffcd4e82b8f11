"""lift_zero_init: only layers that are initialised with zeros change."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gradlens.models import lift_zero_init, load_model


def zero_gains(model: nn.Module) -> int:
    return sum(
        not value.any()
        for name, value in model.named_parameters()
        if not name.endswith("bias") and value.numel()
    )


@pytest.mark.parametrize(
    ("name", "blocks"), [("resnet50", 16), ("cspresnet50", 13), ("torchvision:resnet50", 0)]
)
def test_one_layer_per_residual_block_is_lifted(name: str, blocks: int) -> None:
    model = load_model(name, num_classes=3)
    assert zero_gains(model) == blocks
    assert lift_zero_init(model) == blocks
    assert zero_gains(model) == 0
    assert lift_zero_init(model) == 0


@pytest.mark.parametrize("name", ["nfnet_f0", "dm_nfnet_f0"])
def test_gains_of_networks_without_normalisation_are_lifted(name: str) -> None:
    torch.manual_seed(0)
    assert zero_gains(load_model(name, num_classes=3, zero_init=False)) == 0


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


def test_zero_init_false_changes_only_the_zero_initialised_gains() -> None:
    plain = load_model("resnet50", num_classes=3, seed=2).state_dict()
    lifted = load_model("resnet50", num_classes=3, seed=2, zero_init=False).state_dict()
    changed = {key for key in plain if not torch.equal(plain[key], lifted[key])}
    assert len(changed) == 16
    assert all(key.endswith("bn3.weight") for key in changed)
