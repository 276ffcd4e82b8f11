"""Darknet definitions, section by section: the networks of the CSPNet paper (arXiv 1911.11929), and YOLOv7-tiny."""

from __future__ import annotations


def section(name: str, **options: float | str) -> str:
    """Return one section; ``from_`` is written as the key ``from``."""
    lines = [f"{key.rstrip('_')}={value}" for key, value in options.items()]
    return "\n".join([f"[{name}]", *lines, "", ""])


def net(channels: int = 3, height: int = 256, width: int = 256) -> str:
    return section("net", channels=channels, height=height, width=width)


def conv(
    filters: int, size: int = 1, stride: int = 1, activation: str = "leaky", **options: int | str
) -> str:
    shape = {"filters": filters, "size": size, "stride": stride, "pad": 1}
    return section("convolutional", **{"batch_normalize": 1, **shape, "activation": activation, **options})


def shortcut(source: int, activation: str = "linear") -> str:
    return section("shortcut", from_=source, activation=activation)


def route(*layers: int, **options: int | str) -> str:
    return section("route", layers=",".join(map(str, layers)), **options)


STEM = conv(64, 7, 2) + section("maxpool", size=2, stride=2)
POOL = section("avgpool")
CLASSIFIER = conv(1000, activation="linear", batch_normalize=0)
SOFTMAX = section("softmax", groups=1)
HEAD = POOL + CLASSIFIER + SOFTMAX


def bottleneck(middle: int, out: int, groups: int = 1, stride: int = 1) -> str:
    """1x1, 3x3 and 1x1 convolutions, and a shortcut of their input, which may be narrower or larger."""
    spatial = conv(middle, 3, stride, groups=groups)
    return conv(middle) + spatial + conv(out, activation="linear") + shortcut(-4, "leaky")


def unit(middle: int, out: int) -> str:
    """Darknet's residual unit."""
    return conv(middle) + conv(out, 3) + shortcut(-3)


def cross_stage(
    block: str, blocks: int, bypass: int, dense: int, out: int, merged: int, entry: str = "leaky"
) -> str:
    """Two 1x1 convolutions of one input; blocks after the second; 1x1; concat; 1x1 to ``merged``."""
    start = conv(bypass, activation=entry) + route(-2) + conv(dense, activation=entry)
    layers = block.count("[") * blocks
    return start + block * blocks + conv(out) + route(-1, -(layers + 4)) + conv(merged)


def resnet10() -> str:
    text = net() + STEM
    for stage, width in enumerate((64, 128, 256, 512)):
        text += (
            conv(width, 3, 2 if stage else 1) + conv(width, 3, activation="linear") + shortcut(-3, "leaky")
        )
    return text + HEAD


def _resnet(widths: tuple[int, ...], groups: int, head: str) -> str:
    text = net() + STEM
    for stage, (middle, blocks) in enumerate(zip(widths, (3, 4, 6, 3), strict=True)):
        out = 256 * 2**stage
        text += bottleneck(middle, out, groups, 2 if stage else 1)
        text += bottleneck(middle, out, groups) * (blocks - 1)
    return text + head


def resnet50() -> str:
    """The only network with the classifier before the average pooling."""
    return _resnet((64, 128, 256, 512), 1, CLASSIFIER + POOL + SOFTMAX)


def resnext50() -> str:
    return _resnet((128, 256, 512, 1024), 32, HEAD)


def csresnet50() -> str:
    text = net() + STEM
    for stage, blocks in enumerate((3, 3, 5, 2)):
        middle = 64 * 2**stage
        out = 2 * middle
        if stage:
            text += conv(middle, 3, 2)
        text += cross_stage(
            bottleneck(middle, out), blocks, out, out if stage else 64, out, out, _entry_activation(stage)
        )
    return text + HEAD


def csresnext50() -> str:
    text = net() + STEM
    for stage, blocks in enumerate((3, 3, 5, 2)):
        out = 128 * 2**stage
        if stage:
            text += conv(out, 3, 2, groups=32)
        text += cross_stage(
            bottleneck(out, out, 32),
            blocks,
            out,
            out if stage else 64,
            out,
            2 * out,
            _entry_activation(stage),
        )
    return text + HEAD


def _entry_activation(stage: int) -> str:
    return "linear" if stage in (1, 2) else "leaky"


def darknet53() -> str:
    text = net() + conv(32, 3)
    for stage, units in enumerate((1, 2, 8, 8, 4)):
        width = 64 * 2**stage
        text += conv(width, 3, 2) + unit(width // 2, width) * units
    return text + HEAD


def csdarknet53() -> str:
    text = net() + conv(32, 3)
    for stage, units in enumerate((1, 2, 8, 8, 4)):
        width = 64 * 2**stage
        half = width // 2 if stage else width
        block = unit(half if stage else half // 2, half)
        text += conv(width, 3, 2) + cross_stage(block, units, half, half, half, width)
    return text + HEAD


ANCHORS = "10,13, 16,30, 33,23, 30,61, 62,45, 59,119, 116,90, 156,198, 373,326"


def aggregation(width: int, out: int) -> str:
    """Two 1x1 convolutions of one input, two 3x3 after the second, all four concatenated (ELAN, arXiv 2207.02696)."""
    start = conv(width) + route(-2) + conv(width)
    return start + conv(width, 3) + conv(width, 3) + route(-5, -3, -2, -1) + conv(out)


def yolov7_tiny(classes: int = 80) -> str:
    halved = section("maxpool", size=2, stride=2)
    text = net(3, 640, 640) + conv(32, 3, 2) + conv(64, 3, 2) + aggregation(32, 64)  # 8
    text += halved + aggregation(64, 128) + halved + aggregation(128, 256)  # 16, 24
    text += halved + aggregation(256, 512)  # 32
    text += conv(256) + route(-2) + conv(256)
    text += (
        section("maxpool", stride=1, size=5) + route(-2) + section("maxpool", stride=1, size=9) + route(-4)
    )
    text += (
        section("maxpool", stride=1, size=13) + route(-1, -3, -5, -6) + conv(256) + route(-10, -1) + conv(256)
    )  # 44
    text += (
        conv(128)
        + section("upsample", stride=2)
        + route(24)
        + conv(128)
        + route(-1, -3)
        + aggregation(64, 128)
    )
    text += (
        conv(64) + section("upsample", stride=2) + route(16) + conv(64) + route(-1, -3) + aggregation(32, 64)
    )
    text += conv(128, 3, 2) + route(-1, 56) + aggregation(64, 128)  # 77
    text += conv(256, 3, 2) + route(-1, 44) + aggregation(128, 256)  # 86
    for scale, (layer, width) in enumerate([(68, 128), (77, 256), (86, 512)]):
        text += route(layer) + conv(width, 3)
        text += conv(3 * (5 + classes), batch_normalize=0, activation="logistic")
        text += section(
            "yolo", mask=f"{3 * scale},{3 * scale + 1},{3 * scale + 2}", anchors=ANCHORS, classes=classes, num=9,
            scale_x_y="2.0", objectness_smooth=1, ignore_thresh=".7", truth_thresh=1, iou_thresh=0.2,
            iou_normalizer=0.05, cls_normalizer=0.5, obj_normalizer=1.0, iou_loss="ciou", new_coords=1, max_delta=2,
        )  # fmt: skip
    return text
