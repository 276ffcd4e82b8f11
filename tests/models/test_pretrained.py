"""Pretrained weights: loaded from a fake download, and errors if the hub cannot be reached."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from huggingface_hub import constants

from gradlens.errors import GradlensError
from gradlens.models import load_model


@pytest.fixture
def unreachable_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty cache, and a closed port in place of the hub."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))


@pytest.fixture
def torchvision_weights(monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """The weights that the download of resnet18 returns."""
    state = torchvision.models.resnet18(weights=None).state_dict()
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", lambda *_, **__: state)
    return state


@pytest.mark.usefixtures("unreachable_hub")
def test_an_unreachable_hub_is_an_error_without_long_retries() -> None:
    start = time.monotonic()
    with pytest.raises(GradlensError, match="checkpoint=FILE"):
        load_model("resnet18", pretrained=True)
    assert time.monotonic() - start < 20
    assert constants.HF_HUB_OFFLINE is False


def test_offline_mode_is_an_error_without_a_download(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(GradlensError, match="connect to the internet"):
        load_model("resnet18", pretrained=True)


def test_an_unreachable_torchvision_server_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise OSError("nobody there")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refused)
    with pytest.raises(GradlensError, match="checkpoint=FILE"):
        load_model("torchvision:resnet18", pretrained=True)


def test_a_model_without_pretrained_weights_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(GradlensError, match="no pretrained weights for cspresnet50d"):
        load_model("cspresnet50d", pretrained=True)


def test_torchvision_weights_are_loaded_completely(torchvision_weights: dict[str, torch.Tensor]) -> None:
    model = load_model("torchvision:resnet18", pretrained=True)
    assert all(torch.equal(value, torchvision_weights[key]) for key, value in model.state_dict().items())


def test_another_number_of_classes_replaces_only_the_head(
    torchvision_weights: dict[str, torch.Tensor],
) -> None:
    model = load_model("torchvision:resnet18", num_classes=5, pretrained=True)
    state = model.state_dict()
    differing = {key for key in state if not torch.equal(state[key], torchvision_weights[key])}
    assert differing == {"fc.weight", "fc.bias"}


def test_one_channel_gives_the_outputs_of_three_equal_channels(
    torchvision_weights: dict[str, torch.Tensor],
) -> None:
    colour = load_model("torchvision:resnet18", pretrained=True).eval()
    grey = load_model("torchvision:resnet18", pretrained=True, in_chans=1).eval()
    images = torch.randn(2, 1, 32, 32)
    torch.testing.assert_close(grey(images), colour(images.expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-4)


def test_weights_that_lack_more_than_the_head_are_an_error(
    torchvision_weights: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "gradlens.models.torchvision_zoo._pretrained_state",
        lambda _: {"fc.bias": torchvision_weights["fc.bias"]},
    )
    with pytest.raises(GradlensError, match=r"missing conv1\.weight"):
        load_model("torchvision:resnet18", pretrained=True)
