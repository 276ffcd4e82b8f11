"""YOLOX of libreyolo by name."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from oracles.detection_batches import batch_of
from oracles.extras import needs

import gradlens as gl
from gradlens.errors import GradlensError
from gradlens.models import load_model

needs("libreyolo")
pytestmark = [pytest.mark.extra, pytest.mark.filterwarnings("ignore:.*which has the licence")]


def test_losses_are_those_of_the_library() -> None:
    from gradlens.models.libreyolo_zoo import yolox_losses

    model: Any = load_model("libreyolo:yolox-n", num_classes=3, image_size=64, seed=0)
    rows = torch.tensor([[[0.0, 17, 17, 26, 22], [2.0, 40, 30, 40, 40]]]).repeat(2, 1, 1)
    wanted = model(255 * torch.stack(batch_of(2)[0]), rows)
    losses = yolox_losses(model, batch_of(2))
    assert float(sum(value.detach() for value in losses.values())) == pytest.approx(
        float(wanted["total_loss"].detach()), rel=1e-5
    )


def test_it_is_captured_exactly() -> None:
    options: Any = {"seeds": 1, "batches": 1, "throughput": False, "progress": False}
    result = gl.inspect("libreyolo:yolox-n", data=[batch_of(4)], samples=4, num_classes=3, **options)
    assert (result["exactness"].frame["error"] == 0).all()


def test_a_misspelt_size_is_refused() -> None:
    with pytest.raises(GradlensError, match="did you mean yolox-"):
        load_model("libreyolo:yolox-z")
    with pytest.raises(GradlensError, match="use image_size=96"):
        load_model("libreyolo:yolox-n", image_size=70)
