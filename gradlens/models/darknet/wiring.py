"""Turn sections into modules, and check their connections and shapes."""

from __future__ import annotations

from torch import nn

from gradlens.models.darknet import sections
from gradlens.models.darknet.heads import DetectionHead, head_channels
from gradlens.models.darknet.joining import RouteLayer, ScalingLayer, ShortcutLayer
from gradlens.models.darknet.layers import BatchNormLayer, ConnectedLayer, ConvLayer, activation_layer
from gradlens.models.darknet.positions import Maps, Position, Wire
from gradlens.models.darknet.resampling import DepthPoolLayer, PoolLayer, ReorgLayer, UpsampleLayer
from gradlens.models.darknet.sections import Cfg, Section


def wires(cfg: Cfg) -> list[Wire]:
    """Return the layers of a network in order.

    Raises:
        GradlensError: with file and line: an unknown activation, a layer that does not exist yet, channels
            or sizes that do not fit, maps without pixels, or a softmax before the end.
    """
    layers: list[Wire] = []
    for index, section in enumerate(cfg.layers):
        position = Position(cfg, index, layers)
        wire = _wire(position, section)
        if min(wire.out.height, wire.out.width) < 1:
            raise position.error(
                f"reduces maps of {position.before} to less than one pixel; use larger images"
            )
        layers.append(wire)
    return layers


def _wire(position: Position, section: Section) -> Wire:
    match section:
        case sections.Convolutional():
            return _convolutional(position, section)
        case sections.Connected():
            return _connected(position, section)
        case sections.Shortcut():
            return _shortcut(position, section)
        case sections.Scaling():
            return _scaling(position, section)
        case sections.Route():
            return _route(position, section)
        case sections.Pool():
            return _pool(position, section)
        case sections.DepthPool():
            return _depth_pool(position, section)
        case sections.Upsample():
            before, stride = position.before, section.stride
            out = Maps(before.channels, before.height * stride, before.width * stride)
            return Wire(UpsampleLayer(section), (), out)
        case sections.Reorg():
            return _reorg(position, section)
        case sections.Dropout():
            return Wire(nn.Dropout(section.probability), (), position.before)
        case sections.Activation():
            position.check_activation(section.activation)
            return Wire(activation_layer(section.activation), (), position.before)
        case sections.Plain():
            return _plain(position, section)
        case sections.Yolo() | sections.Region():
            return _detection(position, section)


def _convolutional(position: Position, section: sections.Convolutional) -> Wire:
    position.check_activation(section.activation)
    before = position.before
    position.check_groups(section.groups, [before.channels], "input")
    position.check_groups(section.groups, [section.filters], "output")
    if section.dilation > 1 and 2 * section.padding != section.size - 1:
        raise position.error(
            f"has dilation={section.dilation} with a padding of {section.padding} pixels and a size of {section.size}; "
            "gradlens reads dilated convolutions that keep the size of the maps (pad=1, odd size)"
        )
    height, width = (
        (length + 2 * section.padding - section.size) // stride + 1
        for length, stride in zip((before.height, before.width), section.stride, strict=True)
    )
    position.check_weights(section.filters * before.channels // section.groups * section.size**2)
    return Wire(ConvLayer(section, before.channels), (), Maps(section.filters, height, width))


def _connected(position: Position, section: sections.Connected) -> Wire:
    position.check_activation(section.activation)
    before = position.before
    features = before.channels * before.height * before.width
    position.check_weights(section.output * features)
    return Wire(ConnectedLayer(section, features), (), Maps(section.output, 1, 1))


def _shortcut(position: Position, section: sections.Shortcut) -> Wire:
    position.check_activation(section.activation)
    before = position.before
    sources = tuple(position.source(written) for written in section.sources)
    for source in sources:
        added = position.done[source].out
        sampled = [
            -(-length // -(-length // side))  # samples at every ⌈length / side⌉-th pixel
            for length, side in ((added.height, before.height), (added.width, before.width))
        ]
        if sampled != [before.height, before.width]:
            raise position.error(
                f"adds maps of {added} pixels (layer {source}) to maps of {before}; they do not fit"
            )
    return Wire(ShortcutLayer(section.activation), sources, before)


def _scaling(position: Position, section: sections.Scaling) -> Wire:
    position.check_activation(section.activation)
    factors, source = position.before, position.source(section.source)
    scaled = position.done[source].out
    needed = {
        None: scaled,
        True: Maps(1, scaled.height, scaled.width),
        False: Maps(scaled.channels, 1, 1),
    }[section.by_pixel]
    if factors != needed:
        raise position.error(
            f"multiplies {scaled.channels} maps of {scaled} pixels (layer {source}) by {factors.channels} of {factors};"
            f" it needs {needed.channels} of {needed}"
        )
    return Wire(ScalingLayer(section), (source,), scaled)


def _route(position: Position, section: sections.Route) -> Wire:
    sources = tuple(position.source(written) for written in section.layers)
    maps = [position.done[source].out for source in sources]
    if section.group_id >= section.groups:
        raise position.error(f"takes group {section.group_id}, but its {section.groups} groups count from 0")
    position.check_groups(section.groups, [source.channels for source in maps], "source")
    if len({(source.height, source.width) for source in maps}) > 1:
        sizes = ", ".join(f"{shape} (layer {index})" for shape, index in zip(maps, sources, strict=True))
        raise position.error(f"joins maps of {sizes} pixels; they must have one size")
    channels = sum(source.channels // section.groups for source in maps)
    return Wire(RouteLayer(section), sources, Maps(channels, maps[0].height, maps[0].width))


def _pool(position: Position, section: sections.Pool) -> Wire:
    if section.padding > 2 * (section.size - 1):
        raise position.error(
            f"pads by {section.padding} pixels, so some windows of {section.size} would contain none;"
            f" pad by at most {2 * (section.size - 1)}"
        )
    before = position.before
    height, width = (
        (length + section.padding - section.size) // stride + 1
        for length, stride in zip((before.height, before.width), section.stride, strict=True)
    )
    return Wire(PoolLayer(section), (), Maps(before.channels, height, width))


def _depth_pool(position: Position, section: sections.DepthPool) -> Wire:
    before = position.before
    position.check_groups(section.channels, [before.channels], "input")
    return Wire(DepthPoolLayer(section.channels), (), Maps(section.channels, before.height, before.width))


def _reorg(position: Position, section: sections.Reorg) -> Wire:
    before, stride = position.before, section.stride
    if before.height % stride or before.width % stride or (section.old and before.channels % stride**2):
        raise position.error(
            f"reorders {before.channels} maps of {before} pixels with stride {stride}, which does not divide them"
        )
    out = Maps(before.channels * stride**2, before.height // stride, before.width // stride)
    return Wire(ReorgLayer(section), (), out)


def _detection(position: Position, section: sections.Detection) -> Wire:
    before = position.before
    needed = head_channels(section, section.classes)
    if before.channels != needed:
        raise position.error(
            f"reads {before.channels} channels, but its {len(section.mask)} anchors and classes={section.classes} need "
            f"{needed}; use filters={needed} in the [convolutional] before it"
        )
    previous = position.cfg.layers[position.index - 1] if position.index else None
    activated = isinstance(previous, sections.Convolutional) and previous.activation == "logistic"
    return Wire(DetectionHead(section, activated), (), before)


def _plain(position: Position, section: sections.Plain) -> Wire:
    before = position.before
    if section.kind == "avgpool":
        return Wire(nn.AdaptiveAvgPool2d(1), (), Maps(before.channels, 1, 1))
    if section.kind == "batchnorm":
        return Wire(BatchNormLayer(before.channels), (), before)
    following = position.cfg.layers[position.index + 1 :]
    ends = ("softmax", "cost", "empty")
    if section.kind != "empty" and any(
        not isinstance(other, sections.Plain) or other.kind not in ends for other in following
    ):
        raise position.error(
            f"is a [{section.kind}] with layers after it; gradlens supports it at the end only"
        )
    return Wire(nn.Identity(), (), before)
