"""The sections ``[yolo]`` and ``[region]``, read into their typed form."""

from __future__ import annotations

from gradlens.errors import GradlensError
from gradlens.models.darknet.raw import RawSection
from gradlens.models.darknet.sections import Anchors, Region, Yolo

IOUS = ("mse", "iou", "giou", "diou", "ciou")
# Augmentation, display, suppression of boxes and tracking.
OUTSIDE = (
    "beta_nms", "dets_for_show", "dets_for_track", "embedding_layer", "jitter", "max", "nms_kind", "random", "resize",
    "sim_thresh", "track_ciou_norm", "track_history_size",
)  # fmt: skip
UNUSED = ("absolute", "classfix", "log", "mask_scale", "sqrt")  # read by darknet without an effect


def yolo(raw: RawSection) -> Yolo:
    """Read a ``[yolo]``, with the defaults of darknet.

    Raises:
        GradlensError: a value is not allowed, or the anchors do not fit ``num`` and ``mask``.
    """
    raw.reads(
        "classes", "num", "mask", "anchors", "max_delta", "counters_per_class", "label_smooth_eps", "scale_x_y",
        "objectness_smooth", "new_coords", "iou_normalizer", "obj_normalizer", "cls_normalizer", "delta_normalizer",
        "iou_loss", "iou_thresh_kind", "focal_loss", "ignore_thresh", "truth_thresh", "iou_thresh",
        ignored=OUTSIDE, fixed={"map": "none"},
    )  # fmt: skip
    if "max_delta" in raw.options:
        raw.notes.append(
            f"{raw.position} clips gradients at max_delta={raw.number('max_delta', 1.0):g} in darknet; a clip is no "
            "part of a loss, and the gradients measured are not clipped"
        )
    classes = raw.integer("classes", 20, least=1)
    anchors = _anchors(raw)
    return Yolo(
        line=raw.line,
        classes=classes,
        anchors=anchors,
        mask=_mask(raw, len(anchors)),
        ignore_thresh=raw.number("ignore_thresh", 0.5),
        truth_thresh=raw.number("truth_thresh", 1.0),
        iou_thresh=raw.number("iou_thresh", 1.0),
        iou_thresh_kind=raw.choice("iou_thresh_kind", "iou", IOUS[1:]),
        iou_loss=raw.choice("iou_loss", "mse", IOUS),
        box_weight=raw.number("iou_normalizer", 0.75),
        objectness_weight=raw.number("obj_normalizer", 1.0),
        class_weight=raw.number("cls_normalizer", 1.0),
        weight=raw.number("delta_normalizer", 1.0),
        scale_x_y=raw.number("scale_x_y", 1.0, least=1e-6),
        new_coords=raw.flag("new_coords"),
        label_smooth_eps=raw.number("label_smooth_eps", 0.0),
        focal=raw.flag("focal_loss"),
        objectness_smooth=raw.flag("objectness_smooth"),
        counts=_counts(raw, classes),
    )


def region(raw: RawSection) -> Region:
    """Read a ``[region]``, with the defaults of darknet.

    Raises:
        GradlensError: a value is not allowed or not supported, or the anchors do not fit ``num``.
    """
    raw.reads(
        "anchors", "classes", "num", "softmax", "rescore", "thresh", "coord_scale", "object_scale", "noobject_scale",
        "class_scale", "bias_match", ignored=(*OUTSIDE, *UNUSED),
        fixed={"coords": "4", "tree": "none", "map": "none", "focal_loss": "0"},
    )  # fmt: skip
    return Region(
        line=raw.line,
        classes=raw.integer("classes", 20, least=1),
        anchors=_anchors(raw),
        softmax=raw.flag("softmax"),
        rescore=raw.flag("rescore"),
        bias_match=raw.flag("bias_match"),
        thresh=raw.number("thresh", 0.5),
        coord_scale=raw.number("coord_scale", 1.0),
        object_scale=raw.number("object_scale", 1.0),
        noobject_scale=raw.number("noobject_scale", 1.0),
        class_scale=raw.number("class_scale", 1.0),
    )


def _anchors(raw: RawSection) -> Anchors:
    """Return the first ``num`` pairs of widths and heights."""
    count = raw.integer("num", 1, least=1)
    numbers = raw.numbers("anchors")
    if len(numbers) < 2 * count:
        raise raw.bad("anchors", f"{2 * count} numbers, the widths and heights of num={count}")
    pairs = tuple(zip(numbers[0 : 2 * count : 2], numbers[1 : 2 * count : 2], strict=True))
    if min(numbers[: 2 * count]) <= 0:
        raise raw.bad("anchors", "greater than 0")
    return pairs


def _mask(raw: RawSection, count: int) -> tuple[int, ...]:
    if "mask" not in raw.options:
        return tuple(range(count))
    mask = raw.integers("mask")
    if not all(0 <= index < count for index in mask) or len(set(mask)) < len(mask):
        raise raw.bad("mask", f"different numbers from 0 to {count - 1}, of the num={count} anchors")
    return mask


def _counts(raw: RawSection, classes: int) -> tuple[int, ...] | None:
    if "counters_per_class" not in raw.options:
        return None
    counts = raw.integers("counters_per_class")
    if len(counts) != classes:
        raise GradlensError(
            f"{raw.position} has counters_per_class of {len(counts)} classes, but classes={classes}"
        )
    return tuple(max(count, 1) for count in counts)
