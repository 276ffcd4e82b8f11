"""Each section of a darknet ``.cfg`` that is a layer, read into its typed form."""

from __future__ import annotations

from collections.abc import Callable

from gradlens.errors import GradlensError
from gradlens.models.darknet import sections
from gradlens.models.darknet.detecting import region, yolo
from gradlens.models.darknet.raw import RawSection
from gradlens.models.darknet.sections import Section

LOADING = {"dontload": "0", "dontloadscales": "0"}
CONVOLUTION = LOADING | {
    "antialiasing": "0", "assisted_excitation": "0", "bin_output": "0", "binary": "0", "cbn": "0", "coordconv": "0",
    "flipped": "0", "reverse": "0", "rotate": "0", "share_index": "-1000000000", "stretch": "0",
    "stretch_sway": "0", "sway": "0", "xnor": "0",
}  # fmt: skip
POOL = {"antialiasing": "0", "maxpool_zero_nonmax": "0"}


def _convolutional(raw: RawSection) -> sections.Convolutional:
    raw.reads(
        "filters", "size", "stride", "stride_x", "stride_y", "dilation", "pad", "padding", "groups",
        "batch_normalize", "activation", fixed=CONVOLUTION, ignored=("angle", "dot"),
    )  # fmt: skip
    size = raw.integer("size", least=1)
    return sections.Convolutional(
        line=raw.line,
        filters=raw.integer("filters", least=1),
        size=size,
        stride=_strides(raw),
        padding=size // 2 if raw.flag("pad") else raw.integer("padding", 0),
        dilation=raw.integer("dilation", 1, least=1) if size > 1 else 1,
        groups=raw.integer("groups", 1, least=1),
        batch_normalize=raw.flag("batch_normalize"),
        activation=raw.text("activation", "logistic"),
    )


def _strides(raw: RawSection) -> tuple[int, int]:
    """Return the strides of rows and columns; ``stride_x`` is that of columns."""
    stride = raw.integer("stride", 1, least=1)
    return raw.integer("stride_y", stride, least=1), raw.integer("stride_x", stride, least=1)


def _connected(raw: RawSection) -> sections.Connected:
    raw.reads("output", "batch_normalize", "activation", fixed=LOADING | {"flipped": "0"})
    return sections.Connected(
        raw.line,
        raw.integer("output", least=1),
        raw.flag("batch_normalize"),
        raw.text("activation", "logistic"),
    )


def _shortcut(raw: RawSection) -> sections.Shortcut:
    fixed = {"weights_type": "none", "weights_normalization": "none"}
    raw.reads("from", "activation", fixed=fixed)
    return sections.Shortcut(raw.line, raw.integers("from"), raw.text("activation", "linear"))


def _route(raw: RawSection) -> sections.Route:
    raw.reads("layers", "groups", "group_id")
    groups = raw.integer("groups", 1, least=1)
    return sections.Route(raw.line, raw.integers("layers"), groups, raw.integer("group_id", 0))


def _scaling(raw: RawSection) -> sections.Scaling:
    raw.reads("from", "activation", "scale_wh")
    sources = raw.integers("from")
    if len(sources) > 1:
        raise GradlensError(f"{raw.position} reads {len(sources)} layers; it has one 'from'")
    by_pixel = raw.flag("scale_wh") if raw.name == "scale_channels" else None
    return sections.Scaling(raw.line, sources[0], raw.text("activation", "linear"), by_pixel)


def _pool(raw: RawSection) -> sections.Pool | sections.DepthPool:
    raw.reads(
        "size", "stride", "stride_x", "stride_y", "padding", "maxpool_depth", "out_channels", fixed=POOL
    )
    if raw.flag("maxpool_depth") and raw.name == "maxpool":
        return sections.DepthPool(raw.line, raw.integer("out_channels", 1, least=1))
    stride = raw.integer("stride", 1, least=1)
    size = raw.integer("size", stride if "stride" in raw.options else None, least=1)
    padding = raw.integer("padding", size - 1)
    return sections.Pool(raw.line, size, _strides(raw), padding, raw.name == "local_avgpool")


def _upsample(raw: RawSection) -> sections.Upsample:
    raw.reads("stride", "scale")
    return sections.Upsample(raw.line, raw.integer("stride", 2, least=1), raw.number("scale", 1.0))


def _reorg(raw: RawSection) -> sections.Reorg:
    raw.reads("stride", fixed={"reverse": "0"})
    return sections.Reorg(raw.line, raw.integer("stride", 1, least=1), raw.name == "reorg")


def _dropout(raw: RawSection) -> sections.Dropout:
    raw.reads("probability", fixed={"dropblock": "0"}, ignored=("dropblock_size_abs", "dropblock_size_rel"))
    return sections.Dropout(
        raw.line, raw.share("probability")
    )  # required: the defaults of darknet's forks differ


def _activation(raw: RawSection) -> sections.Activation:
    raw.reads("activation")
    return sections.Activation(raw.line, raw.text("activation", "linear"))


def _plain(raw: RawSection) -> sections.Plain:
    if raw.name not in ("softmax", "cost"):  # which are left out, with all their options
        raw.reads()
    return sections.Plain(raw.line, raw.name)


READERS: dict[str, Callable[[RawSection], Section]] = {
    "convolutional": _convolutional,
    "connected": _connected,
    "batchnorm": _plain,
    "activation": _activation,
    "shortcut": _shortcut,
    "route": _route,
    "sam": _scaling,
    "scale_channels": _scaling,
    "maxpool": _pool,
    "local_avgpool": _pool,
    "avgpool": _plain,
    "upsample": _upsample,
    "reorg": _reorg,
    "reorg3d": _reorg,
    "dropout": _dropout,
    "empty": _plain,
    "softmax": _plain,
    "cost": _plain,
    "yolo": yolo,
    "region": region,
}
