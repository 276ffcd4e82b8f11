"""Darknet's layers with weights, and its activations, as modules that take and return maps ``[n, c, h, w]``."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from gradlens.errors import GradlensError
from gradlens.models.darknet.sections import Connected, Convolutional

EPS = 1e-5  # of darknet with cuDNN; its CPU code adds 1e-6 to the standard deviation instead
SLOPE = 0.1
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "leaky": lambda: nn.LeakyReLU(SLOPE, inplace=True),
    "mish": lambda: nn.Mish(inplace=True),
    "swish": lambda: nn.SiLU(inplace=True),
    "silu": lambda: nn.SiLU(inplace=True),  # YOLOv7's name of swish
    "relu": lambda: nn.ReLU(inplace=True),
    "relu6": lambda: nn.ReLU6(inplace=True),
    "relie": lambda: nn.LeakyReLU(0.01, inplace=True),
    "elu": lambda: nn.ELU(inplace=True),
    "selu": lambda: nn.SELU(inplace=True),
    "gelu": lambda: nn.GELU(approximate="tanh"),
    "hardtan": lambda: nn.Hardtanh(inplace=True),
    "tanh": nn.Tanh,
    "linear": nn.Identity,
    "logistic": nn.Sigmoid,
}


class ConvLayer(nn.Module):
    """Convolution, batch norm if the section has it (else a bias), activation.

    ``[n, in_channels, h, w]`` to ``[n, filters, h', w']``, h' = (h + 2 padding − size) // stride + 1. A dilation d
    has a padding of d · padding.
    """

    def __init__(self, section: Convolutional, in_channels: int) -> None:
        super().__init__()
        normalize = section.batch_normalize
        self.conv = nn.Conv2d(
            in_channels, section.filters, section.size, section.stride, section.padding * section.dilation,
            section.dilation, section.groups, bias=not normalize,
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


class BatchNormLayer(nn.BatchNorm2d):
    """A ``[batchnorm]`` that is not part of a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=EPS)


def activation_layer(name: str) -> nn.Module:
    """Return an ``[activation]``, which leaves its input as it is, because other layers may read that."""
    module = ACTIVATIONS[name]()
    if hasattr(module, "inplace"):
        setattr(module, "inplace", False)  # noqa: B010  # declared by each class, not by Module
    return module


def _start_as_darknet(layer: nn.Conv2d | nn.Linear) -> None:
    """Initialise weights uniformly within ±√(2 / fan-in), and biases at zero."""
    fan_in = layer.weight[0].numel()
    nn.init.uniform_(layer.weight, -((2 / fan_in) ** 0.5), (2 / fan_in) ** 0.5)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
