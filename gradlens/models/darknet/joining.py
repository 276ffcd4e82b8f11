"""Darknet's layers without weights that read several layers: sums, products and concatenations."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from gradlens.errors import GradlensError
from gradlens.models.darknet.layers import ACTIVATIONS
from gradlens.models.darknet.sections import Route, Scaling


class ShortcutLayer(nn.Module):
    """``act(x + Σ sources)`` on the channels that x and the source have; the other channels of x are only activated.

    A larger source is sampled at every ⌈h_source / h⌉-th pixel. That is darknet's own stride if one size is a
    multiple of the other; otherwise darknet uses the upper left corner, while these samples cover the whole map.
    """

    def __init__(self, activation: str) -> None:
        super().__init__()
        self.act = ACTIVATIONS[activation]()

    def forward(self, x: Tensor, *sources: Tensor) -> Tensor:
        """Return the activated sum, in the shape ``[n, c, h, w]`` of x.

        Raises:
            GradlensError: a source is smaller than x or does not sample to its size.
        """
        total = x
        for source in sources:
            total = total + self._fitted(source, x)
        return self.act(total)  # type: ignore[no-any-return]

    @staticmethod
    def _fitted(source: Tensor, x: Tensor) -> Tensor:
        """Return a source in the shape of x."""
        rows, columns = (-(-source.shape[axis] // x.shape[axis]) for axis in (2, 3))
        if rows > 1 or columns > 1:
            source = source[:, :, ::rows, ::columns]
        if source.shape[2:] != x.shape[2:]:
            raise GradlensError(
                f"a [shortcut] adds maps of {_size(source)} pixels to maps of {_size(x)}; use other image sizes"
            )
        missing = x.shape[1] - source.shape[1]
        if missing > 0:
            source = functional.pad(source, (0, 0, 0, 0, 0, missing))
        elif missing < 0:
            source = source[:, : x.shape[1]]
        return source


class RouteLayer(nn.Module):
    """Concatenation of layers along the channels, or of the ``group_id``-th of ``groups`` equal parts of each."""

    def __init__(self, section: Route) -> None:
        super().__init__()
        self.groups, self.group_id = section.groups, section.group_id

    def forward(self, sources: list[Tensor]) -> Tensor:
        """Return ``[n, Σ c / groups, h, w]``; a single whole source is returned unchanged.

        Raises:
            GradlensError: the sources have different sizes.
        """
        if len({source.shape[2:] for source in sources}) > 1:
            sizes = ", ".join(_size(source) for source in sources)
            raise GradlensError(f"a [route] joins maps of {sizes} pixels; use other image sizes")
        if self.groups > 1:
            sources = [self._part(source) for source in sources]
        return sources[0] if len(sources) == 1 else torch.cat(sources, dim=1)

    def _part(self, source: Tensor) -> Tensor:
        width = source.shape[1] // self.groups
        return source[:, self.group_id * width : (self.group_id + 1) * width]


class ScalingLayer(nn.Module):
    """``act(source · x)``: x is the previous layer, with one factor per channel, per pixel or per element.

    ``[scale_channels]`` (squeeze and excitation, Hu et al. 2018, arXiv 1709.01507) and ``[sam]`` (YOLOv4's spatial
    attention, Bochkovskiy et al. 2020, arXiv 2004.10934, figure 5).
    """

    def __init__(self, section: Scaling) -> None:
        super().__init__()
        self.act = ACTIVATIONS[section.activation]()

    def forward(self, x: Tensor, source: Tensor) -> Tensor:
        """Return the activated product, in the shape ``[n, c, h, w]`` of the source."""
        return self.act(source * x)  # type: ignore[no-any-return]


def _size(x: Tensor) -> str:
    return f"{x.shape[2]}×{x.shape[3]}"
