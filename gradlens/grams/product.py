"""The Gram of a gradient and its products with random signs, from one pass over its features.

On a CPU the features are read in blocks that stay in cache. In each block, panels of 16 samples are multiplied by the
samples from there on: half of the products of a Gram follow by symmetry. Smaller panels leave out more, but take longer
(MKL on an AMD EPYC, panels of 8: 1.1 to 1.3 times as long for 16 to 64 samples). Chunks are multiplied in the
precision of the gradient and added in float64.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gradlens.grams.rows import Chunks

PANEL = 16
"""Samples of a panel on a CPU."""
CACHE = 1 << 21
"""Bytes of a block of features on a CPU."""
TINY = 1e-30
"""Squared norms below this lose digits in float32; their Gram is computed again in float64."""


class Signs(NamedTuple):
    """Random signs of the features of a gradient that is cut into chunks.

    Attributes:
        equal: ``[c, k, w]``.
        rest: ``[k, r]``, or None.
    """

    equal: Tensor
    rest: Tensor | None = None


Matrix = TypeVar("Matrix", NDArray[np.float64], Tensor)
Projected = tuple[Tensor, Tensor | None]
"""Products of signs with the chunks of a gradient ``[c, k, n]``, and with the rest ``[k, n]``."""


class Product(NamedTuple):
    """What is left of a gradient, in float64.

    Attributes:
        panels: the Gram of ``n`` samples in panels of rows from the diagonal on, ``[k, n - start]`` (see ``square``).
        projected: by signs, their products with the chunks ``[c, k, n]`` and with the rest ``[k, n]`` (or None).
    """

    panels: list[Tensor]
    projected: list[Projected]


def product(gradient: Chunks, signs: Sequence[Signs] = (), *, double: bool = False) -> Product:
    """Return the Gram of a gradient and its products with signs, on its device.

    Half precision is widened to float32. On a CPU a Gram that underflows or overflows is computed again in float64;
    elsewhere nothing waits for its values, and the accumulator finds out later which ones to compute with ``double``.

    Args:
        gradient: cut into chunks.
        signs: of its features.
        double: compute in float64.
    """
    with full_precision():
        result = _product(gradient, signs, double)
        if not double and _lost(gradient, result.panels):
            return Product(_product(gradient, (), True).panels, result.projected)
    return result


def projected(gradient: Chunks, signs: Signs) -> Projected:
    """Return the products of a gradient with signs alone, as in ``Product.projected``."""
    with full_precision():
        return _product(gradient, [signs], False, gram=False).projected[0]


def product_of_slices(gradient: Chunks, slices: int, signs: Signs) -> Product | None:
    """Return the Grams of slices of equal size and their products with signs; each feature is read once.

    Args:
        gradient: all slices, cut into chunks of equal width.
        slices: their number.
        signs: of the features of all slices.

    Returns:
        The panels ``[slices, k, n - start]``, and the products as in ``product``; on a CPU None if float32 has lost an
        energy.
    """
    with full_precision():
        outputs, products = _multiplied(gradient.equal, [signs], False)
    panels = [output.unflatten(0, (slices, -1)).sum(1, dtype=torch.float64) for output in outputs]
    looked_at = panels[0].is_cpu and gradient.equal.dtype != torch.float64
    if looked_at and any(lossy(panel.numpy().diagonal(axis1=1, axis2=2)) for panel in panels):
        return None
    return Product(panels, [(products[0], None)])


def square(panels: Sequence[Matrix], whole: Matrix) -> Matrix:
    """Write the panels ``[k, n - start]`` of a Gram into the matrix ``[n, n]``, and return it.

    >>> square([np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 5.0]]), np.array([[6.0]])], np.empty((3, 3))).tolist()
    [[1.0, 2.0, 3.0], [2.0, 4.0, 5.0], [3.0, 5.0, 6.0]]
    """
    start = 0
    for panel in panels:
        stop = start + len(panel)
        whole[start:stop, start:] = panel
        whole[start:, start:stop] = panel.T
        start = stop
    return whole


def lossy(energies: NDArray[np.float64]) -> bool:
    """Return whether float32 may have lost one of some energies: tiny, or too large."""
    return not (energies.min(initial=math.inf) >= TINY and energies.max(initial=0.0) < math.inf)


def _lost(gradient: Chunks, panels: Sequence[Tensor]) -> bool:
    """Return whether float32 has lost an energy: tiny, too large, or zero where the gradient is not; on a CPU."""
    if not panels or not panels[0].is_cpu or gradient.equal.dtype == torch.float64:
        return False
    energies = np.concatenate([panel.numpy().diagonal() for panel in panels])
    if not lossy(energies):
        return False
    zero = energies == 0
    if lossy(energies[~zero]):
        return True
    if zero.all():
        return bool(gradient.equal.any() or (gradient.rest is not None and gradient.rest.any()))
    samples = torch.from_numpy(zero)
    rest = gradient.rest is not None and gradient.rest[samples].any()
    return bool(rest or gradient.equal[:, samples].any())


def grams_of_parts(gradient: Chunks, parts: Sequence[slice], *, double: bool = False) -> list[Tensor]:
    """Return the Grams ``[n, n]`` of some parts of a gradient, in float64 on its device; each feature is read once.

    Args:
        gradient: cut into chunks, without a rest.
        parts: the chunks of each part.
        double: multiply in float64; a CPU does so if a Gram underflows or overflows.
    """
    with full_precision():
        outputs, _ = _multiplied(gradient.equal, (), double)
    grams = [[output[part].sum(0, dtype=torch.float64) for output in outputs] for part in parts]
    if not double and any(
        _lost(Chunks(gradient.equal[part]), panels) for part, panels in zip(parts, grams, strict=True)
    ):
        return grams_of_parts(gradient, parts, double=True)
    n = gradient.equal.shape[1]
    return [square(panels, panels[0].new_empty(n, n)) for panels in grams]


def _product(gradient: Chunks, signs: Sequence[Signs], double: bool, gram: bool = True) -> Product:
    panels, outputs = _multiplied(gradient.equal, signs, double, gram)
    totals = [output.sum(0, dtype=torch.float64) for output in panels]
    remaining: list[Tensor | None] = [None] * len(signs)
    if gradient.rest is not None:
        rest = gradient.rest.to(panels[0].dtype if panels else outputs[0].dtype)
        start = 0
        for total in totals:
            total += rest[start : start + len(total)] @ rest[start:].T
            start += len(total)
        remaining = [None if each.rest is None else each.rest.to(rest.dtype) @ rest.T for each in signs]
    return Product(totals, list(zip(outputs, remaining, strict=True)))


def _multiplied(
    equal: Tensor, signs: Sequence[Signs], double: bool, gram: bool = True
) -> tuple[list[Tensor], list[Tensor]]:
    """Return by chunk the panels of its Gram ``[c, k, n - start]``, and its products with signs ``[c, k, n]``.

    Args:
        equal: chunks ``[c, n, w]``.
        signs: of their features.
        double: multiply in float64.
        gram: whether to compute the Gram.
    """
    count, n, width = equal.shape
    dtype = torch.float64 if double or equal.dtype == torch.float64 else torch.float32
    panel, block = n, max(count, 1)
    if equal.is_cpu:
        panel = PANEL if count > 1 else n
        block = max(1, CACHE // max(n * width * dtype.itemsize, 1))
    starts = range(0, n if gram else 0, panel)
    panels = [equal.new_empty(count, min(panel, n - start), n - start, dtype=dtype) for start in starts]
    outputs = [equal.new_empty(count, each.equal.shape[1], n, dtype=dtype) for each in signs]
    for first in range(0, count, block):
        whole = block >= count
        part = slice(first, first + block)
        lines = (equal if whole else equal[part]).to(dtype)
        columns = lines.transpose(1, 2)
        for start, output in zip(starts, panels, strict=True):
            left = lines[:, start : start + panel] if panel < n else lines
            right = columns[:, :, start:] if start else columns
            torch.bmm(left, right, out=output if whole else output[part])
        for each, output in zip(signs, outputs, strict=True):
            left = each.equal if whole else each.equal[part]
            torch.bmm(left.to(dtype), columns, out=output if whole else output[part])
    return panels, outputs


@contextmanager
def full_precision() -> Iterator[None]:
    """Multiply float32 as float32, also where the caller allows TensorFloat-32 or bfloat16."""
    changed = [
        (switch, name, value)
        for switch, name, exact in SWITCHES
        if (value := getattr(switch, name)) not in exact
    ]
    try:
        for switch, name, _ in changed:
            setattr(switch, name, "ieee" if name == "fp32_precision" else False)
        yield
    finally:
        for switch, name, value in changed:
            setattr(switch, name, value)


def _switches() -> list[tuple[Any, str, tuple[object, ...]]]:
    """Return where the precision of products is set: (object, attribute, values for full precision)."""
    cuda, cpu = torch.backends.cuda.matmul, getattr(torch.backends.mkldnn, "matmul", None)
    if hasattr(cuda, "fp32_precision"):
        return [(each, "fp32_precision", ("none", "ieee")) for each in (cuda, cpu) if each is not None]
    return [(cuda, "allow_tf32", (False,))]  # torch before 2.9


SWITCHES = _switches()
