"""Darknet's layers as modules that take and return maps ``[n, c, h, w]``."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from gradlens.errors import GradlensError
from gradlens.models.darknet.sections import Connected, Convolutional, Pool, Route

EPS = 1e-5  # of darknet with cuDNN; its CPU code adds 1e-6 to the standard deviation instead
SLOPE = 0.1
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "leaky": lambda: nn.LeakyReLU(SLOPE, inplace=True),
    "mish": lambda: nn.Mish(inplace=True),
    "swish": lambda: nn.SiLU(inplace=True),
    "relu": lambda: nn.ReLU(inplace=True),
    "linear": nn.Identity,
    "logistic": nn.Sigmoid,
}


class ConvLayer(nn.Module):
    """Convolution, batch norm if the section has it (else a bias), activation.

    ``[n, in_channels, h, w]`` to ``[n, filters, h', w']``, h' = (h + 2 padding − size) // stride + 1.
    """

    def __init__(self, section: Convolutional, in_channels: int) -> None:
        super().__init__()
        normalize = section.batch_normalize
        self.conv = nn.Conv2d(
            in_channels, section.filters, section.size, section.stride, section.padding,
            groups=section.groups, bias=not normalize,
        )  # fmt: skip
        self.bn = nn.BatchNorm2d(section.filters, eps=EPS) if normalize else nn.Identity()
        self.act = ACTIVATIONS[section.activation]()
        _start_as_darknet(self.conv)

    def forward(self, x: Tensor) -> Tensor:
        """Return activated maps."""
        return self.act(self.bn(self.conv(x)))  # type: ignore[no-any-return]


class ConnectedLayer(nn.Module):
    """Linear layer, batch norm if the section has it, activation; returns ``[n, output, 1, 1]``."""

    def __init__(self, section: Connected, in_features: int) -> None:
        super().__init__()
        normalize = section.batch_normalize
        self.linear = nn.Linear(in_features, section.output, bias=not normalize)
        self.bn = nn.BatchNorm1d(section.output, eps=EPS) if normalize else nn.Identity()
        self.act = ACTIVATIONS[section.activation]()
        _start_as_darknet(self.linear)

    def forward(self, x: Tensor) -> Tensor:
        """Return activated features, as maps of one pixel.

        Raises:
            GradlensError: the network was built for another size of images.
        """
        flat = x.flatten(1)
        if flat.shape[1] != self.linear.in_features:
            raise GradlensError(
                f"a [connected] layer built for {self.linear.in_features} features receives {flat.shape[1]};"
                " build the network for the size of these images"
            )
        return self.act(self.bn(self.linear(flat)))[:, :, None, None]  # type: ignore[no-any-return]


class ShortcutLayer(nn.Module):
    """``act(x + source)`` on the channels that both have; the other channels of x are only activated.

    A larger source is sampled at every ⌈h_source / h⌉-th pixel. That is darknet's own stride if one size is a
    multiple of the other; otherwise darknet uses the upper left corner, while these samples cover the whole map.
    """

    def __init__(self, activation: str) -> None:
        super().__init__()
        self.act = ACTIVATIONS[activation]()

    def forward(self, x: Tensor, source: Tensor) -> Tensor:
        """Return the activated sum, in the shape ``[n, c, h, w]`` of x.

        Raises:
            GradlensError: the source is smaller than x or does not sample to its size.
        """
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
        return self.act(x + source)  # type: ignore[no-any-return]


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


class PoolLayer(nn.Module):
    """Maximum or mean of each window, over the pixels inside the map.

    h' = (h + padding − size) // stride + 1; the first window begins ``padding // 2`` pixels before the map.
    """

    def __init__(self, section: Pool) -> None:
        super().__init__()
        self.section = section

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[n, c, h, w]`` to ``[n, c, h', w']``."""
        margins = (*self._margins(x.shape[3]), *self._margins(x.shape[2]))
        size, stride = self.section.size, self.section.stride
        if not self.section.average:
            return functional.max_pool2d(_padded(x, margins, -torch.inf), size, stride)
        mean = functional.avg_pool2d(_padded(x, margins, 0.0), size, stride)
        if not any(margins):
            return mean
        inside = functional.avg_pool2d(_padded(torch.ones_like(x[:1, :1]), margins, 0.0), size, stride)
        return mean / inside

    def _margins(self, length: int) -> tuple[int, int]:
        """Return the padding before and after an axis, without pixels that no window reaches."""
        section = self.section
        before = section.padding // 2
        last = (length + section.padding - section.size) // section.stride * section.stride
        return before, max(0, last + section.size - before - length)

    def extra_repr(self) -> str:
        """Show the numbers of the section."""
        return str(self.section)


def _padded(x: Tensor, margins: tuple[int, ...], value: float) -> Tensor:
    return functional.pad(x, margins, value=value) if any(margins) else x


def _start_as_darknet(layer: nn.Conv2d | nn.Linear) -> None:
    """Initialise weights uniformly within ±√(2 / fan-in), and biases at zero."""
    fan_in = layer.weight[0].numel()
    nn.init.uniform_(layer.weight, -((2 / fan_in) ** 0.5), (2 / fan_in) ** 0.5)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def _size(x: Tensor) -> str:
    return f"{x.shape[2]}×{x.shape[3]}"
