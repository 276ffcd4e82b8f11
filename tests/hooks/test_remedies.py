"""The line to write for outputs and detectors: it runs as it is written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

import gradlens as gl
from gradlens.errors import GradlensError
from gradlens.hooks.remedies import loss_line

LOGITS = torch.arange(6.0).reshape(2, 3)
TARGETS = torch.tensor([0, 2])
LOSS = float(nn.functional.cross_entropy(LOGITS, TARGETS))


def function_in(text: str) -> object:
    """Return the function that a message suggests."""
    line = re.search(r"`(?:step|loss)=(.*?)`", text)
    assert line is not None, text
    return eval(line[1], {"torch": torch})


@pytest.mark.parametrize(
    ("output", "heads"),
    [
        ({"aux": LOGITS + 1, "logits": LOGITS}, 1),
        ({"neck": {"cls": LOGITS}}, 1),
        ([LOGITS, LOGITS], 2),
        ([{"logits": LOGITS}, {"logits": LOGITS}, {"logits": LOGITS}], 3),
        ((LOGITS, {"features": LOGITS}), 1),
        ((LOGITS, (LOGITS,)), 1),
        ([LOGITS], 1),
        (SimpleNamespace(logits=LOGITS), 1),
        ([SimpleNamespace(scores=LOGITS)], 1),
        ({"out": [LOGITS]}, 1),
    ],
    ids=str,
)
def test_the_loss_of_an_output_that_is_not_one_tensor_runs(output: object, heads: int) -> None:
    assert float(function_in(loss_line(output))(output, TARGETS)) == pytest.approx(heads * LOSS)


class Detector(nn.Module):
    """Takes lists, and returns losses in train mode and boxes in eval mode, as those of torchvision do."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Conv2d(3, 4, 3, 2), nn.Linear(4, 15)

    def forward(self, images: list[Tensor], targets: list[dict[str, Tensor]] | None = None) -> object:
        features = self.body(torch.stack(list(images))).relu().mean((2, 3))
        boxes, scores = self.head(features).split([4, 11], 1)
        if not self.training:
            return [{"boxes": box[None], "scores": score} for box, score in zip(boxes, scores, strict=True)]
        if targets is None:
            raise AssertionError("targets should not be none when in training mode")
        truth = torch.cat([target["boxes"] for target in targets])
        labels = torch.cat([target["labels"] for target in targets])
        assert truth.tolist() == [[0.0, 0.0, 9.0, 8.0]] * len(labels)
        return {
            "box": (boxes - truth).square().mean(),
            "class": nn.functional.cross_entropy(scores, labels),
        }


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_the_step_of_a_detector_on_images_with_classes_runs(mode: str) -> None:
    batch = torch.rand(4, 3, 8, 9), torch.arange(4)
    with pytest.raises(GradlensError, match="as a detector does") as raised:
        gl.capture(Detector(), [batch], mode=mode)
    assert ("mode='train'" in str(raised.value)) == (mode == "eval")
    recording = gl.capture(Detector(), [batch], step=function_in(str(raised.value)))
    assert [signal.name for signal in recording.signals] == ["body", "head"]


def test_a_detector_on_targets_of_boxes_needs_no_step() -> None:
    targets = [{"boxes": torch.tensor([[0.0, 0.0, 9.0, 8.0]]), "labels": torch.tensor([n])} for n in range(4)]
    batch = [torch.rand(3, 8, 9) for _ in range(4)], targets
    assert len(gl.capture(Detector(), [batch]).signals) == 2
    with pytest.raises(GradlensError, match=r"returns boxes in eval mode.* use mode='train'$"):
        gl.capture(Detector(), [batch], mode="eval")


@dataclass
class Labelled:
    """A batch with other entries than images and classes."""

    names: list[str]
    labels: Tensor
    images: Tensor


class Named(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(5, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(images)


def test_the_step_of_a_dataclass_reads_its_fields_and_runs() -> None:
    batch = Labelled(list("abcdef"), torch.arange(6) % 3, torch.rand(6, 5))
    with pytest.raises(GradlensError, match="a batch is a Labelled with names, labels, images") as raised:
        gl.capture(Named(), [batch])
    recording = gl.capture(Named(), [batch], step=function_in(str(raised.value)))
    assert recording.grams.shape[-1] == 6


class Generator(nn.Module):
    """Computes its loss only if it gets targets, and needs none, as language models do."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(5, 3)

    def forward(self, x: Tensor, targets: Tensor | None = None) -> Tensor:
        if x.shape[1] != 5:
            raise ValueError("the width must be 5")
        return self.head(x)


def test_targets_that_may_be_left_out_are_left_out() -> None:
    recording = gl.capture(Generator(), [(torch.rand(6, 5), torch.arange(6) % 3)])
    assert len(recording.signals) == 1
    with pytest.raises(GradlensError, match="ValueError: the width must be 5"):
        gl.capture(Generator(), [(torch.rand(6, 4), torch.arange(6) % 3)])
