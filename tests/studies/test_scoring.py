"""The score of a detector on held-out scenes: its loss with running statistics, and its average precision."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from oracles.extras import needs
from torch import Tensor, nn
from torchvision.models.detection import FCOS

import gradlens as gl
from gradlens.data import load_data
from gradlens.errors import GradlensError
from gradlens.models.sgd import sgd, total
from gradlens.models.warmup import warm_up
from gradlens.studies import scoring
from gradlens.studies.scoring import PACKAGES, average_precision, score
from gradlens.studies.steps import detection_step
from tests.detectors import small_fcos

SCENES = load_data("scenes", batch_size=4, batches=3, image_size=32)
MEASURING: dict[str, Any] = {
    "data": "scenes", "image_size": 32, "batch_size": 4, "batches": 1, "throughput": False, "progress": False,
}  # fmt: skip


class Oracle(nn.Module):
    """Predicts the boxes of known scenes, moved by some pixels, the first ``kept`` of each."""

    def __init__(self, *, moved: float = 0.0, kept: int = 9) -> None:
        super().__init__()
        self.weight, self.moved, self.kept = nn.Parameter(torch.ones(())), moved, kept
        self.known = [(image, target) for batch in SCENES for image, target in zip(*batch, strict=True)]

    def forward(self, images: list[Tensor], targets: list[dict[str, Tensor]] | None = None) -> Any:
        """Return the losses in train mode, and predictions in eval mode."""
        if self.training:
            return {"boxes": self.weight * 2.0, "classes": self.weight * len(images)}
        return [self._predicted(image) for image in images]

    def _predicted(self, image: Tensor) -> dict[str, Tensor]:
        target = next(target for known, target in self.known if torch.equal(known, image))
        boxes, labels = target["boxes"][: self.kept] + self.moved, target["labels"][: self.kept]
        return {"boxes": boxes, "labels": labels, "scores": torch.ones(len(labels))}


def test_the_loss_of_a_step_is_the_sum_of_its_losses() -> None:
    losses = {"a": torch.tensor(1.5), "b": torch.tensor(0.25)}
    assert float(total(losses)) == 1.75
    with pytest.raises(GradlensError, match="mapping without a loss"):
        total({})


def test_a_training_step_of_several_losses_is_that_of_their_sum() -> None:
    model, reference = small_fcos(), small_fcos()
    images, targets = SCENES[0]
    (loss,) = warm_up(model, [SCENES[0]], steps=1, lr=0.1, step=detection_step)
    value = sum(reference.train()(images, targets).values())
    value.backward()
    assert loss == pytest.approx(value.item())
    for parameter, expected in zip(model.parameters(), reference.parameters(), strict=True):
        if expected.grad is not None:
            torch.testing.assert_close(parameter, expected - 0.1 * expected.grad)


@pytest.mark.extra
@pytest.mark.parametrize(("options", "expected"), [({}, 1.0), ({"moved": 100.0}, 0.0)])
def test_the_average_precision_of_exact_boxes_is_one_and_of_distant_ones_zero(
    options: dict[str, float], expected: float
) -> None:
    needs(*PACKAGES)
    assert average_precision(Oracle(**options).eval(), list(SCENES)) == pytest.approx(expected)  # type: ignore[arg-type]


@pytest.mark.extra
def test_missed_boxes_lower_the_average_precision() -> None:
    """One box of each scene is found: with precision 1, the average precision of a class is about its recall."""
    needs(*PACKAGES)
    value = average_precision(Oracle(kept=1).eval(), list(SCENES))
    recall: dict[int, list[bool]] = {}
    for _, targets in SCENES:
        for target in targets:
            for index, label in enumerate(target["labels"].tolist()):
                recall.setdefault(label, []).append(index == 0)
    means = [sum(hits) / len(hits) for hits in recall.values()]
    assert value == pytest.approx(sum(means) / len(means), abs=0.02)


@pytest.mark.extra
def test_a_score_weighs_batches_by_their_samples() -> None:
    needs(*PACKAGES)
    images, targets = SCENES[1]
    batches = [SCENES[0], (images[:2], targets[:2])]
    result = score(Oracle().train(), batches, detection_step)  # type: ignore[arg-type]
    assert result.loss == pytest.approx((4 * (2 + 4) + 2 * (2 + 2)) / 6)
    assert result.average_precision == pytest.approx(1.0)
    assert math.isnan(result.accuracy)


@pytest.mark.extra
def test_a_score_uses_running_statistics_and_leaves_modes_and_buffers() -> None:
    needs(*PACKAGES)
    model = small_fcos().train()
    model.backbone.second.eval()  # type: ignore[union-attr]
    modes = [module.training for module in model.modules()]
    buffers = {name: value.clone() for name, value in model.named_buffers()}
    result = score(model, list(SCENES), detection_step)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, buffers[name]) for name, value in model.named_buffers())
    assert result == score(model, list(SCENES), detection_step)
    for module in model.modules():
        module.training = not isinstance(module, nn.BatchNorm2d)
    with torch.no_grad():
        losses = [float(sum(model(*batch).values())) for batch in SCENES]
    assert result.loss == pytest.approx(sum(losses) / len(losses))


def test_a_detector_that_predicts_no_boxes_has_a_loss_only() -> None:
    class Raw(Oracle):
        def forward(self, images: Any, targets: Any = None) -> Any:
            return {"loss": self.weight.reshape(())} if targets is not None else torch.stack(images)

    class Strict(Oracle):
        def forward(self, images: Any, targets: Any) -> Any:
            return {"loss": self.weight.reshape(())}

    for model in (Raw(), Strict()):
        result = score(model, list(SCENES), detection_step)
        assert result.loss == 1.0
        assert math.isnan(result.average_precision)


def test_missing_packages_are_named_with_their_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "PACKAGES", ("no_such_package",))
    text = "needs no_such_package, not installed here; run `python -m pip install no_such_package`, or"
    with pytest.raises(GradlensError, match=text):
        average_precision(Oracle().eval(), list(SCENES))


@pytest.mark.extra
def test_a_short_training_lowers_the_held_out_loss_of_a_detector() -> None:
    needs(*PACKAGES)
    model = small_fcos()
    held_out = list(load_data("scenes", batch_size=8, batches=1, image_size=32, start=20))
    train = list(load_data("scenes", batch_size=8, batches=8, image_size=32))
    before = score(model, held_out, detection_step).loss
    list(sgd(model, train * 2, [0.02] * 16, momentum=0.9, step=detection_step))
    assert score(model, held_out, detection_step).loss < 0.8 * before


def test_a_classifier_on_scenes_is_refused_in_one_line() -> None:
    with pytest.raises(GradlensError, match="is a classifier, and data=") as caught:
        gl.inspect("resnet18", **MEASURING, seeds=1)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", ["scenes", "scenes:sizes=mixed"])
def test_seeds_of_a_detector_are_measured_together(data: str) -> None:
    def detector(seed: int) -> FCOS:
        return small_fcos(seed)

    result = gl.inspect(detector, **{**MEASURING, "data": data}, seeds=2, warmup_steps=1)
    assert len(result.meta["data_identity"]) == 2
    assert not result["duplication"].frame.empty


@pytest.mark.extra
def test_a_training_on_scenes_reports_the_average_precision() -> None:
    needs(*PACKAGES)
    result = gl.strategies(
        small_fcos,
        strategies=["none"],
        training=gl.Training(steps=2, snapshots=1, evaluate=True),
        **MEASURING,
        seeds=1,
    )
    frame = result["trajectory"].frame
    assert frame["average_precision"].between(0, 1).all()
    assert "accuracy" not in frame
    assert frame["loss"].iloc[-1] < frame["loss"].iloc[0]
