"""From a device to the CPU: all statistics of a pass at once, after the streams that computed them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def transferred(tensors: Sequence[Tensor]) -> list[NDArray[np.float64]]:
    """Return tensors as arrays in float64; those of one device are copied together.

    Args:
        tensors: on any devices, of any shapes.
    """
    arrays: dict[int, NDArray[np.float64]] = {}
    devices: dict[torch.device, list[int]] = {}
    for number, tensor in enumerate(tensors):
        if tensor.is_cpu:
            arrays[number] = tensor.double().numpy()
        else:
            devices.setdefault(tensor.device, []).append(number)
    for numbers in devices.values():
        flat = torch.cat([tensors[number].double().reshape(-1) for number in numbers]).cpu()
        parts = flat.split([tensors[number].numel() for number in numbers])
        for number, part in zip(numbers, parts, strict=True):
            arrays[number] = part.reshape(tensors[number].shape).numpy()
    return [arrays[number] for number in range(len(tensors))]


class Streams:
    """Puts the work of hooks on one device in order.

    Autograd runs a hook on the stream on which its operation ran in the forward pass.
    """

    def __init__(self) -> None:
        self._last: dict[torch.device, torch.cuda.Stream] = {}

    def follow(self, tensor: Tensor) -> None:
        """Let the current stream of a tensor's device wait for the last one that was used."""
        if not tensor.is_cuda:
            return
        current, last = torch.cuda.current_stream(tensor.device), self._last.get(tensor.device)
        if last is not None and last != current:
            current.wait_stream(last)
        self._last[tensor.device] = current

    def join(self) -> None:
        """Let the current streams wait for the last ones that were used."""
        for device, last in self._last.items():
            torch.cuda.current_stream(device).wait_stream(last)
