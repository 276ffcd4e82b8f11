"""Detectors of darknet: their losses against loops over cells, darknet's deltas, batches, and an exact capture."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from oracles.darknet_cfgs import conv, net, route, section, yolov7_tiny
from oracles.darknet_losses import Truth, region_losses, yolo_losses
from torch import Tensor, nn
from torchvision.ops import complete_box_iou, distance_box_iou, generalized_box_iou

import gradlens as gl
from gradlens.errors import GradlensError, ModelNote
from gradlens.models import load_model
from gradlens.models.darknet import (
    DarknetModel,
    darknet_flops,
    darknet_model,
    detection_losses,
    load_weights,
    parse_cfg,
)
from gradlens.models.darknet.boxes import overlap
from gradlens.models.darknet.network import FreshHead
from gradlens.models.darknet.sections import Region, Yolo
from gradlens.models.shape import InputShape

ANCHORS = "6,8, 10,14, 20,18, 24,40"
CLASSES = 3
WIDTH, HEIGHT = 48, 32


def yolo(mask: str = "1,3", anchors: str = ANCHORS, classes: int = CLASSES, **options: Any) -> str:
    return section("yolo", mask=mask, anchors=anchors, classes=classes, num=4, **options)


def head_of(
    text: str, *, activation: str = "linear", anchors: int = 2, classes: int = CLASSES
) -> DarknetModel:
    """Return a network of one head whose input is that of the network, for maps of 6 × 4 cells."""
    layers = conv(anchors * (5 + classes), 3, 8, activation=activation, batch_normalize=0)
    torch.manual_seed(0)
    return DarknetModel(parse_cfg(net(3, HEIGHT, WIDTH) + layers + text)).double()


# Two of image 0 in one cell and of one shape but different classes, one twice in the same class, one near the corner.
BOXES = {
    0: [
        (8.5, 4.2, 18.5, 17.0, 1),
        (8.0, 4.0, 19.0, 17.5, 3),
        (30.0, 10.0, 47.9, 31.9, 2),
        (30.1, 10.2, 47.5, 31.5, 2),
    ],
    1: [],
    2: [(0.0, 0.0, 5.0, 7.0, 3), (-3.0, 20.0, 20.0, 34.0, 1)],
}


def targets() -> list[dict[str, Tensor]]:
    return [
        {
            "boxes": torch.tensor([box[:4] for box in boxes], dtype=torch.float64).reshape(-1, 4),
            "labels": torch.tensor([box[4] for box in boxes], dtype=torch.long),
        }
        for boxes in BOXES.values()
    ]


def truths() -> list[list[Truth]]:
    return [
        [
            (
                (
                    (x + right) / 2 / WIDTH,
                    (y + bottom) / 2 / HEIGHT,
                    (right - x) / WIDTH,
                    (bottom - y) / HEIGHT,
                ),
                label - 1,
            )
            for x, y, right, bottom, label in boxes
        ]
        for boxes in BOXES.values()
    ]


def images(n: int = 3, seed: int = 1) -> Tensor:
    return torch.rand(n, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def both(model: DarknetModel) -> tuple[dict[str, Tensor], dict[str, Tensor], Tensor, Tensor]:
    """Return the losses, those of the loops, and the gradients of both sums at the layer's input."""
    raws: list[Tensor] = []

    def keep(_module: nn.Module, inputs: tuple[Tensor], _output: Tensor) -> None:
        inputs[0].retain_grad()
        raws.append(inputs[0])

    head = model.heads[0]
    handle = head.register_forward_hook(keep)
    losses = detection_losses(model, (images(), targets()))
    handle.remove()
    torch.autograd.backward(list(losses.values()))
    losses = {name: loss.detach() for name, loss in losses.items()}
    raw = raws[0].detach().requires_grad_()
    if isinstance(head.section, Yolo):
        slow = yolo_losses(head.section, raw, truths(), WIDTH, HEIGHT, activated=head.activated)
    else:
        slow = region_losses(head.section, raw, truths())
    (gradient,) = torch.autograd.grad(sum(slow.values()) / 3, raw)  # type: ignore[arg-type]
    assert raws[0].grad is not None
    return losses, {name: loss.detach() / 3 for name, loss in slow.items()}, raws[0].grad, gradient


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"iou_loss": "iou", "iou_normalizer": 0.07},
        {"iou_loss": "giou", "scale_x_y": 1.2},
        {"iou_loss": "diou", "cls_normalizer": 0.5, "obj_normalizer": 4.0, "delta_normalizer": 2},
        {"iou_loss": "ciou", "iou_thresh": 0.213, "scale_x_y": 1.05},
        {"iou_loss": "ciou", "iou_thresh": 0.3, "iou_thresh_kind": "giou", "ignore_thresh": 0.05},
        {"scale_x_y": 1.1, "label_smooth_eps": 0.1, "ignore_thresh": 0.1},
        {"focal_loss": 1, "counters_per_class": "10, 5, 40"},
        {"truth_thresh": 0.12, "ignore_thresh": 0.1},
        {"objectness_smooth": 1, "ignore_thresh": 0.02},
        {"new_coords": 1, "scale_x_y": 2.0, "iou_loss": "ciou", "iou_thresh": 0.2},
        {
            "new_coords": 1,
            "scale_x_y": 2.0,
            "objectness_smooth": 1,
            "ignore_thresh": 0.1,
            "label_smooth_eps": 0.2,
        },
        {"mask": "0,1"},
        {"mask": "3,0", "iou_thresh": 0.1, "iou_loss": "giou"},
    ],
    ids=str,
)
@pytest.mark.parametrize("activation", ["linear", "logistic"])
def test_the_losses_of_yolo_equal_the_formulas_cell_by_cell(options: dict[str, Any], activation: str) -> None:
    losses, slow, gradient, expected = both(head_of(yolo(**options), activation=activation))
    assert losses.keys() == slow.keys()
    for name, loss in losses.items():
        assert float(loss) == pytest.approx(float(slow[name]), rel=1e-9, abs=1e-12), name
    assert torch.allclose(gradient, expected, rtol=1e-6, atol=1e-10)
    assert float(losses["objectness"]) > 0


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        ({"iou_loss": "ciou"}, {"box"}),
        ({"iou_thresh": 0.3}, {"box", "objectness", "class"}),
        ({"truth_thresh": 0.12}, {"box", "objectness", "class"}),
        ({"ignore_thresh": 0.1}, {"objectness"}),
        ({"objectness_smooth": 1}, {"objectness"}),
        ({"scale_x_y": 1.2}, {"box"}),
        ({"label_smooth_eps": 0.1}, {"class"}),
        ({"focal_loss": 1}, {"class"}),
        ({"counters_per_class": "1,2,2"}, {"box", "objectness", "class"}),
        ({"delta_normalizer": 2}, {"box", "objectness", "class"}),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else " ".join(sorted(value)),
)
def test_each_option_changes_its_losses_only(options: dict[str, Any], changed: set[str]) -> None:
    base, other = (detection_losses(head_of(yolo(**each)), (images(), targets())) for each in ({}, options))
    assert {name for name in base if not torch.isclose(base[name].detach(), other[name].detach())} == changed


REGION_ANCHORS = "0.7,0.9, 1.5,1.6, 2.6,2.4"


@pytest.mark.parametrize(
    "options",
    [
        {"softmax": 1, "bias_match": 1, "rescore": 1, "object_scale": 5, "thresh": 0.6},
        {"softmax": 0, "coord_scale": 2, "noobject_scale": 0.5, "class_scale": 3, "thresh": 0.02},
        {"softmax": 1, "rescore": 0, "bias_match": 0, "absolute": 1, "thresh": 0.1},
    ],
    ids=str,
)
def test_the_losses_of_region_equal_the_formulas_cell_by_cell(options: dict[str, Any]) -> None:
    text = section("region", anchors=REGION_ANCHORS, classes=CLASSES, num=3, coords=4, **options)
    model = head_of(text, anchors=3)
    assert isinstance(model.heads[0].section, Region)
    losses, slow, gradient, expected = both(model)
    for name, loss in losses.items():
        assert float(loss) == pytest.approx(float(slow[name]), rel=1e-9), name
        assert float(loss) > 0
    assert torch.allclose(gradient, expected, rtol=1e-6, atol=1e-10)


def test_gradients_of_yolov3_are_minus_the_deltas_of_darknet() -> None:
    """One object, its anchor and cell: darknet writes weight · (target − value) at the layer's input."""
    model = head_of(yolo(mask="1", iou_normalizer=0.5, obj_normalizer=2), anchors=1)
    raws: list[Tensor] = []
    model.layers[0].register_forward_hook(lambda _module, _inputs, output: raws.append(output))
    target = {"boxes": torch.tensor([[17.0, 9.0, 28.0, 24.0]]), "labels": torch.tensor([2])}
    loss = total(model, (images(1), [target]))
    (gradient,) = torch.autograd.grad(loss, raws[0])
    x, y, w, h = (17 + 28) / 2 / WIDTH, (9 + 24) / 2 / HEIGHT, 11 / WIDTH, 15 / HEIGHT
    i, j = int(6 * x), int(4 * y)
    values, delta = raws[0][0, :, j, i].detach(), -gradient[0]
    p = values.sigmoid()
    weight = 0.5 * (2 - w * h)
    expected = [
        weight * (6 * x - i - p[0]), weight * (4 * y - j - p[1]), weight * (math.log(11 / 10) - values[2]),
        weight * (math.log(15 / 14) - values[3]), 2 * (1 - p[4]), -p[5], 1 - p[6], -p[7],
    ]  # fmt: skip
    assert delta[:, j, i].tolist() == pytest.approx([float(value) for value in expected])
    elsewhere = delta.clone()
    elsewhere[:, j, i] = 0
    background = -2 * raws[0][0, 4].detach().sigmoid()
    background[j, i] = 0
    assert torch.allclose(elsewhere[4], background)
    assert not elsewhere[[0, 1, 2, 3, 5, 6, 7]].any()


@pytest.mark.parametrize(
    ("kind", "reference"),
    [("giou", generalized_box_iou), ("diou", distance_box_iou), ("ciou", complete_box_iou)],
)
def test_overlaps_equal_those_of_torchvision(kind: str, reference: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    centres, sizes = (torch.rand(2, 30, 2, generator=generator, dtype=torch.float64) for _ in range(2))
    boxes, others = torch.cat([centres, sizes + 0.1], dim=-1)
    corners = [
        torch.cat([each[:, :2] - each[:, 2:] / 2, each[:, :2] + each[:, 2:] / 2], 1)
        for each in (boxes, others)
    ]
    assert torch.allclose(overlap(boxes, others, kind), reference(*corners).diagonal(), atol=1e-5)


# --- whole detectors ---


def spp(*sizes: int) -> str:
    pools = [
        section("maxpool", stride=1, size=size) + route(-2 * index) for index, size in enumerate(sizes, 1)
    ]
    return "".join(pools[:-1]) + section("maxpool", stride=1, size=sizes[-1]) + route(-1, -3, -4)


def detector(classes: int = CLASSES, **options: Any) -> str:
    """Write a small detector: a partial split by groups, SPP, attention, upsampling, and two scales."""
    filters = 2 * (5 + classes)
    end = {"batch_normalize": 0, "activation": "linear"}
    return (
        net(3, 64, 64)
        + conv(8, 3, 2)
        + conv(16, 3, 2)
        + conv(16, 3)  # 2
        + route(-1, groups=2, group_id=1)
        + conv(8, 3)
        + conv(8, 3)
        + route(-1, -2)
        + conv(16)
        + route(2, -1)  # 8
        + section("maxpool", size=2, stride=2)
        + conv(16)
        + spp(3, 5)  # 11 to 14
        + conv(16)
        + conv(16, activation="logistic")
        + section("sam", from_=-2)
        + conv(filters, **end)
        + yolo(mask="2,3", classes=classes, **options)  # 19
        + route(17)
        + conv(8)
        + section("upsample", stride=2)
        + route(-1, 8)
        + conv(filters, **end)
        + yolo(mask="0,1", classes=classes, **options)
    )


def scenes(n: int = 4, size: int = 64, seed: int = 0) -> tuple[Tensor, list[dict[str, Tensor]]]:
    generator = torch.Generator().manual_seed(seed)
    labelled = []
    for image in range(n):
        centres = 16 + 30 * torch.rand(image % 3, 2, generator=generator)
        sizes = 6 + 20 * torch.rand(image % 3, 2, generator=generator)
        labels = torch.randint(1, CLASSES + 1, (image % 3,), generator=generator)
        labelled.append({"boxes": torch.cat([centres - sizes / 2, centres + sizes / 2], 1), "labels": labels})
    return torch.rand(n, 3, size, size, generator=generator), labelled


def total(model: nn.Module, batch: Any) -> Tensor:
    return sum(detection_losses(model, batch).values(), torch.zeros(()))


def built(text: str | None = None) -> DarknetModel:
    torch.manual_seed(0)
    return DarknetModel(parse_cfg(text or detector(iou_loss="ciou", iou_thresh=0.2)))


def test_a_detector_returns_the_raw_outputs_of_each_scale() -> None:
    outputs = built()(torch.rand(2, 3, 64, 64))
    assert [tuple(output.shape) for output in outputs] == [(2, 16, 8, 8), (2, 16, 16, 16)]


def test_a_detector_is_captured_exactly_and_its_split_is_found() -> None:
    model = built()
    recording = gl.capture(model, [scenes(seed=0), scenes(seed=1)], step=total, samples=4)
    tables = gl.analyze(recording)
    exactness = tables["exactness"].frame
    assert exactness["error"].max() == 0
    assert exactness["projected_error"].max() < 1e-5
    branches = tables["branches"].frame
    split = branches[branches["site"].str.startswith("layers.2.")].iloc[
        0
    ]  # the half that no layer reads bypasses
    assert (split["kind"], split["branch_a"], split["branch_b"]) == ("parallel", "bypass", "dense")


REGION = (
    net(3, 64, 64)
    + conv(16, 3, 16)
    + conv(24, batch_normalize=0, activation="linear")
    + section("region", anchors=REGION_ANCHORS, classes=CLASSES, num=3, softmax=1, bias_match=1, rescore=1)
)
SCALED = (  # of Scaled-YOLOv4 and YOLOv7: an aggregation of four layers, and logistic coordinates
    net(3, 64, 64)
    + conv(16, 3, 4, activation="silu")
    + conv(8, activation="silu")
    + route(-2)
    + conv(8, activation="swish")
    + conv(8, 3, activation="mish")
    + conv(8, 3, activation="swish")
    + route(-1, -2, -3, -5)
    + conv(16, 3, 2, activation="silu")
    + conv(16, batch_normalize=0, activation="logistic")
    + yolo(
        new_coords=1, scale_x_y=2.0, iou_loss="ciou", iou_normalizer=0.05, iou_thresh=0.2, objectness_smooth=1,
        obj_normalizer=4.0, cls_normalizer=0.5,
    )
)  # fmt: skip


@pytest.mark.parametrize("text", [REGION, SCALED], ids=["region", "new coordinates"])
def test_detectors_of_other_kinds_are_captured_exactly(text: str) -> None:
    recording = gl.capture(built(text), [scenes(seed=0), scenes(seed=1)], step=total, samples=4)
    exactness = gl.analyze(recording)["exactness"].frame
    assert exactness["error"].max() == 0
    assert exactness["projected_error"].max() < 1e-5


def test_yolov7_tiny_has_the_published_size_and_is_captured_exactly() -> None:
    """6.2 M parameters and 13.8 GFLOPs at 640 px (arXiv 2207.02696, table 2; that count has the biases)."""
    cfg = parse_cfg(yolov7_tiny())
    flops = darknet_flops(cfg)
    assert flops.convolutions / 1e9 == pytest.approx(13.8, rel=0.01)
    with torch.device("meta"):
        published = DarknetModel(cfg)
    assert round(sum(value.numel() for value in published.parameters()) / 1e6, 1) == 6.2
    small = yolov7_tiny(CLASSES).replace("height=640", "height=64").replace("width=640", "width=64")
    recording = gl.capture(built(small), [scenes(seed=0)], step=total, samples=4)
    exactness = gl.analyze(recording)["exactness"].frame
    assert exactness["error"].max() == 0
    assert len(exactness[exactness["stage"] != "loss"]) == 32  # layers that several others read


@pytest.mark.parametrize("text", [None, REGION, SCALED], ids=["yolo", "region", "new coordinates"])
def test_batches_without_any_object_have_no_loss_of_boxes(text: str | None) -> None:
    empty = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.long)}
    losses = detection_losses(
        built(text), (torch.rand(2, 3, 64, 64), [empty, {"boxes": torch.zeros(0), "labels": torch.zeros(0)}])
    )
    assert float(losses["box"].detach()) == float(losses["class"].detach()) == 0
    assert float(losses["objectness"].detach()) > 0
    torch.autograd.backward(list(losses.values()))


def test_the_loss_is_the_mean_over_the_images() -> None:
    model = built().eval()
    pictures, labelled = scenes()
    whole = detection_losses(model, (pictures, labelled))
    single = [detection_losses(model, (pictures[i : i + 1], labelled[i : i + 1])) for i in range(4)]
    for name, loss in whole.items():
        assert float(loss.detach()) == pytest.approx(
            sum(float(each[name].detach()) for each in single) / 4, rel=1e-4
        )


def test_a_list_of_images_is_stacked() -> None:
    model = built().eval()
    pictures, labelled = scenes()
    stacked, listed = (detection_losses(model, (form, labelled)) for form in (pictures, list(pictures)))
    assert all(torch.equal(stacked[name], listed[name]) for name in stacked)


def test_heads_follow_the_classes_of_the_data(tmp_path: Path) -> None:
    file = tmp_path / "net.cfg"
    file.write_text(detector(counters_per_class="1,2,3"))
    with pytest.warns(ModelNote, match="counters_per_class of 3 classes is not used with 7 classes"):
        model = load_model(f"darknet:{file}", num_classes=7, image_size=64)
    assert isinstance(model, DarknetModel)
    assert [output.shape[1] for output in model(torch.rand(2, 3, 64, 64))] == [24, 24]
    assert [head.section.classes for head in model.heads] == [7, 7]


def test_weights_of_other_classes_leave_the_detections_fresh(tmp_path: Path) -> None:
    file = tmp_path / "net.cfg"
    file.write_text(detector())
    source = darknet_model(file, InputShape(None, 3, 64))
    numbers = [value for layer in source.layers for value in _stored(layer)]
    content = b"".join(value.detach().numpy().astype("<f4").tobytes() for value in numbers)
    (tmp_path / "net.weights").write_bytes(bytes([0] * 4 + [2] + [0] * 15) + content)
    load_weights(built(detector()), tmp_path / "net.weights")
    with pytest.warns(
        FreshHead, match=r"the detections layers\.(18|24) are fresh: the weights have 16 channels"
    ):
        model = load_model(
            f"darknet:{file}", num_classes=4, image_size=64, checkpoint=tmp_path / "net.weights", seed=0
        )
    assert isinstance(model, DarknetModel)
    assert [head.section.classes for head in model.heads] == [4, 4]
    assert torch.equal(model.layers[0].conv.weight, source.layers[0].conv.weight)  # type: ignore[union-attr]
    assert float(total(model, scenes()).detach()) > 0


def _stored(layer: nn.Module) -> list[Tensor]:
    """Return the numbers of a convolution in the order of a file."""
    if not hasattr(layer, "conv"):
        return []
    if layer.conv.bias is not None:  # type: ignore[union-attr]
        return [layer.conv.bias, layer.conv.weight]  # type: ignore[union-attr, list-item]
    norm = layer.bn
    return [norm.bias, norm.weight, norm.running_mean, norm.running_var, layer.conv.weight]  # type: ignore[union-attr, list-item]


def test_options_that_are_not_followed_are_notes(tmp_path: Path) -> None:
    file = tmp_path / "net.cfg"
    file.write_text(
        detector(max_delta=5, jitter=0.3, nms_kind="greedynms", colour=1).replace(
            "stride=2", "stride=2\nstopbackward=1\ngroup=1", 1
        )
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        darknet_model(file, InputShape(None, 3, 64))
    notes = [str(note.message) for note in caught if issubclass(note.category, ModelNote)]
    assert len(notes) == 6
    assert "stopbackward=1 is not followed" in notes[0]
    assert "with 'group' is not known and ignored; did you mean groups?" in notes[1]
    assert "'colour' is not known and ignored" in notes[2]
    assert "clips gradients at max_delta=5" in notes[3]


def boxed(*boxes: list[float], labels: Any = None) -> dict[str, Tensor]:
    return {
        "boxes": torch.tensor(boxes),
        "labels": torch.tensor([1] * len(boxes) if labels is None else labels),
    }


GOOD = [4.0, 4.0, 20.0, 20.0]


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (torch.rand(1, 3, 64, 64), "a batch is a Tensor, not images and targets"),
        (([], []), "the images are no tensor"),
        ((torch.rand(1, 3, 64, 64), torch.zeros(1)), "the targets are a Tensor, not one dict per image"),
        ((torch.rand(2, 3, 64, 64), [boxed(GOOD)]), "2 images have 1 targets"),
        (([torch.rand(3, 64, 64), torch.rand(3, 64, 32)], [boxed(GOOD)] * 2), "images of 2 shapes"),
        ((torch.rand(1, 3, 64, 64), [{"boxes": torch.tensor([GOOD])}]), "image 0 has no tensor 'labels'"),
        ((torch.rand(1, 3, 64, 64), [boxed(GOOD, labels=[0])]), "label 0 of image 0 is 0; labels are from 1 to 3"),
        ((torch.rand(1, 3, 64, 64), [boxed(GOOD, GOOD, labels=[3, 4])]), "label 1 of image 0 is 4"),
        ((torch.rand(1, 3, 64, 64), [boxed(GOOD, labels=[1, 2])]), "boxes of shape [1, 4] and labels of shape [2]"),
        ((torch.rand(1, 3, 64, 64), [boxed(GOOD, labels=[1.0])]), "are torch.float32; give whole numbers from 1"),
        ((torch.rand(1, 3, 64, 64), [boxed([20.0, 4, 4, 20])]), "box 0 of image 0, (20, 4, 4, 20), has no area"),
        ((torch.rand(1, 3, 64, 64), [boxed(GOOD, [60.0, 4, 70, 8])]), "box 1 of image 0, (60, 4, 70, 8), has its"),
        ((torch.rand(1, 3, 64, 64), [boxed([math.nan, 4, 4, 20])]), "is not finite"),
    ],
)  # fmt: skip
def test_the_error_for_a_batch_is_one_sentence(batch: Any, message: str) -> None:
    with pytest.raises(GradlensError) as caught:
        detection_losses(built(), batch)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_network_without_detections_has_no_such_losses() -> None:
    with pytest.raises(GradlensError, match="DarknetModel has no \\[yolo\\] or \\[region\\] layer"):
        detection_losses(built(net() + conv(3)), scenes())


HEAD = net() + conv(16, batch_normalize=0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + section("yolo", anchors="1,2", classes=3), "layer 1 reads 16 channels, but its 1 anchors and"),
        (HEAD + section("yolo", mask="0", num=2, anchors="1,2,3"), "it must be 4 numbers, the widths and heights"),
        (HEAD + section("yolo", mask="0,2", num=2, anchors="1,2,3,4"), "mask of [yolo] is '0,2'; it must be different"),
        (HEAD + section("yolo", anchors="1,-2"), "anchors of [yolo] is '1,-2'; it must be greater than 0"),
        (HEAD + section("yolo", anchors="1,x"), "anchors of [yolo] is '1,x'; it must be numbers"),
        (HEAD + yolo(iou_loss="eiou"), "iou_loss of [yolo] is 'eiou'; it must be one of mse, iou, giou, diou, ciou"),
        (HEAD + yolo(ignore_thresh="high"), "ignore_thresh of [yolo] is 'high'; it must be a number"),
        (HEAD + yolo(counters_per_class="1,2"), "counters_per_class of 2 classes, but classes=3"),
        (HEAD + yolo() + conv(3), "layer 2 reads the detections before it; a [route] to another layer must follow"),
        (HEAD + yolo() + route(-1), "layer 2 reads layer 1, which are detections"),
        (HEAD + section("region", anchors="1,2", classes=3, coords=5), "coords=5 is not supported; gradlens builds it"),
        (net() + section("reorg", stride=3), "layer 0 reorders 3 maps of 256×256 pixels with stride 3"),
        (net() + conv(4) + conv(2) + section("sam", from_=-2), "multiplies 4 maps of 256×256 pixels (layer 0) by 2"),
        (net() + conv(4) + section("avgpool") + conv(3) + section("scale_channels", from_=0), "by 3 of 1×1; it needs"),
        (net() + conv(4) + section("maxpool", maxpool_depth=1, out_channels=3), "has 3 groups, which do not divide"),
        (net() + conv(4, 3, pad=0, dilation=2), "has dilation=2 with a padding of 0 pixels and a size of 3"),
    ],
)  # fmt: skip
def test_the_error_for_a_mistake_in_a_detector_is_one_sentence(text: str, message: str) -> None:
    with pytest.raises(GradlensError) as caught:
        DarknetModel(parse_cfg(text, "t.cfg"))
    assert message in str(caught.value)
    assert str(caught.value).startswith("t.cfg, line ")
    assert "\n" not in str(caught.value)
