"""A backward pass of a training, while it runs, and what it left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor

from gradlens.grams.accumulator import Accumulator
from gradlens.recording import Recording
from gradlens.recording.births import Birth


class Broken(NamedTuple):
    """The first gradient of a backward pass that is NaN or infinite.

    Attributes:
        stage: its stage.
        site: the operation that passes it back: module path and operation; ``(loss)`` outside of the model.
        samples: the samples in which it is.
        n: samples of the batch.
    """

    stage: str
    site: str
    samples: tuple[int, ...]
    n: int


@dataclass(frozen=True)
class Pass:
    """What one backward pass through a watched forward pass left.

    Attributes:
        index: 0 for the first backward pass through this forward pass, 1 for a second one, and so on.
        recording: the statistics of one batch; None if a gradient is not finite.
        largest: by probe of a signal whose gradient arrived, its largest absolute element, of the summed loss.
        scale: factor of the loss that was divided out.
        problem: why there is no recording; empty if there is one.
        broken: where a gradient is not finite; None if all are, as far as is known.
        birth: where the first value that is not finite was born; None if that is not known.
        alone: whether no backward pass ran, so that other processes of the training have nothing to add.
    """

    index: int
    recording: Recording | None
    largest: Mapping[int, float]
    scale: float = 1.0
    problem: str = ""
    broken: Broken | None = None
    birth: Birth | None = None
    alone: bool = False


@dataclass
class Running:
    """A backward pass that runs.

    Attributes:
        task: number that autograd gives it.
        factor: factor of the loss.
        kept: reduces the gradients; None before the first one, and after an error.
        largest: by probe of a signal, its largest absolute element.
        problem: the error; empty if there was none.
    """

    task: int
    factor: float = 1.0
    kept: Accumulator | None = None
    largest: dict[int, Tensor] = field(default_factory=dict)
    problem: str = ""
