"""Darknet's layers without weights that read one layer: pooling, upsampling and reordering."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from gradlens.errors import GradlensError
from gradlens.models.darknet.sections import Pool, Reorg, Upsample


class PoolLayer(nn.Module):
    """Maximum or mean of each window, over the pixels inside the map.

    h' = (h + padding − size) // stride + 1; the first window begins ``padding // 2`` pixels before the map.
    """

    def __init__(self, section: Pool) -> None:
        super().__init__()
        self.section = section

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[n, c, h, w]`` to ``[n, c, h', w']``."""
        rows, columns = self.section.stride
        margins = (*self._margins(x.shape[3], columns), *self._margins(x.shape[2], rows))
        size, stride = self.section.size, self.section.stride
        if not self.section.average:
            return functional.max_pool2d(_padded(x, margins, -torch.inf), size, stride)
        mean = functional.avg_pool2d(_padded(x, margins, 0.0), size, stride)
        if not any(margins):
            return mean
        inside = functional.avg_pool2d(_padded(torch.ones_like(x[:1, :1]), margins, 0.0), size, stride)
        return mean / inside

    def _margins(self, length: int, stride: int) -> tuple[int, int]:
        """Return the padding before and after an axis, without pixels that no window reaches."""
        section = self.section
        before = section.padding // 2
        last = (length + section.padding - section.size) // stride * stride
        return before, max(0, last + section.size - before - length)

    def extra_repr(self) -> str:
        """Show the numbers of the section."""
        return str(self.section)


class DepthPoolLayer(nn.Module):
    """``[maxpool]`` over channels: output channel g is the maximum of the channels k with k mod ``channels`` = g."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[n, c, h, w]`` to ``[n, channels, h, w]``."""
        n, channels, height, width = x.shape
        return x.reshape(n, channels // self.channels, self.channels, height, width).max(dim=1).values


class UpsampleLayer(nn.Upsample):
    """Nearest upsampling, times a factor."""

    def __init__(self, section: Upsample) -> None:
        super().__init__(scale_factor=section.stride, mode="nearest")
        self.factor = section.scale

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[n, c, h, w]`` to ``[n, c, stride h, stride w]``."""
        larger = super().forward(x)
        return larger if self.factor == 1 else larger * self.factor


class ReorgLayer(nn.Module):
    """Space to depth with stride s: ``[n, c, h, w]`` to ``[n, s² c, h / s, w / s]``.

    Channel ``o c + k`` of the output has the pixels at row ``o // s``, column ``o % s`` of each square of channel k.
    The ``[reorg]`` of YOLOv2 takes the memory of its input for maps ``[c / s², s h, s w]``, reorders those to
    ``[c, h, w]`` and takes the memory of the result for the output; darknet's weights are trained with that.
    """

    def __init__(self, section: Reorg) -> None:
        super().__init__()
        self.stride, self.old = section.stride, section.old

    def forward(self, x: Tensor) -> Tensor:
        """Return the reordered maps.

        Raises:
            GradlensError: the sides of the maps are no multiples of the stride.
        """
        n, channels, height, width = x.shape
        stride = self.stride
        if height % stride or width % stride:
            raise GradlensError(
                f"a [reorg] with stride {stride} receives maps of {height}×{width} pixels; use other image sizes"
            )
        if not self.old:
            return self._to_depth(x)
        larger = x.reshape(n, channels // stride**2, height * stride, width * stride)
        return self._to_depth(larger).reshape(n, channels * stride**2, height // stride, width // stride)

    def _to_depth(self, x: Tensor) -> Tensor:
        n, channels, height, width = x.shape
        stride = self.stride
        squares = x.reshape(n, channels, height // stride, stride, width // stride, stride)
        return squares.permute(0, 3, 5, 1, 2, 4).reshape(
            n, channels * stride**2, height // stride, width // stride
        )

    def extra_repr(self) -> str:
        """Show the stride."""
        return f"stride={self.stride}, old={self.old}"


def _padded(x: Tensor, margins: tuple[int, ...], value: float) -> Tensor:
    return functional.pad(x, margins, value=value) if any(margins) else x
