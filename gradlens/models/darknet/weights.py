"""Load all weights from a darknet ``.weights`` file, or none."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from gradlens.errors import GradlensError
from gradlens.models.darknet.layers import BatchNormLayer, ConnectedLayer, ConvLayer
from gradlens.models.darknet.network import DarknetModel

VERSION = struct.Struct("<3i")  # major, minor, revision
TRANSPOSED = 1000  # versions above this store linear weights as [in, out]


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Load a darknet ``.weights`` file into a network of its ``.cfg``.

    The file has a header (major, minor, revision as int32; the number of training images as int64 from version
    0.2 on, int32 before) and little-endian float32 numbers, layer by layer. Convolutions: biases, with batch norm
    also scales, means and variances, then weights ``[out, in / groups, k, k]``. Linear layers: biases, weights
    ``[out, in]``, then scales, means and variances. With batch norm the biases are those of the norm. A [batchnorm]
    of its own: biases, scales, means and variances.

    Raises:
        GradlensError: the model is not from a ``.cfg``, the file is missing or incomplete, or it does not have
            exactly the numbers of this network; the model is then unchanged.
    """
    path = Path(path)
    if not isinstance(model, DarknetModel):
        raise GradlensError(f"{path} holds darknet weights; they fit only darknet:FILE.cfg models")
    numbers, transposed = _read(path)
    targets = [target for layer in model.layers for target in _targets(layer, transposed)]
    expected = sum(target.numel() for target in targets)
    if len(numbers) != expected:
        raise GradlensError(
            f"{path} holds {len(numbers)} numbers, but this network has {expected};"
            " give the weights of the same .cfg, with its number of classes"
        )
    with torch.no_grad():
        for target, part in zip(targets, numbers.split([target.numel() for target in targets]), strict=True):
            target.copy_(part.view(target.shape))


def _read(path: Path) -> tuple[Tensor, bool]:
    """Return the numbers of a file, and whether its linear weights are transposed."""
    if not path.is_file():
        problem = "is a folder" if path.is_dir() else "does not exist"
        raise GradlensError(f"weights file {path} {problem}; give a darknet .weights file")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise GradlensError(f"weights file {path} cannot be read ({error.strerror})") from error
    if len(content) < VERSION.size:
        raise _cut_off(path, len(content), VERSION.size + 4)
    major, minor, _ = VERSION.unpack_from(content)
    transposed = major > TRANSPOSED or minor > TRANSPOSED
    wide = major * 10 + minor >= 2 and major < TRANSPOSED and minor < TRANSPOSED
    start = VERSION.size + (8 if wide else 4)
    if len(content) < start:
        raise _cut_off(path, len(content), start)
    if (len(content) - start) % 4:
        raise GradlensError(
            f"weights file {path} ends within a number, after {(len(content) - start) // 4} of them;"
            " save or download it again"
        )
    numbers = np.frombuffer(content, dtype="<f4", offset=start).astype(np.float32)
    return torch.from_numpy(numbers), transposed


def _cut_off(path: Path, held: int, header: int) -> GradlensError:
    return GradlensError(
        f"weights file {path} is incomplete: it has {held} bytes, and its header alone {header};"
        " save or download it again"
    )


def _targets(layer: nn.Module, transposed: bool) -> Iterator[Tensor]:
    """Yield the tensors of a layer in the order of the file."""
    if isinstance(layer, ConvLayer):
        yield from _bias(layer.conv, layer.bn)
        yield from _statistics(layer.bn)
        yield layer.conv.weight
    elif isinstance(layer, ConnectedLayer):
        yield from _bias(layer.linear, layer.bn)
        yield layer.linear.weight.T if transposed else layer.linear.weight
        yield from _statistics(layer.bn)
    elif isinstance(layer, BatchNormLayer):
        yield layer.bias
        yield from _statistics(layer)


def _bias(layer: nn.Conv2d | nn.Linear, norm: nn.Module) -> Iterator[Tensor]:
    bias = norm.bias if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d) else layer.bias
    if bias is not None:
        yield bias


def _statistics(norm: nn.Module) -> Iterator[Tensor]:
    if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
        for name in ("weight", "running_mean", "running_var"):
            yield getattr(norm, name)
