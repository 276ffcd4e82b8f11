"""load_model: names of timm, torchvision and files, adapted to classes, channels and image size."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from gradlens.errors import GradlensError
from gradlens.models import load_model


@pytest.mark.parametrize("name", ["resnet18", "torchvision:resnet18"])
def test_classes_and_channels_follow_the_data(name: str) -> None:
    model = load_model(name, num_classes=7, in_chans=2, image_size=32)
    assert model.training
    assert model(torch.randn(4, 2, 32, 32)).shape == (4, 7)


@pytest.mark.parametrize("name", ["resnet18", "torchvision:resnet18"])
def test_without_num_classes_the_original_head_is_kept(name: str) -> None:
    assert load_model(name).fc.out_features == 1000  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "name", ["vit_tiny_patch16_224", "swin_tiny_patch4_window7_224", "torchvision:vit_b_16"]
)
def test_a_network_of_fixed_size_is_built_for_the_image_size(name: str) -> None:
    model = load_model(name, num_classes=3, image_size=64)
    assert model(torch.randn(2, 3, 64, 64)).shape == (2, 3)


def test_a_torchvision_model_with_auxiliary_heads_returns_one_tensor_in_train_mode() -> None:
    model = load_model("torchvision:googlenet", num_classes=3)
    assert model(torch.randn(2, 3, 64, 64)).shape == (2, 3)


def test_a_transformer_of_torchvision_accepts_other_channels() -> None:
    model = load_model("torchvision:vit_b_32", num_classes=3, in_chans=1, image_size=32)
    assert model(torch.randn(2, 1, 32, 32)).shape == (2, 3)


@pytest.mark.parametrize("name", ["resnet18", "torchvision:squeezenet1_1"])
def test_weights_are_a_function_of_the_seed(name: str) -> None:
    first, again, other = (load_model(name, num_classes=3, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(value, again[key]) for key, value in first.items())
    assert not all(torch.equal(value, other[key]) for key, value in first.items())


def test_global_random_states_are_unchanged() -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # type: ignore[index]
    load_model("resnet18", num_classes=3, seed=5)
    with pytest.raises(GradlensError):
        load_model("no_such_model", seed=5)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1:] == (np.random.get_state()[1].tolist(), random.getstate())  # type: ignore[index]


def test_without_a_seed_weights_come_from_the_global_state() -> None:
    torch.manual_seed(3)
    first = load_model("resnet18", num_classes=3)
    second = load_model("resnet18", num_classes=3)
    torch.manual_seed(3)
    again = load_model("resnet18", num_classes=3)
    weights = [model.get_parameter("conv1.weight") for model in (first, second, again)]
    assert torch.equal(weights[0], weights[2])
    assert not torch.equal(weights[0], weights[1])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet5O", "resnet50"),
        ("torchvision:resnet5O", "resnet50"),
        ("resnet50.bogus", "a1_in1k"),
        ("", "is empty"),
        ("  ", "is empty"),
        ("torchvision:", "torchvision has no"),
        ("hub:resnet50", "is not understood"),
        ("nets/resnet50", "is not understood"),
        ("net.py", "net.py:factory"),
        ("net.py:", "net.py:factory"),
        ("net.py:a b", "is not a Python name"),
    ],
)
def test_the_error_for_an_unknown_name_states_what_to_do(name: str, message: str) -> None:
    with pytest.raises(GradlensError) as caught:
        load_model(name)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "options", [{"num_classes": 0}, {"in_chans": 0}, {"image_size": -1}, {"seed": -1}, {"seed": 2**32}]
)
def test_invalid_numbers_are_errors(options: dict[str, int]) -> None:
    with pytest.raises(GradlensError, match=next(iter(options))):
        load_model("resnet18", **options)  # type: ignore[arg-type]
