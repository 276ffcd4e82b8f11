"""A section among the layers before it, and the checks of what it reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn

from gradlens.errors import GradlensError, close_matches
from gradlens.models.darknet.heads import DetectionHead
from gradlens.models.darknet.layers import ACTIVATIONS
from gradlens.models.darknet.raw import LARGEST
from gradlens.models.darknet.sections import Cfg


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


@dataclass(frozen=True)
class Position:
    """A section among the layers before it."""

    cfg: Cfg
    index: int
    done: list[Wire]

    @property
    def before(self) -> Maps:
        """Shape of the previous layer's output, or of the images."""
        net = self.cfg.net
        if self.done and isinstance(self.done[-1].module, DetectionHead):
            raise self.error("reads the detections before it; a [route] to another layer must follow them")
        return self.done[-1].out if self.done else Maps(net.channels, net.height, net.width)

    def error(self, text: str) -> GradlensError:
        """Return an error that names the file, the line and the layer."""
        section = self.cfg.layers[self.index]
        return GradlensError(f"{self.cfg.file}, line {section.line}: layer {self.index} {text}")

    def source(self, written: int) -> int:
        """Return the index of the layer that ``from`` or ``layers`` names."""
        index = self.index + written if written < 0 else written
        if not 0 <= index < self.index:
            allowed = f"it may read 0 to {self.index - 1}" if self.index else "there is none before it"
            raise self.error(f"reads layer {index} ({written} in the file), but {allowed}")
        if isinstance(self.done[index].module, DetectionHead):
            raise self.error(
                f"reads layer {index}, which are detections; gradlens reads layers before them only"
            )
        return index

    def check_activation(self, activation: str) -> None:
        """Check that an activation is known."""
        if activation not in ACTIVATIONS:
            near = close_matches(activation, ACTIVATIONS) or f"; it may be {', '.join(ACTIVATIONS)}"
            raise self.error(f"has an activation {activation!r} that gradlens does not know{near}")

    def check_groups(self, groups: int, channels: Iterable[int], kind: str) -> None:
        """Check that all numbers of channels can be divided into groups."""
        for count in channels:
            if count % groups:
                raise self.error(f"has {groups} groups, which do not divide the {count} {kind} channels")

    def check_weights(self, weights: int) -> None:
        """Check that darknet itself could count the weights, before memory is allocated."""
        if weights > LARGEST:
            raise self.error(f"would have {weights} weights; darknet counts to {LARGEST}")
