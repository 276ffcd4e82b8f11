"""Rebuild a block at another width, with all its channel counts scaled by one factor.

The rebuilt block keeps the network's layers. Its weights are the last channels of the original weights times
``√(fan_in / new fan_in)``, which keeps the variance of a layer's output, so an untrained network
keeps its own initialisation.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator

from torch import Tensor, nn

from gradlens.errors import GradlensError

Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d
Count = Callable[[int], int]
"""The new number of channels for an old one."""


def narrowed(block: nn.Module, width: int, new_width: int) -> nn.Module:
    """Return a copy of a block that reads and returns ``new_width`` instead of ``width`` channels.

    Every other channel count is scaled by ``new_width / width`` and rounded, to at least 1. If a grouped convolution
    reads or writes it, it is rounded to a multiple of the groups; after a depthwise convolution that makes k channels
    of each, it is rounded to a multiple of k. The number of groups is kept, so groups become narrower, and depthwise
    convolutions stay depthwise. If the groups do not divide the new width itself, the largest number that does is used.

    Args:
        block: of convolutions, linear layers and normalisations.
        width: input and output channels of the block.
        new_width: input and output channels of the copy.

    Raises:
        GradlensError: a layer is of a kind that cannot be narrowed.
    """
    count = _scaling(block, width, new_width)
    rebuilt = copy.deepcopy(block)
    for path, module in rebuilt.named_modules():
        resize(path, module, count)
    return rebuilt


def without_first_inputs(module: nn.Module, dropped: int) -> None:
    """Remove the first ``dropped`` input channels of a convolution or normalisation, in place."""
    if isinstance(module, Convolution):
        _resize_convolution(module, module.in_channels - dropped, module.out_channels)
    elif isinstance(module, nn.modules.batchnorm._NormBase):
        _resize_norm(module, module.num_features - dropped)
    else:
        raise TypeError(f"a {type(module).__name__} has no input channels to drop")


def _scaling(block: nn.Module, width: int, new_width: int) -> Count:
    factor, multiples = new_width / width, channel_multiples(block)

    def count(size: int) -> int:
        if size == width:
            return new_width
        return scaled(size, factor, multiples.get(size, 1))

    return count


def scaled(size: int, factor: float, multiple: int) -> int:
    """Return a number of channels times a factor, rounded to a multiple of ``multiple``, at least that."""
    return max(multiple, multiple * round(size * factor / multiple))


def channel_multiples(block: nn.Module) -> dict[int, int]:
    """Return what numbers of channels have to be multiples of, because grouped convolutions read or write them."""
    multiples: dict[int, int] = {}
    for module in block.modules():
        if isinstance(module, Convolution) and 1 < module.groups != module.in_channels:
            for size in (module.in_channels, module.out_channels):
                multiples[size] = math.lcm(multiples.get(size, 1), module.groups)
    for module in block.modules():
        if isinstance(module, Convolution) and 1 < module.groups == module.in_channels != module.out_channels:
            size, each = module.out_channels, module.out_channels // module.in_channels
            multiples[size] = math.lcm(multiples.get(size, 1), each * multiples.get(module.in_channels, 1))
    return multiples


def resize(
    path: str, module: nn.Module, count: Count, inputs: int | None = None, outputs: int | None = None
) -> None:
    """Resize the parameters of a module in place, without those of its submodules.

    Args:
        path: its name in errors.
        module: a convolution, linear layer, normalisation, or another module with one value per channel.
        count: the new number of channels for an old one.
        inputs: channels that a convolution, linear layer or normalisation reads; None takes ``count`` of its own.
        outputs: channels that a convolution or linear layer returns; None takes ``count`` of its own.

    Raises:
        GradlensError: the module has parameters of another kind.
    """
    parameters = dict(module.named_parameters(recurse=False))

    def reading(size: int) -> int:
        return count(size) if inputs is None else inputs

    def returning(size: int) -> int:
        return count(size) if outputs is None else outputs

    if isinstance(module, Convolution):
        fixed = module.in_channels == module.out_channels == 1  # attention over a single channel
        if not fixed:
            _resize_convolution(module, reading(module.in_channels), returning(module.out_channels))
    elif isinstance(module, nn.Linear):
        _resize_linear(module, reading(module.in_features), returning(module.out_features))
    elif isinstance(module, nn.modules.batchnorm._NormBase):
        _resize_norm(module, reading(module.num_features))
    elif isinstance(module, nn.GroupNorm):
        _resize_group_norm(module, reading(module.num_channels))
    elif isinstance(module, nn.LayerNorm) and len(module.normalized_shape) == 1:
        module.normalized_shape = (count(module.normalized_shape[0]),)
        _cut_vectors(module, count)
    elif all(_is_vector(parameter) for parameter in parameters.values()):
        _cut_vectors(module, count)
    else:
        shapes = ", ".join(str(tuple(parameter.shape)) for parameter in parameters.values())
        raise GradlensError(f"{path} ({type(module).__name__}) has parameters of an unknown kind: {shapes}")


def _resize_convolution(module: Convolution, inputs: int, outputs: int) -> None:
    depthwise = 1 < module.groups == module.in_channels
    groups = inputs if depthwise else math.gcd(module.groups, math.gcd(inputs, outputs))
    if depthwise:
        outputs = inputs * (module.out_channels // module.in_channels)
    scale = getattr(module, "scale", None)
    if isinstance(scale, float):  # a standardised convolution divides by the fan-in itself
        module.scale = scale * math.sqrt(module.weight.shape[1] * groups / inputs)  # type: ignore[assignment]
    module.weight = _rescaled(module.weight, outputs, inputs // groups)
    for name, parameter in list(module.named_parameters(recurse=False)):
        if name != "weight":  # the bias, or the gain of a standardised convolution
            _replace(module, name, parameter[-outputs:])
    module.in_channels, module.out_channels, module.groups = inputs, outputs, groups


def _resize_linear(module: nn.Linear, inputs: int, outputs: int) -> None:
    module.weight = _rescaled(module.weight, outputs, inputs)
    if module.bias is not None:
        _replace(module, "bias", module.bias[-outputs:])
    module.in_features, module.out_features = inputs, outputs


def _rescaled(weight: Tensor, outputs: int, inputs: int) -> nn.Parameter:
    """Return the last ``outputs`` and ``inputs`` of a weight, scaled to keep the variance of the output."""
    kept = weight.detach()
    if inputs > kept.shape[1] or outputs > kept.shape[0]:  # fewer groups read more channels each
        repeats = [math.ceil(outputs / kept.shape[0]), math.ceil(inputs / kept.shape[1])]
        kept = kept.repeat(*repeats, *[1] * (kept.dim() - 2))
    cut = kept[-outputs:, -inputs:] * math.sqrt(weight.shape[1] / inputs)
    return nn.Parameter(cut.clone(), weight.requires_grad)


def _resize_norm(module: nn.modules.batchnorm._NormBase, features: int) -> None:
    for name, tensor in _tensors(module):
        if tensor.dim() == 1:
            _replace(module, name, tensor[-features:])
    module.num_features = features


def _resize_group_norm(module: nn.GroupNorm, channels: int) -> None:
    for name, tensor in _tensors(module):
        _replace(module, name, tensor[-channels:])
    module.num_channels, module.num_groups = channels, math.gcd(module.num_groups, channels)


def _cut_vectors(module: nn.Module, count: Count) -> None:
    """Cut gains of one value per channel: ``[c]``, ``[c, 1, 1]``, ``[1, c, 1, 1]``."""
    for name, parameter in list(module.named_parameters(recurse=False)):
        axis = max(range(parameter.dim()), key=lambda i: parameter.shape[i], default=None)
        if axis is None or parameter.shape[axis] == 1:
            continue
        size = count(parameter.shape[axis])
        _replace(module, name, parameter.narrow(axis, parameter.shape[axis] - size, size))


def _is_vector(parameter: Tensor) -> bool:
    return sum(size > 1 for size in parameter.shape) <= 1


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from list(module.named_parameters(recurse=False))
    yield from list(module.named_buffers(recurse=False))


def _replace(module: nn.Module, name: str, value: Tensor) -> None:
    old = getattr(module, name)
    new = value.detach().clone()
    setattr(module, name, nn.Parameter(new, old.requires_grad) if isinstance(old, nn.Parameter) else new)
