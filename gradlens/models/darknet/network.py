"""A network from a darknet ``.cfg``."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

from torch import Tensor, nn

from gradlens.errors import GradlensError, ModelNote
from gradlens.models.darknet.cfg import read_cfg
from gradlens.models.darknet.layers import RouteLayer, ShortcutLayer
from gradlens.models.darknet.sections import Cfg, Connected, Convolutional, Dropout, Plain, Pool
from gradlens.models.darknet.wiring import wires
from gradlens.models.shape import InputShape


class FreshHead(ModelNote):
    """Warns that the classifier does not use the weights of the file."""


class DarknetModel(nn.Module):
    """The network of a ``.cfg``: ``layers.{index}`` is darknet's layer of that index.

    It returns logits: a [softmax] and a [cost] at the end become identities, because the loss contains a
    softmax. Batch norm has eps 1e-5 (darknet with cuDNN), and fresh weights are uniform within
    ±√(2 / fan-in), as in darknet.

    Attributes:
        layers: the modules.
        sources: for each layer, the indices of the earlier layers that it reads in addition to the previous
            one (shortcut) or instead of it (route).

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

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits.

        Args:
            x: images ``[n, c, h, w]``.

        Returns:
            ``[n, classes]``, or maps ``[n, c, h, w]`` if the network does not end in one pixel.

        Raises:
            GradlensError: maps of these images have different sizes at a shortcut or route.
        """
        kept: dict[int, Tensor] = {}
        for index, (layer, indices) in enumerate(zip(self.layers, self.sources, strict=True)):
            sources = [kept[source] for source in indices]
            if isinstance(layer, RouteLayer):
                x = layer(sources)
            elif isinstance(layer, ShortcutLayer):
                x = layer(x, sources[0])
            else:
                x = layer(x)
            for source in set(indices):
                if self._last_reader[source] == index:
                    del kept[source]
            if index in self._last_reader:
                kept[index] = x
        return x.flatten(1) if x.shape[2:] == (1, 1) else x


def darknet_model(file: Path, shape: InputShape) -> DarknetModel:
    """Build the network in ``file`` for the classes and images of ``shape``.

    ``shape.num_classes`` replaces the width of the classifier, which is the last layer with weights if only
    pooling, dropout, softmax and cost follow it. ``shape.in_chans`` and ``shape.image_size`` replace the values
    of [net]; a [connected] layer depends on the size.

    Raises:
        GradlensError: gradlens cannot build the network of the file (see ``read_cfg`` and ``wires``), or it
            has no classifier.
    """
    cfg = read_cfg(file)
    net = replace(
        cfg.net,
        channels=shape.in_chans,
        height=shape.image_size or cfg.net.height,
        width=shape.image_size or cfg.net.width,
    )
    cfg = replace(cfg, net=net)
    return DarknetModel(cfg if shape.num_classes is None else _classifying(cfg, shape.num_classes))


def with_head_of(weighted: DarknetModel, fresh: DarknetModel) -> DarknetModel:
    """Return ``fresh`` with the layers of ``weighted``, except a classifier of another width, which stays fresh.

    Warns:
        FreshHead: the classifiers differ in width.
    """
    for index, (old, new) in enumerate(zip(weighted.layers, fresh.layers, strict=True)):
        shapes = [[value.shape for value in layer.state_dict().values()] for layer in (old, new)]
        if shapes[0] == shapes[1]:
            fresh.layers[index] = old
        else:
            warnings.warn(
                f"the classifier layers.{index} is fresh: the weights have {shapes[0][0][0]} classes, the data "
                f"{shapes[1][0][0]}",
                FreshHead,
                stacklevel=3,
            )
    return fresh


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
