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
    """``[convolutional]``: ``padding`` in pixels per side."""

    line: int
    filters: int
    size: int
    stride: int
    padding: int
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
    """``[shortcut]``: ``source`` as written: relative if negative, else the index of a layer."""

    line: int
    source: int
    activation: str


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
    stride: int
    padding: int
    average: bool


@dataclass(frozen=True)
class Upsample:
    """``[upsample]``: repeats each pixel ``stride`` times in both directions."""

    line: int
    stride: int


@dataclass(frozen=True)
class Dropout:
    """``[dropout]``: the probability of a zero."""

    line: int
    probability: float


@dataclass(frozen=True)
class Plain:
    """A section without numbers: ``avgpool``, ``softmax`` or ``cost``."""

    line: int
    kind: str


Section: TypeAlias = Convolutional | Connected | Shortcut | Route | Pool | Upsample | Dropout | Plain


@dataclass(frozen=True)
class Cfg:
    """A whole file: its name, its ``[net]``, and its layers in darknet's order from 0."""

    file: str
    net: Net
    layers: tuple[Section, ...]
