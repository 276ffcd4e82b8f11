"""From a section to its module: what it reads, what it puts out, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn

from gradlens.errors import GradlensError, close_matches
from gradlens.models.darknet.cfg import LARGEST
from gradlens.models.darknet.layers import (
    ACTIVATIONS,
    ConnectedLayer,
    ConvLayer,
    PoolLayer,
    RouteLayer,
    ShortcutLayer,
)
from gradlens.models.darknet.sections import (
    Cfg,
    Connected,
    Convolutional,
    Dropout,
    Plain,
    Pool,
    Route,
    Section,
    Shortcut,
    Upsample,
)


@dataclass(frozen=True)
class Maps:
    """What a layer puts out for one image: ``c h w``."""

    channels: int
    height: int
    width: int

    def __str__(self) -> str:
        return f"{self.height}×{self.width}"


@dataclass(frozen=True)
class Wire:
    """A layer in its place.

    Attributes:
        module: the layer.
        sources: indices of the earlier layers it reads beside (shortcut) or instead of (route) the
            one before it.
        out: what it puts out.
    """

    module: nn.Module
    sources: tuple[int, ...]
    out: Maps


def wires(cfg: Cfg) -> list[Wire]:
    """The layers of a network in order.

    Raises:
        GradlensError: with file and line: an activation that is not known, a layer that does not
            exist yet, channels or sizes that do not fit, maps without pixels, or a softmax that
            is not at the end.
    """
    found: list[Wire] = []
    for index, section in enumerate(cfg.layers):
        site = _Site(cfg, index, found)
        wire = _wire(site, section)
        if min(wire.out.height, wire.out.width) < 1:
            raise site.error(f"leaves no pixel of maps of {site.before}; use larger images")
        found.append(wire)
    return found


def _wire(site: _Site, section: Section) -> Wire:
    match section:
        case Convolutional():
            return _convolutional(site, section)
        case Connected():
            return _connected(site, section)
        case Shortcut():
            return _shortcut(site, section)
        case Route():
            return _route(site, section)
        case Pool():
            return _pool(site, section)
        case Upsample():
            before, stride = site.before, section.stride
            out = Maps(before.channels, before.height * stride, before.width * stride)
            return Wire(nn.Upsample(scale_factor=stride, mode="nearest"), (), out)
        case Dropout():
            return Wire(nn.Dropout(section.probability), (), site.before)
        case Plain():
            return _plain(site, section)


@dataclass(frozen=True)
class _Site:
    """Where a section stands: what came before it, and how its errors begin."""

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
        """Index of the layer that ``from`` or ``layers`` means."""
        index = self.index + written if written < 0 else written
        if not 0 <= index < self.index:
            seen = f"it may read 0 to {self.index - 1}" if self.index else "there is none before it"
            raise self.error(f"reads layer {index} ({written} in the file), but {seen}")
        return index

    def knows(self, activation: str) -> None:
        if activation not in ACTIVATIONS:
            near = close_matches(activation, ACTIVATIONS) or f"; it may be {', '.join(ACTIVATIONS)}"
            raise self.error(f"has an activation {activation!r} that gradlens does not know{near}")

    def divides(self, groups: int, channels: Iterable[int], what: str) -> None:
        for count in channels:
            if count % groups:
                raise self.error(f"has {groups} groups, which do not divide the {count} {what} channels")

    def holds(self, weights: int) -> None:
        """Refuse what darknet itself cannot count, before memory is asked for."""
        if weights > LARGEST:
            raise self.error(f"would have {weights} weights; darknet counts to {LARGEST}")


def _convolutional(site: _Site, section: Convolutional) -> Wire:
    site.knows(section.activation)
    before = site.before
    site.divides(section.groups, [before.channels], "input")
    site.divides(section.groups, [section.filters], "output")
    height, width = (
        (length + 2 * section.padding - section.size) // section.stride + 1
        for length in (before.height, before.width)
    )
    site.holds(section.filters * before.channels // section.groups * section.size**2)
    return Wire(ConvLayer(section, before.channels), (), Maps(section.filters, height, width))


def _connected(site: _Site, section: Connected) -> Wire:
    site.knows(section.activation)
    before = site.before
    features = before.channels * before.height * before.width
    site.holds(section.output * features)
    return Wire(ConnectedLayer(section, features), (), Maps(section.output, 1, 1))


def _shortcut(site: _Site, section: Shortcut) -> Wire:
    site.knows(section.activation)
    source, before = site.source(section.source), site.before
    added = site.done[source].out
    sampled = [
        -(-length // -(-length // own))  # samples at every ⌈length / own⌉-th pixel
        for length, own in ((added.height, before.height), (added.width, before.width))
    ]
    if sampled != [before.height, before.width]:
        raise site.error(f"adds maps of {added} pixels (layer {source}) to maps of {before}; they do not fit")
    return Wire(ShortcutLayer(section.activation), (source,), before)


def _route(site: _Site, section: Route) -> Wire:
    sources = tuple(site.source(written) for written in section.layers)
    maps = [site.done[source].out for source in sources]
    if section.group_id >= section.groups:
        raise site.error(f"takes group {section.group_id}, but its {section.groups} groups count from 0")
    site.divides(section.groups, [one.channels for one in maps], "source")
    if len({(one.height, one.width) for one in maps}) > 1:
        sizes = ", ".join(f"{one} (layer {source})" for one, source in zip(maps, sources, strict=True))
        raise site.error(f"joins maps of {sizes} pixels; they must have one size")
    channels = sum(one.channels // section.groups for one in maps)
    return Wire(RouteLayer(section), sources, Maps(channels, maps[0].height, maps[0].width))


def _pool(site: _Site, section: Pool) -> Wire:
    if section.padding > 2 * (section.size - 1):
        raise site.error(
            f"pads by {section.padding} pixels, so that windows of {section.size} see none;"
            f" at most {2 * (section.size - 1)} make sense"
        )
    before = site.before
    height, width = (
        (length + section.padding - section.size) // section.stride + 1
        for length in (before.height, before.width)
    )
    return Wire(PoolLayer(section), (), Maps(before.channels, height, width))


def _plain(site: _Site, section: Plain) -> Wire:
    if section.kind == "avgpool":
        return Wire(nn.AdaptiveAvgPool2d(1), (), Maps(site.before.channels, 1, 1))
    behind = site.cfg.layers[site.index + 1 :]
    if any(not isinstance(other, Plain) or other.kind == "avgpool" for other in behind):
        raise site.error(
            f"is a [{section.kind}] with layers behind it; gradlens leaves it out at the end only"
        )
    return Wire(nn.Identity(), (), site.before)
