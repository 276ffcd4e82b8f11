"""The rows of a watched training as scalars of TensorBoard."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from gradlens.errors import GradlensError
from gradlens.watching.rows import Row

ROOT = "gradlens"
SMALLEST = ("share", "coherence")
"""Quantities of which a stage has the smallest of its places."""


class TensorBoardLog:
    """Writes the numbers of stages as scalars with the tags ``gradlens/<stage>/<quantity>``.

    Of the layers and branches, a stage has the geometric mean of ``rms``, the smallest ``share`` and ``coherence``, and
    the number of ``dead`` layers.

    Args:
        folder: of the event files.
        places: also write the numbers of each layer, fork and branch, ``gradlens/<stage>/<quantity>/<place>``.

    Raises:
        GradlensError: tensorboard is not installed.
    """

    def __init__(self, folder: str | Path, *, places: bool = False) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise GradlensError(
                "TensorBoardLog needs tensorboard; install it (pip install tensorboard), or use CsvLog"
            ) from None
        self._make, self._folder, self._places = SummaryWriter, str(folder), places
        self._writer: Any = None

    def write(self, step: int, rows: Sequence[Row]) -> None:
        """Write the scalars of a step, and flush them to the file."""
        if self._writer is None:
            self._writer = self._make(self._folder)
        for tag, value in scalars_of(rows, places=self._places):
            self._writer.add_scalar(tag, value, step)
        self._writer.flush()

    def resume(self, step: int) -> None:
        """Let TensorBoard drop this step and later ones."""
        self.close()
        self._writer = self._make(self._folder, purge_step=step)

    def close(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def scalars_of(rows: Iterable[Row], *, places: bool = False) -> Iterator[tuple[str, float]]:
    """Yield the tag and the value of each scalar; those of a second backward pass have ``backward 1`` in the tag.

    Args:
        rows: of one backward pass.
        places: whether to yield those of layers, forks and branches, too.
    """
    of_stage: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in rows:
        root = f"{ROOT}/backward {row.backward}" if row.backward else ROOT
        tag = f"{root}/{row.stage}/{row.quantity}"
        if not row.place:
            yield tag, row.value
            continue
        of_stage[tag, row.quantity].append(row.value)
        if places:
            yield "/".join(filter(None, [tag, row.place, row.branch])), row.value
    for (tag, quantity), values in of_stage.items():
        if quantity in SMALLEST:
            yield tag, min(values)
        elif quantity == "dead":
            yield tag, sum(values)
        elif quantity == "rms" and any(value > 0 for value in values):
            logs = [math.log(value) for value in values if value > 0]
            yield tag, math.exp(sum(logs) / len(logs))
