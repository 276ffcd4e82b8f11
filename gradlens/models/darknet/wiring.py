"""Turn sections into modules, and check their connections and shapes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn

from gradlens.errors import GradlensError, close_matches
from gradlens.models.darknet import sections
from gradlens.models.darknet.cfg import LARGEST
from gradlens.models.darknet.layers import (
    ACTIVATIONS,
    ConnectedLayer,
    ConvLayer,
    PoolLayer,
    RouteLayer,
    ShortcutLayer,
)
from gradlens.models.darknet.sections import Cfg, Section


@dataclass(frozen=True)
class Maps:
    """Shape of a layer's output for one image: ``c h w``."""

    channels: int
    height: int
    width: int

    def __str__(self) -> str:
        return f"{self.height}×{self.width}"


@dataclass(frozen=True)
class Wire:
    """A layer with its connections.

    Attributes:
        module: the layer.
        sources: indices of the earlier layers that it reads in addition to the previous one (shortcut) or
            instead of it (route).
        out: shape of its output.
    """

    module: nn.Module
    sources: tuple[int, ...]
    out: Maps


def wires(cfg: Cfg) -> list[Wire]:
    """Return the layers of a network in order.

    Raises:
        GradlensError: with file and line: an unknown activation, a layer that does not exist yet, channels
            or sizes that do not fit, maps without pixels, or a softmax before the end.
    """
    layers: list[Wire] = []
    for index, section in enumerate(cfg.layers):
        position = _Position(cfg, index, layers)
        wire = _wire(position, section)
        if min(wire.out.height, wire.out.width) < 1:
            raise position.error(
                f"reduces maps of {position.before} to less than one pixel; use larger images"
            )
        layers.append(wire)
    return layers


def _wire(position: _Position, section: Section) -> Wire:
    match section:
        case sections.Convolutional():
            return _convolutional(position, section)
        case sections.Connected():
            return _connected(position, section)
        case sections.Shortcut():
            return _shortcut(position, section)
        case sections.Route():
            return _route(position, section)
        case sections.Pool():
            return _pool(position, section)
        case sections.Upsample():
            before, stride = position.before, section.stride
            out = Maps(before.channels, before.height * stride, before.width * stride)
            return Wire(nn.Upsample(scale_factor=stride, mode="nearest"), (), out)
        case sections.Dropout():
            return Wire(nn.Dropout(section.probability), (), position.before)
        case sections.Plain():
            return _plain(position, section)


@dataclass(frozen=True)
class _Position:
    """A section among the layers before it."""

    cfg: Cfg
    index: int
    done: list[Wire]

    @property
    def before(self) -> Maps:
        net = self.cfg.net
        return self.done[-1].out if self.done else Maps(net.channels, net.height, net.width)

    def error(self, text: str) -> GradlensError:
        section = self.cfg.layers[self.index]
        return GradlensError(f"{self.cfg.file}, line {section.line}: layer {self.index} {text}")

    def source(self, written: int) -> int:
        """Return the index of the layer that ``from`` or ``layers`` names."""
        index = self.index + written if written < 0 else written
        if not 0 <= index < self.index:
            allowed = f"it may read 0 to {self.index - 1}" if self.index else "there is none before it"
            raise self.error(f"reads layer {index} ({written} in the file), but {allowed}")
        return index

    def check_activation(self, activation: str) -> None:
        if activation not in ACTIVATIONS:
            near = close_matches(activation, ACTIVATIONS) or f"; it may be {', '.join(ACTIVATIONS)}"
            raise self.error(f"has an activation {activation!r} that gradlens does not know{near}")

    def check_groups(self, groups: int, channels: Iterable[int], kind: str) -> None:
        for count in channels:
            if count % groups:
                raise self.error(f"has {groups} groups, which do not divide the {count} {kind} channels")

    def check_weights(self, weights: int) -> None:
        """Check that darknet itself could count the weights, before memory is allocated."""
        if weights > LARGEST:
            raise self.error(f"would have {weights} weights; darknet counts to {LARGEST}")


def _convolutional(position: _Position, section: sections.Convolutional) -> Wire:
    position.check_activation(section.activation)
    before = position.before
    position.check_groups(section.groups, [before.channels], "input")
    position.check_groups(section.groups, [section.filters], "output")
    height, width = (
        (length + 2 * section.padding - section.size) // section.stride + 1
        for length in (before.height, before.width)
    )
    position.check_weights(section.filters * before.channels // section.groups * section.size**2)
    return Wire(ConvLayer(section, before.channels), (), Maps(section.filters, height, width))


def _connected(position: _Position, section: sections.Connected) -> Wire:
    position.check_activation(section.activation)
    before = position.before
    features = before.channels * before.height * before.width
    position.check_weights(section.output * features)
    return Wire(ConnectedLayer(section, features), (), Maps(section.output, 1, 1))


def _shortcut(position: _Position, section: sections.Shortcut) -> Wire:
    position.check_activation(section.activation)
    source, before = position.source(section.source), position.before
    added = position.done[source].out
    sampled = [
        -(-length // -(-length // side))  # samples at every ⌈length / side⌉-th pixel
        for length, side in ((added.height, before.height), (added.width, before.width))
    ]
    if sampled != [before.height, before.width]:
        raise position.error(
            f"adds maps of {added} pixels (layer {source}) to maps of {before}; they do not fit"
        )
    return Wire(ShortcutLayer(section.activation), (source,), before)


def _route(position: _Position, section: sections.Route) -> Wire:
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


def _pool(position: _Position, section: sections.Pool) -> Wire:
    if section.padding > 2 * (section.size - 1):
        raise position.error(
            f"pads by {section.padding} pixels, so some windows of {section.size} would contain none;"
            f" pad by at most {2 * (section.size - 1)}"
        )
    before = position.before
    height, width = (
        (length + section.padding - section.size) // section.stride + 1
        for length in (before.height, before.width)
    )
    return Wire(PoolLayer(section), (), Maps(before.channels, height, width))


def _plain(position: _Position, section: sections.Plain) -> Wire:
    if section.kind == "avgpool":
        return Wire(nn.AdaptiveAvgPool2d(1), (), Maps(position.before.channels, 1, 1))
    following = position.cfg.layers[position.index + 1 :]
    if any(not isinstance(other, sections.Plain) or other.kind == "avgpool" for other in following):
        raise position.error(
            f"is a [{section.kind}] with layers after it; gradlens supports it at the end only"
        )
    return Wire(nn.Identity(), (), position.before)
