"""Where the rows of a watched training are written as they come: CSV, Parquet.

A log is any object with the methods of ``Log``. Rows of one step are written together, so that a training that is
killed leaves complete steps.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence
from itertools import count, takewhile
from pathlib import Path
from typing import Protocol, runtime_checkable

import pandas as pd

from gradlens.errors import GradlensError
from gradlens.libraries import library
from gradlens.watching.rows import COLUMNS, TYPES, Row, complete, ends_a_pass

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


@runtime_checkable
class ReadableLog(Protocol):
    """A log in a folder, which can be read while the training runs.

    Attributes:
        folder: that it writes into.
    """

    folder: Path

    def read(self) -> list[Row]:
        """Return all rows of this training."""


class CsvLog:
    """Appends rows to the file ``rows.csv`` of a folder.

    Args:
        folder: is made if it does not exist; its rows of an earlier training are replaced, unless the training is
            resumed (``Watching.load_state_dict``).
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.file = self.folder / FILE
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
        kept = [row for row in read_rows(self.folder) if row.step < step] if self.file.exists() else []
        self._started = False
        self._start(kept)

    def read(self) -> list[Row]:
        """Return all rows of this training."""
        return read_rows(self.folder) if self._started else []

    def close(self) -> None:
        """Do nothing; each step is complete in the file."""

    def _start(self, kept: Iterable[Row]) -> None:
        if self._started:
            return
        self._started = True
        self.folder.mkdir(parents=True, exist_ok=True)
        new = self.file.with_suffix(".new")
        with new.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([COLUMNS, *kept])
        os.replace(new, self.file)


class ParquetLog:
    """Writes rows into Parquet files of a folder: ``part-00000000-0000.parquet``, with the first step and a number.

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
        """Write the rows of a step, once there are enough passes for a file; what the loop logs waits for the next."""
        self._start()
        self._held.append((step, rows))
        if sum(ends_a_pass(held[-1]) for _, held in self._held) >= self.passes:
            self._flush()

    def resume(self, step: int) -> None:
        """Keep the rows of the steps before this one."""
        self._started = True
        self._held = [(held, rows) for held, rows in self._held if held < step]
        for part in sorted(self.folder.glob(PARTS)):
            kept = [row for row in _rows(pd.read_parquet(part)) if row.step < step]
            part.unlink() if not kept else self._save(part, kept)

    def read(self) -> list[Row]:
        """Return all rows of this training, also those that are held."""
        written = read_rows(self.folder) if self._started and has_rows(self.folder) else []
        return [*written, *(row for _, rows in self._held for row in rows)]

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
        step = self._held[0][0]
        names = (self.folder / f"part-{step:08d}-{number:04d}.parquet" for number in count())
        free = next(name for name in names if not name.exists())
        self._save(free, [row for _, rows in self._held for row in rows])
        self._held = []

    def _save(self, file: Path, rows: Sequence[Row]) -> None:
        """Write a file under another name and rename it, so that it is whole or not there."""
        import pyarrow

        frame = pd.DataFrame(rows, columns=list(COLUMNS))
        new = file.with_suffix(".new")
        self._parquet.write_table(pyarrow.Table.from_pandas(frame, preserve_index=False), new)
        os.replace(new, file)


def has_rows(folder: str | Path) -> bool:
    """Return whether a folder has a file that ``CsvLog`` or ``ParquetLog`` wrote, as far as it may be read."""
    folder = Path(folder)
    try:
        return (folder / FILE).is_file() or any(folder.glob(PARTS))
    except OSError:
        return False


def read_rows(folder: str | Path) -> list[Row]:
    """Return the rows that ``CsvLog`` or ``ParquetLog`` wrote into a folder, in order of steps.

    A step whose rows were cut off, because the training was killed while it wrote them, is left out.

    Raises:
        GradlensError: the folder has no rows, or they cannot be read.
    """
    folder = Path(folder)
    if not has_rows(folder):
        raise GradlensError(f"{folder} has no rows of a watched training: neither {FILE} nor {PARTS}")
    try:
        parts = sorted(folder.glob(PARTS))
        if parts:
            return [row for part in parts for row in _rows(pd.read_parquet(part))]
        return _csv_rows(folder / FILE)
    except ImportError as error:
        raise GradlensError(
            f"{folder} has Parquet files; install pyarrow to read them (pip install pyarrow)"
        ) from error
    except (OSError, ValueError, LookupError) as error:
        raise GradlensError(f"the rows in {folder} cannot be read: {' '.join(str(error).split())}") from error


def _csv_rows(file: Path) -> list[Row]:
    text = file.read_bytes().decode(errors="ignore")  # the end may be cut off within a character
    lines = csv.reader(io.StringIO(text[: text.rfind("\n") + 1], newline=""))
    next(lines, None)
    return complete([_row(cells) for cells in takewhile(lambda cells: len(cells) == len(COLUMNS), lines)])


def _rows(frame: pd.DataFrame) -> list[Row]:
    return [_row(cells) for cells in frame[list(COLUMNS)].itertuples(index=False)]


def _row(cells: Iterable[object]) -> Row:
    return Row(*[kind(cell) for kind, cell in zip(_KINDS, cells, strict=True)])


_KINDS = [TYPES.get(name, str) for name in COLUMNS]
