"""The usual loss of standard outputs, against the same loss written out; a detector's targets that do not fit."""

from __future__ import annotations

import re
from collections import OrderedDict, UserDict, namedtuple
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import GoogLeNetOutputs, InceptionOutputs
from torchvision.models.detection import FCOS, FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import FeaturePyramidNetwork

import gradlens as gl
from gradlens.errors import GradlensError

N = 6


class Auxiliary(nn.Module):
    """Returns what GoogLeNet, Inception v3 or a segmentation network returns."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.heads = nn.ModuleList(nn.Conv2d(4, 5, 1) for _ in range(3))

    def forward(self, x: Tensor) -> Any:
        early = self.first(x).relu()
        late = self.second(early).relu()
        maps = [self.heads[0](late), self.heads[1](early), self.heads[2](early)]
        flat = [value.mean((2, 3)) for value in maps]
        if self.kind == "googlenet":
            return GoogLeNetOutputs(*flat)
        if self.kind == "inception":
            return InceptionOutputs(*flat[:2])
        if self.kind == "no auxiliary":
            return GoogLeNetOutputs(flat[0], None, None)
        return OrderedDict(out=maps[0], aux=maps[1]) if self.kind == "aux" else OrderedDict(out=maps[0])


def maps_of_classes(*weights: float) -> Any:
    def step(model: nn.Module, batch: Any) -> Tensor:
        outputs = model(batch[0]).values()
        losses = [functional.cross_entropy(o, batch[1], ignore_index=255) for o in outputs]
        return sum(w * loss for w, loss in zip(weights, losses, strict=True))

    return step


def classes(*weights: float) -> Any:
    def step(model: nn.Module, batch: Any) -> Tensor:
        outputs = [output for output in model(batch[0]) if output is not None]
        return sum(w * functional.cross_entropy(o, batch[1]) for w, o in zip(weights, outputs, strict=True))

    return step


@pytest.mark.parametrize(
    ("kind", "step"),
    [
        ("googlenet", classes(1, 0.3, 0.3)),
        ("inception", classes(1, 0.4)),
        ("no auxiliary", classes(1)),
        ("aux", maps_of_classes(1, 0.5)),
        ("out", maps_of_classes(1)),
    ],
)
def test_the_loss_of_a_standard_output_is_the_published_one(kind: str, step: Any) -> None:
    torch.manual_seed(0)
    net, images = Auxiliary(kind), torch.randn(N, 3, 8, 8)
    targets = torch.randint(0, 5, (N, 8, 8) if kind in ("aux", "out") else (N,))
    if kind in ("aux", "out"):
        targets[:, 0] = 255
    usual = gl.capture(net, [(images, targets)])
    written = gl.capture(net, [(images, targets)], step=step)
    np.testing.assert_allclose(usual.signal_grams, written.signal_grams, rtol=1e-5, atol=1e-12)


class Pyramid(nn.Module):
    """A backbone of two levels and its feature pyramid."""

    out_channels = 32

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.ModuleList([nn.Conv2d(3, 4, 4, 4), nn.Conv2d(4, 6, 2, 2), nn.Conv2d(6, 8, 2, 2)])
        self.fpn = FeaturePyramidNetwork([6, 8], 32)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        maps = OrderedDict()
        x = self.body[0](x).relu()
        for name, layer in zip(("0", "1"), self.body[1:], strict=True):
            x = maps[name] = layer(x).relu()
        return self.fpn(maps)


def detector(kind: str) -> nn.Module:
    torch.manual_seed(0)
    sizes = {"min_size": 64, "max_size": 96, "num_classes": 4}
    if kind == "fcos":
        anchors = AnchorGenerator(((8,), (16,)), ((1.0,),) * 2)
        return FCOS(Pyramid(), anchor_generator=anchors, **sizes)
    anchors = AnchorGenerator(((8,), (16,)), ((0.5, 1.0, 2.0),) * 2)
    return FasterRCNN(Pyramid(), rpn_anchor_generator=anchors, box_batch_size_per_image=16, **sizes)


def scene(sizes: tuple[tuple[int, int], ...] = ((40, 48), (48, 40), (44, 44)), seed: int = 0) -> Any:
    torch.manual_seed(seed)
    images, targets = [], []
    for index in range(N):
        height, width = sizes[index % len(sizes)]
        corner = torch.rand(index % 3, 2) * 10
        size = 8 + torch.rand(index % 3, 2) * 12
        images.append(torch.rand(3, height, width))
        boxes = torch.cat([corner, corner + size], 1)
        targets.append({"boxes": boxes, "labels": torch.arange(index % 3) + 1})
    return images, targets


@pytest.mark.parametrize("kind", ["fcos", "rcnn"])
def test_a_detector_has_the_sum_of_its_losses_and_stages_by_part(kind: str) -> None:
    net, batches = detector(kind), [scene(), scene(((48, 48), (36, 44)), seed=1)]
    recording = gl.capture(net, batches)
    written = gl.capture(net, batches, step=lambda model, batch: sum(model(*batch).values()))
    np.testing.assert_allclose(recording.signal_grams, written.signal_grams, rtol=1e-4, atol=1e-10)
    assert recording.n == N
    assert recording.meta["dry_samples"] > 1
    assert not recording.plan.no_loss
    stages = {signal.name: signal.stage for signal in recording.signals}
    assert [stages[f"backbone.body.{i}"] for i in range(3)] == ["4", "8", "16"]
    assert stages["backbone.fpn.inner_blocks.0.0"] == "neck 8 top-down"
    assert stages["backbone.fpn.layer_blocks.1.0"] == "neck 16 top-down"
    if kind == "fcos":
        assert stages["head.classification_head.cls_logits@2"] == "head 16 cls"
        assert stages["head.regression_head.bbox_ctrness"] == "head 8 ctr"
    else:
        assert stages["rpn.head.bbox_pred@2"] == "head 16 rpn"
        assert stages["roi_heads.box_head.fc6"] == "head roi box"
    frame = gl.analyze(recording)["exactness"].frame
    assert frame["error"].fillna(0).max() == 0
    assert frame["projected_error"].max() < 1e-5


def test_the_signals_of_a_detector_are_the_rows_of_the_gradient_of_its_loss() -> None:
    """The loss is normalised by the boxes of the whole batch, so a sample's gradient is its rows of this gradient."""
    net, batch = detector("fcos"), scene()
    recording = gl.capture(net, [batch])
    kept: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(module: nn.Module, read: Any, output: Tensor) -> None:
            output.retain_grad()
            kept[name if name not in kept else f"{name}@2"] = output

        return hook

    names = ["backbone.body.0", "head.classification_head.cls_logits", "head.regression_head.bbox_reg"]
    hooks = [net.get_submodule(name).register_forward_hook(keep(name)) for name in names]
    sum(net(*batch).values()).backward()
    for hook in hooks:
        hook.remove()
    numbers = {signal.name: signal.number for signal in recording.signals}
    assert len(kept) == 5
    for name, output in kept.items():
        rows = (output.grad * N).reshape(N, -1).double()
        np.testing.assert_allclose(
            recording.grams[numbers[name], 0], (rows @ rows.T).numpy(), rtol=1e-3, atol=1e-9, err_msg=name
        )


def changed(**values: Any) -> Any:
    images, targets = scene()
    targets[2] = {**targets[2], **values}
    return images, targets


BAD = {
    "no targets": (lambda: scene()[0], r"computes its losses from targets, and this batch has none"),
    "too few": (lambda: (scene()[0], scene()[1][:5]), "have 5 and 6 items|6 images and 5 targets"),
    "an empty target": (
        lambda: (scene()[0], [*scene()[1][:5], {}]),
        r"targets\[5\] has no tensor boxes and no tensor labels; .*torch.zeros\(0, 4\)",
    ),
    "outside": (
        lambda: changed(boxes=torch.tensor([[0.0, 0, 9, 9], [30, 30, 60, 40]])),
        r"targets\[2\]: box 1 is \[30, 30, 60, 40\], outside of its image of 44 x 44",
    ),
    "negative size": (
        lambda: changed(boxes=torch.tensor([[9.0, 0, 3, 9], [3, 3, 6, 9]])),
        r"targets\[2\]: box 0 is \[9, 0, 3, 9\], without a positive width",
    ),
    "no such class": (lambda: changed(labels=torch.tensor([1, 4])), r"targets\[2\] has class 4, and"),
    "negative class": (lambda: changed(labels=torch.tensor([-1, 2])), r"targets\[2\] has class -1, and"),
    "labels of another length": (
        lambda: changed(labels=torch.tensor([1])),
        r"boxes \[2, 4\] and labels \[1\]",
    ),
}


@pytest.mark.parametrize("kind", ["fcos", "rcnn"])
@pytest.mark.parametrize("case", BAD)
def test_targets_that_do_not_fit_are_named_in_one_line(kind: str, case: str) -> None:
    make, message = BAD[case]
    with pytest.raises(GradlensError, match=message) as raised:
        gl.capture(detector(kind), [make()])
    assert "\n" not in str(raised.value)


def test_a_detector_in_eval_mode_is_named_in_one_line() -> None:
    with pytest.raises(GradlensError, match=r"boxes in eval mode.*use mode='train'"):
        gl.capture(detector("fcos"), [scene()], mode="eval")


def test_the_background_is_no_class_of_an_object() -> None:
    with pytest.raises(GradlensError, match=r"class 0.*classes 1 to 3, because 0 is the background"):
        gl.capture(detector("rcnn"), [changed(labels=torch.tensor([0, 1]))])


@dataclass
class Answer:
    loss: Tensor | None
    logits: Tensor


class Tagger(nn.Module):
    """Computes its loss from labels, as networks of transformers do."""

    def __init__(self, in_a_dict: bool) -> None:
        super().__init__()
        self.in_a_dict = in_a_dict
        self.words, self.last = nn.Embedding(30, 8), nn.Linear(8, 3)

    def forward(self, input_ids: Tensor, labels: Tensor | None = None, attention_mask: Any = None) -> Any:
        logits = self.last(self.words(input_ids).mean(1))
        loss = None if labels is None else functional.cross_entropy(logits, labels)
        return {"loss": loss, "logits": logits} if self.in_a_dict else Answer(loss, logits)


@pytest.mark.parametrize("in_a_dict", [True, False])
@pytest.mark.parametrize("wrap", [dict, UserDict], ids=["dict", "user dict"])
def test_a_network_that_computes_its_loss_gets_the_batch(in_a_dict: bool, wrap: type) -> None:
    torch.manual_seed(0)
    net = Tagger(in_a_dict)
    values = {
        "input_ids": torch.randint(0, 30, (N, 5)),
        "attention_mask": torch.ones(N, 5, dtype=torch.long),
        "labels": torch.arange(N) % 3,
    }
    usual = gl.capture(net, [wrap(values)])

    def step(model: nn.Module, batch: Any) -> Tensor:
        return functional.cross_entropy(model.last(model.words(batch["input_ids"]).mean(1)), batch["labels"])

    written = gl.capture(net, [values], step=step)
    np.testing.assert_allclose(usual.signal_grams, written.signal_grams, rtol=1e-5, atol=1e-12)
    with pytest.raises(GradlensError, match="give `step=lambda model, batch: ") as raised:
        gl.capture(net, [{name: values[name] for name in ("input_ids", "attention_mask")}])
    assert "with input_ids, attention_mask" in str(raised.value)


OUTPUTS = {
    "dataclass": (Answer, "with loss, logits"),
    "named tuple": (namedtuple("Answer", ["loss", "logits"]), "with loss, logits"),
    "tuple": (lambda *items: items, "of 2"),
    "list of dicts": (lambda *items: [{"loss": items[0]}, {"scores": items[1]}], "of 2"),
    "dict": (lambda *items: {"loss": items[0], "head": {"pred": items[1]}}, "with loss, head"),
    "dict of tuples": (lambda *items: {"loss": items[0], "heads": (None, items[1])}, "with loss, heads"),
    "nested": (lambda *items: Answer(items[0], Answer(None, items[1])), "with loss, logits"),
}


@pytest.mark.parametrize(("output", "contents"), OUTPUTS.values(), ids=OUTPUTS)
def test_an_unknown_output_is_refused_with_its_fields_and_a_loss_that_runs(
    output: Any, contents: str
) -> None:
    class Net(nn.Linear):
        def forward(self, x: Tensor) -> Any:
            return output(None, super().forward(x))

    net, batch = Net(4, 3), (torch.randn(N, 4), torch.arange(N) % 3)
    with pytest.raises(GradlensError, match=f"{contents}, not a tensor of logits") as raised:
        gl.capture(net, [batch])
    line = re.search(r"`loss=(.*?)`", str(raised.value))
    assert line is not None
    recording = gl.capture(net, [batch], loss=eval(line[1], {"torch": torch}))
    assert len(recording.signals) == 1


def test_batches_without_any_object_are_measured() -> None:
    """Each loss reads an empty list of boxes, whose gradient has no element."""
    empty = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    images = [torch.rand(3, 40, 48, generator=torch.Generator().manual_seed(n)) for n in range(4)]
    model = detector("fcos")
    recording = gl.capture(model, [(images, [empty] * 4)])
    sums = gl.analyze(recording, tables=["loss_sums"])["loss_sums"].frame.set_index("loss")
    losses = model(images, [empty] * 4)
    for name in ("classification", "bbox_regression"):
        assert sums.loc[name, "value"] == pytest.approx(losses[name].item(), rel=1e-5)
