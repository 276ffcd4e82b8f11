"""The rows of a watched training as scalars of TensorBoard."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from gradlens.errors import GradlensError
from gradlens.watching.rows import Row
from gradlens.watching.stages import by_stage

ROOT = "gradlens"


class TensorBoardLog:
    """Writes the numbers of stages as scalars with the tags ``gradlens/<stage>/<quantity>``.

    Of its layers and branches, a stage has the geometric mean of ``rms``, the ``largest`` element, the smallest
    ``share`` and ``coherence``, and the number of ``dead`` layers.

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
        rows: of one step.
        places: whether to yield those of layers, forks and branches, too.
    """
    passes: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        passes[row.backward].append(row)
    for backward, measured in passes.items():
        root = f"{ROOT}/backward {backward}" if backward else ROOT
        for (stage, quantity), value in by_stage(measured).items():
            yield f"{root}/{stage}/{quantity}", value
        for row in measured if places else ():
            if row.place:
                yield (
                    "/".join(filter(None, [root, row.stage, row.quantity, row.place, row.branch])),
                    row.value,
                )
