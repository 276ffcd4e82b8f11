"""Sections of a darknet ``.cfg``; ``line`` is the line of the file at which a section begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Net:
    """``[net]``: channels, height and width (pixels) of the images."""

    line: int
    channels: int
    height: int
    width: int


@dataclass(frozen=True)
class Convolutional:
    """``[convolutional]``: ``stride`` of rows and columns, ``padding`` in pixels per side before the dilation."""

    line: int
    filters: int
    size: int
    stride: tuple[int, int]
    padding: int
    dilation: int
    groups: int
    batch_normalize: bool
    activation: str


@dataclass(frozen=True)
class Connected:
    """``[connected]``: a linear layer of ``output`` features."""

    line: int
    output: int
    batch_normalize: bool
    activation: str


@dataclass(frozen=True)
class Shortcut:
    """``[shortcut]``: ``sources`` as written: relative if negative, else the index of a layer."""

    line: int
    sources: tuple[int, ...]
    activation: str


@dataclass(frozen=True)
class Scaling:
    """``[sam]`` and ``[scale_channels]``: multiplies the layer ``source`` by the previous one.

    ``by_pixel``: the previous layer has one factor per pixel (``scale_wh=1``), else one per channel; None: one per
    element (``[sam]``).
    """

    line: int
    source: int
    activation: str
    by_pixel: bool | None


@dataclass(frozen=True)
class Route:
    """``[route]``: ``layers`` as written, of each the ``group_id``-th of ``groups`` parts."""

    line: int
    layers: tuple[int, ...]
    groups: int
    group_id: int


@dataclass(frozen=True)
class Pool:
    """``[maxpool]`` and ``[local_avgpool]``: ``padding`` in pixels, both sides together."""

    line: int
    size: int
    stride: tuple[int, int]
    padding: int
    average: bool


@dataclass(frozen=True)
class DepthPool:
    """``[maxpool]`` with ``maxpool_depth=1``: maxima over the channels, ``channels`` of them."""

    line: int
    channels: int


@dataclass(frozen=True)
class Upsample:
    """``[upsample]``: repeats each pixel ``stride`` times in both directions and multiplies it by ``scale``."""

    line: int
    stride: int
    scale: float


@dataclass(frozen=True)
class Reorg:
    """``[reorg3d]`` and ``[reorg]`` (``old``): moves the pixels of each ``stride × stride`` square to channels."""

    line: int
    stride: int
    old: bool


@dataclass(frozen=True)
class Dropout:
    """``[dropout]``: the probability of a zero."""

    line: int
    probability: float


@dataclass(frozen=True)
class Activation:
    """``[activation]``: a function of each element."""

    line: int
    activation: str


@dataclass(frozen=True)
class Plain:
    """A section without numbers: ``avgpool``, ``batchnorm``, ``empty``, ``softmax`` or ``cost``."""

    line: int
    kind: str


Anchors: TypeAlias = tuple[tuple[float, float], ...]
"""Widths and heights: in pixels of the image for ``[yolo]``, in cells for ``[region]``."""


@dataclass(frozen=True)
class Yolo:
    """``[yolo]``: the detections of one scale and their loss (see ``yolo_loss``).

    Attributes:
        line: of the file.
        classes: number of classes, without a background.
        anchors: all anchors of the network.
        mask: indices of the anchors of this scale.
        ignore_thresh: IoU with an object above which a box that is not responsible has no objectness loss.
        truth_thresh: IoU above which a box is responsible though its anchor is not the best.
        iou_thresh: IoU of shapes above which other anchors than the best are responsible too.
        iou_thresh_kind: the IoU compared with ``iou_thresh``: ``iou``, ``giou``, ``diou`` or ``ciou``.
        iou_loss: ``mse``, ``iou``, ``giou``, ``diou`` or ``ciou``.
        box_weight: ``iou_normalizer``.
        objectness_weight: ``obj_normalizer``.
        class_weight: ``cls_normalizer``.
        weight: ``delta_normalizer``, a factor of all three.
        scale_x_y: factor by which the centre may leave its cell.
        new_coords: whether sizes are squares of twice a logistic value.
        label_smooth_eps: ε of label smoothing.
        focal: whether the class loss is focal.
        objectness_smooth: whether the objectness of a box that overlaps an object is IoU².
        counts: ``counters_per_class``, objects of each class in the data set, or None.
    """

    line: int
    classes: int
    anchors: Anchors
    mask: tuple[int, ...]
    ignore_thresh: float
    truth_thresh: float
    iou_thresh: float
    iou_thresh_kind: str
    iou_loss: str
    box_weight: float
    objectness_weight: float
    class_weight: float
    weight: float
    scale_x_y: float
    new_coords: bool
    label_smooth_eps: float
    focal: bool
    objectness_smooth: bool
    counts: tuple[int, ...] | None


@dataclass(frozen=True)
class Region:
    """``[region]``: the detections of YOLOv2 and their loss (see ``region_loss``); fields as in the file."""

    line: int
    classes: int
    anchors: Anchors
    softmax: bool
    rescore: bool
    bias_match: bool
    thresh: float
    coord_scale: float
    object_scale: float
    noobject_scale: float
    class_scale: float

    @property
    def mask(self) -> tuple[int, ...]:
        """Indices of the anchors: all."""
        return tuple(range(len(self.anchors)))


Detection: TypeAlias = Yolo | Region
Section: TypeAlias = (
    Convolutional
    | Connected
    | Shortcut
    | Scaling
    | Route
    | Pool
    | DepthPool
    | Upsample
    | Reorg
    | Dropout
    | Activation
    | Plain
    | Yolo
    | Region
)


@dataclass(frozen=True)
class Cfg:
    """A whole file: its name, its ``[net]``, its layers in darknet's order from 0, and notes on its options."""

    file: str
    net: Net
    layers: tuple[Section, ...]
    notes: tuple[str, ...] = ()
