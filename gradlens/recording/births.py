"""Where the first value of a step that is NaN or infinite came from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

FORWARD = "forward"
BACKWARD = "backward"
NAN = "NaN"
INFINITY = "infinity"
INPUTS = "(inputs)"
"""Site of a value that the inputs of the model hold."""
LARGEST = {"float16": 65504.0, "bfloat16": 3.39e38}
"""Largest values of the types in which values overflow early."""
SHOWN = 3
"""Operations that a sentence names."""


@dataclass(frozen=True)
class Birth:
    """The first value of a step that is NaN or infinite, and what became of it.

    Attributes:
        direction: the pass in which it was born, ``forward`` or ``backward``.
        site: the operation that made it of finite values: module path and operation. ``(loss)`` if the gradient that
            arrives at the outputs of the model has it already, ``(inputs)`` if the inputs of the model have it, and the
            name of a parameter that had it before the step.
        kind: ``NAN`` or ``INFINITY``.
        dtype: type of the tensor that holds it, such as ``float16``.
        samples: the samples in which it is, of ``n``; empty if no axis of the tensor holds them.
        n: samples of the batch.
        stage: stage of the site; empty outside of the graph.
        slot: in the backward pass, the input of the operation along which the gradient leaves; None elsewhere.
        producer: what made that input: an operation, or the name of a parameter.
        backward: number of the backward pass through this forward pass, which is that of the loss if the loop
            differentiates each by itself; None if it was born in the forward pass.
        largest: largest absolute value that the operation read; NaN if that is not known.
        source: where an infinite constant comes from that the operation read, such as a mask; empty if there was none.
        spread: the operations that passed it on, in the order in which they ran.
        swallowed: the operations that read it and passed on finite values only, such as ``where``, ``clamp``, ``max``.
        earlier: the value that the forward pass had made and swallowed, if the backward pass broke later.
        before: whether it was there before the step: in the inputs, in a parameter or in a buffer.
        replayed: whether the step was run again to find it; else it was seen in the step itself.
    """

    direction: str
    site: str
    kind: str
    dtype: str
    samples: tuple[int, ...]
    n: int
    stage: str = ""
    slot: int | None = None
    producer: str = ""
    backward: int | None = None
    largest: float = math.nan
    source: str = ""
    spread: tuple[str, ...] = ()
    swallowed: tuple[str, ...] = ()
    earlier: Birth | None = None
    before: bool = False
    replayed: bool = True

    @property
    def text(self) -> str:
        """The sentence without the site."""
        parts = [self._made(), *self._after()]
        if self.earlier is not None:
            parts.append(f"before, {self.earlier}")
        return "; ".join(parts)

    def __str__(self) -> str:
        return f"{self.site}: {self.text}"

    def _made(self) -> str:
        where = f", in {sample_words(self.samples, self.n)}" if self.samples else ""
        if self.before:
            return f"{self.kind} was here before the step{where}"
        if self.direction == FORWARD:
            return f"makes {self.kind} from {self._read('values')} in the forward pass{where}"
        if self.slot is None:
            return f"backward pass {self.backward} brings {self.kind} to the outputs of the model{where}"
        made = f"makes {self.kind} from {self._read('gradients')} in backward pass {self.backward}"
        origin = f", {self.producer}" if self.producer else ""
        return f"{made}, in the gradient of its input {self.slot}{origin}{where}"

    def _read(self, what: str) -> str:
        size = f" up to {self.largest:.3g}" if math.isfinite(self.largest) else ""
        read = f"an infinite constant of {self.source}" if self.source else f"finite {what}{size}"
        limit = f", largest value {LARGEST[self.dtype]:g}" if self.dtype in LARGEST else ""
        return f"{read} ({self.dtype}{limit})"

    def _after(self) -> Sequence[str]:
        spread = f"it spreads through {_listed(self.spread)}" if self.spread else ""
        swallowed = f"it is swallowed by {_listed(self.swallowed)}" if self.swallowed else ""
        return list(filter(None, [spread, swallowed]))


def sample_words(samples: Sequence[int], n: int) -> str:
    """Return the samples in words.

    >>> sample_words([0, 2], 8), sample_words([0, 1], 2)
    ('samples 0 and 2 of 8', 'all 2 samples')
    """
    if len(samples) == n:
        return f"all {n} samples"
    *first, last = map(str, samples)
    words = f"samples {', '.join(first)} and {last}" if first else f"sample {last}"
    return f"{words} of {n}"


def _listed(sites: Sequence[str]) -> str:
    shown, more = ", ".join(sites[:SHOWN]), len(sites) - SHOWN
    return f"{shown} and {more} more, up to {sites[-1]}" if more > 0 else shown
