"""A network from a darknet ``.cfg``."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

from torch import Tensor, nn

from gradlens.errors import GradlensError, ModelNote
from gradlens.models.darknet.cfg import read_cfg
from gradlens.models.darknet.heads import DetectionHead, head_channels
from gradlens.models.darknet.joining import RouteLayer, ScalingLayer, ShortcutLayer
from gradlens.models.darknet.sections import (
    Cfg,
    Connected,
    Convolutional,
    Detection,
    Dropout,
    Plain,
    Pool,
    Yolo,
)
from gradlens.models.darknet.wiring import wires
from gradlens.models.shape import InputShape


class FreshHead(ModelNote):
    """Warns that the classifier does not use the weights of the file."""


class DarknetModel(nn.Module):
    """The network of a ``.cfg``: ``layers.{index}`` is darknet's layer of that index.

    A classifier returns logits: a [softmax] and a [cost] at the end become identities, because the loss contains
    a softmax. A detector returns the raw outputs that its [yolo] or [region] layers read, a list with one tensor
    per layer; ``detection_losses`` computes their losses. Batch norm has eps 1e-5 (darknet with cuDNN), and fresh
    weights are uniform within ±√(2 / fan-in), as in darknet.

    Attributes:
        layers: the modules.
        sources: for each layer, the indices of the earlier layers that it reads in addition to the previous
            one (shortcut, product) or instead of it (route).

    Raises:
        GradlensError: the sections do not fit each other (see ``wires``).
    """

    def __init__(self, cfg: Cfg) -> None:
        super().__init__()
        layers = wires(cfg)
        self.layers = nn.ModuleList(wire.module for wire in layers)
        self.sources = [wire.sources for wire in layers]
        self._last_reader = {
            source: reader for reader, sources in enumerate(self.sources) for source in sources
        }

    @property
    def heads(self) -> list[DetectionHead]:
        """The [yolo] and [region] layers in order; empty for a classifier."""
        return [layer for layer in self.layers if isinstance(layer, DetectionHead)]

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        """Return the logits, or the raw detections.

        Args:
            x: images ``[n, c, h, w]``.

        Returns:
            A classifier: ``[n, classes]``, or maps ``[n, c, h, w]`` if the network does not end in one pixel. A
            detector: for each of its heads, ``[n, anchors (5 + classes), h, w]``.

        Raises:
            GradlensError: maps of these images have different sizes at a shortcut or route.
        """
        kept: dict[int, Tensor] = {}
        detections: list[Tensor] = []
        for index, (layer, indices) in enumerate(zip(self.layers, self.sources, strict=True)):
            sources = [kept[source] for source in indices]
            if isinstance(layer, RouteLayer):
                x = layer(sources)
            elif isinstance(layer, ShortcutLayer | ScalingLayer):
                x = layer(x, *sources)
            else:
                x = layer(x)
            if isinstance(layer, DetectionHead):
                detections.append(x)
            for source in set(indices):
                if self._last_reader[source] == index:
                    del kept[source]
            if index in self._last_reader:
                kept[index] = x
        if detections:
            return detections
        return x.flatten(1) if x.shape[2:] == (1, 1) else x


def darknet_model(file: Path, shape: InputShape) -> DarknetModel:
    """Build the network in ``file`` for the classes and images of ``shape``.

    ``shape.num_classes`` replaces the width of the classifier, which is the last layer with weights if only
    pooling, dropout, softmax and cost follow it; or the classes of each [yolo] and [region], whose convolution gets
    anchors · (5 + classes) filters. ``shape.in_chans`` and ``shape.image_size`` replace the values
    of [net]; a [connected] layer depends on the size.

    Raises:
        GradlensError: gradlens cannot build the network of the file (see ``read_cfg`` and ``wires``), or it
            has neither a classifier nor detections.

    Warns:
        ModelNote: an option of the file is not followed.
    """
    cfg = read_cfg(file)
    for note in cfg.notes:
        warnings.warn(note, ModelNote, stacklevel=2)
    net = replace(
        cfg.net,
        channels=shape.in_chans,
        height=shape.image_size or cfg.net.height,
        width=shape.image_size or cfg.net.width,
    )
    cfg = replace(cfg, net=net)
    return DarknetModel(cfg if shape.num_classes is None else _with_classes(cfg, shape.num_classes))


def with_head_of(weighted: DarknetModel, fresh: DarknetModel) -> DarknetModel:
    """Return ``fresh`` with the layers of ``weighted``, except heads of another width, which stay fresh.

    Warns:
        FreshHead: heads differ in width.
    """
    for index, (old, new) in enumerate(zip(weighted.layers, fresh.layers, strict=True)):
        shapes = [[value.shape for value in layer.state_dict().values()] for layer in (old, new)]
        if shapes[0] == shapes[1]:
            if shapes[0]:
                fresh.layers[index] = old
        else:
            kind, unit = ("detections", "channels") if fresh.heads else ("classifier", "classes")
            warnings.warn(
                f"the {kind} layers.{index} {'are' if fresh.heads else 'is'} fresh: the weights have {shapes[0][0][0]} "
                f"{unit}, the data {shapes[1][0][0]}",
                FreshHead,
                stacklevel=3,
            )
    return fresh


def _with_classes(cfg: Cfg, num_classes: int) -> Cfg:
    """Return the network for another number of classes."""
    if any(isinstance(section, Detection) for section in cfg.layers):
        return _detecting(cfg, num_classes)
    return _classifying(cfg, num_classes)


def _detecting(cfg: Cfg, num_classes: int) -> Cfg:
    layers = list(cfg.layers)
    for index, section in enumerate(cfg.layers):
        if not isinstance(section, Detection):
            continue
        before = layers[index - 1] if index else None
        if not isinstance(before, Convolutional):
            raise GradlensError(
                f"{cfg.file}, line {section.line}: no [convolutional] is before the detections, so they cannot have "
                f"{num_classes} classes"
            )
        layers[index - 1] = replace(before, filters=head_channels(section, num_classes))
        if isinstance(section, Yolo) and section.counts is not None and num_classes != section.classes:
            warnings.warn(
                f"{cfg.file}, line {section.line}: counters_per_class of {section.classes} classes is not used with "
                f"{num_classes} classes; objects have equal weights",
                ModelNote,
                stacklevel=3,
            )
            section = replace(section, counts=None)
        layers[index] = replace(section, classes=num_classes)
    return replace(cfg, layers=tuple(layers))


def _classifying(cfg: Cfg, num_classes: int) -> Cfg:
    layers = list(cfg.layers)
    weighted = [
        index for index, section in enumerate(layers) if isinstance(section, Convolutional | Connected)
    ]
    following = layers[weighted[-1] + 1 :] if weighted else layers
    head = layers[weighted[-1]] if weighted else None
    if not all(isinstance(section, Plain | Pool | Dropout) for section in following):
        head = None
    if isinstance(head, Convolutional):
        layers[weighted[-1]] = replace(head, filters=num_classes)
    elif isinstance(head, Connected):
        layers[weighted[-1]] = replace(head, output=num_classes)
    else:
        raise GradlensError(
            f"{cfg.file} does not end in a classifier that can have {num_classes} classes;"
            " append a [convolutional] and an [avgpool], or keep its number of classes"
        )
    return replace(cfg, layers=tuple(layers))
