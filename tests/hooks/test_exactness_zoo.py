"""Unmodified networks of two libraries: the contributions add up at every fork and split."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import timm
import torch
import torchvision
from torch import nn

import gradlens as gl
from gradlens.analyzers import ANALYZERS
from gradlens.models import lift_zero_init

TIMM = (
    "resnet50",
    "cspresnet50",
    "resnext50_32x4d",
    "cspresnext50",
    "densenet121",
    "darknet53",
    "cspdarknet53",
)
TORCHVISION = ("resnet50", "densenet121", "resnext50_32x4d")
LEAST_FORKS = {"densenet121": 58, "cspresnet50": 14, "cspresnext50": 14}


def timm_model(name: str) -> nn.Module:
    return timm.create_model(name, num_classes=10)


def torchvision_model(name: str) -> nn.Module:
    return torchvision.models.get_model(name, num_classes=10)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "name"),
    [(timm_model, name) for name in TIMM] + [(torchvision_model, name) for name in TORCHVISION],
    ids=[f"timm-{name}" for name in TIMM] + [f"torchvision-{name}" for name in TORCHVISION],
)
def test_contributions_add_up_at_every_fork(make: Callable[[str], nn.Module], name: str) -> None:
    model = make(name)
    lift_zero_init(model)  # a dead residual branch adds nothing that could be wrong
    batch = torch.randn(6, 3, 32, 32), torch.arange(6)
    recording = gl.capture(model, [batch], sites="forks", costs=False)
    frame = ANALYZERS["exactness"](recording).frame
    assert len(frame) >= LEAST_FORKS.get(name, 16)
    assert frame["dry_samples"].between(2, 4).all()
    assert (frame["error"] == 0).all(), frame[frame["error"] != 0]
    assert (frame["projected_error"] < 1e-5).all(), frame.nlargest(3, "projected_error")
    assert (frame["projected_error"] > 0).any()  # rounding errors show that values were compared
