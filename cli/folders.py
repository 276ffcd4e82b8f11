"""The runs in a folder, read without pandas."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from gradlens.errors import GradlensError
from gradlens.results.documents import require_readable
from gradlens.results.provenance import RunProvenance

from .output import READABLE, RESULT, accessing

DEEPEST = 6  # levels of folders that are searched for runs


@dataclass(frozen=True)
class Run:
    """A saved run, read from its files.

    Attributes:
        folder: the folder of the run.
        kind: ``compare``, ``inspect``, ``paths`` or ``strategies``.
        networks: names of the measured networks.
        when: time of its result, seconds since 1970.
        size: bytes of all its files, without those of runs inside it.
        finding: its main result in words.
        partial: whether it was interrupted.
        problem: why it cannot be read; empty if it can.
    """

    folder: Path
    kind: str = ""
    networks: tuple[str, ...] = ()
    when: float = 0.0
    size: int = 0
    finding: str = ""
    partial: bool = False
    problem: str = ""

    def document(self) -> dict[str, object]:
        """Return the run as a JSON object."""
        time = datetime.fromtimestamp(self.when).astimezone().isoformat(timespec="seconds")
        return {**asdict(self), "folder": str(self.folder), "networks": list(self.networks), "when": time}


def runs_in(folder: Path) -> list[Run]:
    """Return all runs in a folder and its subfolders, newest first.

    Raises:
        GradlensError: there is no such folder, or it may not be read.
    """
    with accessing(folder, READABLE):
        if not folder.is_dir():
            raise GradlensError(
                f"there is no folder {folder}; `gradlens inspect MODEL` makes a run in runs/, or give another folder"
            )
        (folder / RESULT).is_file()  # listing a folder may be allowed although entering it is not
        os.scandir(folder).close()
    return sorted(map(read_run, run_folders(folder)), key=lambda run: (-run.when, str(run.folder)))


def run_folders(folder: Path, depth: int = DEEPEST) -> Iterator[Path]:
    """Yield the folders that hold a result, also inside a run; skip hidden ones, which unfinished commands use."""
    try:
        if (folder / RESULT).is_file():
            yield folder
        inner = sorted(entry.path for entry in os.scandir(folder) if entry.is_dir() and entry.name[0] != ".")
    except OSError:
        return  # a folder that this user may not read
    for path in inner if depth else ():
        yield from run_folders(Path(path), depth - 1)


def read_run(folder: Path) -> Run:
    """Read one run; a damaged one has a ``problem``."""
    path = folder / RESULT
    run = Run(folder)
    try:
        run = replace(run, when=path.stat().st_mtime, size=_size(folder))
        return _described(run, json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        return replace(run, problem=f"cannot be read: {error.strerror or error}")
    except GradlensError as error:
        return replace(run, problem=str(error))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        return replace(run, problem=f"damaged: {' '.join(str(error).split())}")


def _described(run: Run, document: Mapping[str, object]) -> Run:
    require_readable(document)
    meta = document["meta"]
    if not isinstance(meta, Mapping):
        raise TypeError("its meta is not a table")
    provenance = RunProvenance.of(meta)
    return replace(
        run,
        kind=provenance.kind,
        networks=provenance.networks,
        finding=str(document["finding"]),
        partial=provenance.partial,
    )


def _size(folder: Path) -> int:
    """Return the bytes of all files except those of runs inside it; a file that vanishes meanwhile counts 0."""
    total = 0
    for root, inner, files in os.walk(folder):
        if RESULT in files and Path(root) != folder:
            inner.clear()
            continue
        for name in files:
            try:
                total += os.lstat(os.path.join(root, name)).st_size
            except OSError:
                continue
    return total
