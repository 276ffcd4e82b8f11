"""Where the rows of a watched training are written as they come: CSV, Parquet.

A log is any object with the methods of ``Log``. Rows of one step are written together, so that a training that is
killed leaves complete steps.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Protocol

import pandas as pd

from gradlens.errors import GradlensError
from gradlens.libraries import library
from gradlens.watching.rows import COLUMNS, TYPES, Row, complete

FILE = "rows.csv"
PARTS = "part-*.parquet"


class Log(Protocol):
    """Receives the rows of the watched steps of one training."""

    def write(self, step: int, rows: Sequence[Row]) -> None:
        """Write the rows of a step; when it returns they survive the end of the process."""

    def resume(self, step: int) -> None:
        """Drop what was written of this step and later ones, before a training continues at it."""

    def close(self) -> None:
        """Finish; nothing is written afterwards."""


class CsvLog:
    """Appends rows to the file ``rows.csv`` of a folder.

    Args:
        folder: is made if it does not exist; its rows of an earlier training are replaced, unless the training is
            resumed (``Watching.load_state_dict``).
    """

    def __init__(self, folder: str | Path) -> None:
        self.file = Path(folder) / FILE
        self._started = False

    def write(self, step: int, rows: Sequence[Row]) -> None:
        """Append the rows of a step in one piece."""
        self._start(())
        text = io.StringIO()
        csv.writer(text).writerows(rows)
        with self.file.open("ab", buffering=0) as file:
            file.write(text.getvalue().encode())

    def resume(self, step: int) -> None:
        """Keep the rows of the steps before this one."""
        kept = [row for row in read_rows(self.file.parent) if row.step < step] if self.file.exists() else []
        self._started = False
        self._start(kept)

    def close(self) -> None:
        """Do nothing; each step is complete in the file."""

    def _start(self, kept: Iterable[Row]) -> None:
        if self._started:
            return
        self._started = True
        self.file.parent.mkdir(parents=True, exist_ok=True)
        new = self.file.with_suffix(".new")
        with new.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([COLUMNS, *kept])
        os.replace(new, self.file)


class ParquetLog:
    """Writes rows into Parquet files of a folder, ``part-00000000-0000.parquet`` and so on, named by their first step.

    Args:
        folder: as for ``CsvLog``.
        passes: measured backward passes per file; those of an unfinished file are lost if the training is killed.

    Raises:
        GradlensError: pyarrow is not installed.
    """

    def __init__(self, folder: str | Path, passes: int = 1) -> None:
        self._parquet = library("ParquetLog", "pyarrow", "pyarrow.parquet", otherwise="use CsvLog")
        self.folder, self.passes = Path(folder), passes
        self._held: list[tuple[int, Sequence[Row]]] = []
        self._started = False

    def write(self, step: int, rows: Sequence[Row]) -> None:
        """Write the rows of a step, once there are enough for a file."""
        self._start()
        self._held.append((step, rows))
        if len(self._held) >= self.passes:
            self._flush()

    def resume(self, step: int) -> None:
        """Keep the rows of the steps before this one."""
        self._started = True
        self._held = [(held, rows) for held, rows in self._held if held < step]
        for part in sorted(self.folder.glob(PARTS)):
            kept = [row for row in _rows(pd.read_parquet(part)) if row.step < step]
            part.unlink() if not kept else self._save(part, kept)

    def close(self) -> None:
        """Write the steps that are held."""
        if self._held:
            self._flush()

    def _start(self) -> None:
        if self._started:
            return
        self._started = True
        self.folder.mkdir(parents=True, exist_ok=True)
        for part in self.folder.glob(PARTS):
            part.unlink()

    def _flush(self) -> None:
        step, rows = self._held[0]
        name = f"part-{step:08d}-{rows[0].backward:04d}.parquet"
        self._save(self.folder / name, [row for _, rows in self._held for row in rows])
        self._held = []

    def _save(self, file: Path, rows: Sequence[Row]) -> None:
        """Write a file under another name and rename it, so that it is whole or not there."""
        import pyarrow

        frame = pd.DataFrame(rows, columns=list(COLUMNS))
        new = file.with_suffix(".new")
        self._parquet.write_table(pyarrow.Table.from_pandas(frame, preserve_index=False), new)
        os.replace(new, file)


def read_rows(folder: str | Path) -> list[Row]:
    """Return the rows that ``CsvLog`` or ``ParquetLog`` wrote into a folder, in order of steps.

    A step whose rows were cut off, because the training was killed while it wrote them, is left out.

    Raises:
        GradlensError: the folder has no rows.
    """
    folder = Path(folder)
    parts = sorted(folder.glob(PARTS))
    if parts:
        return [row for part in parts for row in _rows(pd.read_parquet(part))]
    file = folder / FILE
    if not file.exists():
        raise GradlensError(f"{folder} has no rows of a watched training: neither {FILE} nor {PARTS}")
    text = file.read_bytes().decode(errors="ignore")  # the end may be cut off within a character
    lines = csv.reader(io.StringIO(text[: text.rfind("\n") + 1], newline=""))
    next(lines, None)
    return complete([_row(cells) for cells in takewhile(lambda cells: len(cells) == len(COLUMNS), lines)])


def _rows(frame: pd.DataFrame) -> list[Row]:
    return [_row(cells) for cells in frame[list(COLUMNS)].itertuples(index=False)]


def _row(cells: Iterable[object]) -> Row:
    values = [TYPES.get(name, str)(cell) for name, cell in zip(COLUMNS, cells, strict=True)]
    return Row(*values)
