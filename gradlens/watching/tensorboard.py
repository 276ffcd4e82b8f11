"""The rows of a watched training as scalars of TensorBoard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gradlens.libraries import library
from gradlens.watching.rows import Row
from gradlens.watching.scalars import scalars_of


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
        module = library("TensorBoardLog", "tensorboard", "torch.utils.tensorboard", otherwise="use CsvLog")
        self._make, self._folder, self._places = module.SummaryWriter, str(folder), places
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
