"""The runs that lie in a folder: found, read without pandas, and told in a line each."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from gradlens.errors import GradlensError
from gradlens.results.documents import require_readable

from .output import READABLE, RESULT, looking_at

DEEPEST = 6  # folders below the one that is asked for: runs lie no deeper


@dataclass(frozen=True)
class Run:
    """A saved run as its files tell it.

    Attributes:
        folder: where it lies.
        kind: ``compare``, ``inspect``, ``paths`` or ``strategies``.
        networks: names of what was measured.
        when: of its result, seconds since 1970.
        size: of all its files, bytes; runs within it not counted.
        finding: the answer in words.
        partial: whether it was cut.
        problem: why it cannot be read; empty where it can.
    """

    folder: Path
    kind: str = ""
    networks: tuple[str, ...] = ()
    when: float = 0.0
    size: int = 0
    finding: str = ""
    partial: bool = False
    problem: str = ""

    def document(self) -> dict[str, Any]:
        """As JSON writes it."""
        time = datetime.fromtimestamp(self.when).astimezone().isoformat(timespec="seconds")
        return {**asdict(self), "folder": str(self.folder), "networks": list(self.networks), "when": time}


def runs_in(folder: Path) -> list[Run]:
    """All runs in a folder and the folders in it, newest first.

    Raises:
        GradlensError: there is no such folder, or it may not be read.
    """
    with looking_at(folder, READABLE):
        if not folder.is_dir():
            raise GradlensError(
                f"there is no folder {folder}; `gradlens inspect MODEL` makes a run in runs/, or give another folder"
            )
        (folder / RESULT).is_file()  # a folder may be listed and yet not entered
        os.scandir(folder).close()
    return sorted(map(read_run, run_folders(folder)), key=lambda run: (-run.when, str(run.folder)))


def run_folders(folder: Path, depth: int = DEEPEST) -> Iterator[Path]:
    """Folders that hold a result, also within a run; hidden ones are work of a command that runs or was cut."""
    try:
        if (folder / RESULT).is_file():
            yield folder
        inner = sorted(entry.path for entry in os.scandir(folder) if entry.is_dir() and entry.name[0] != ".")
    except OSError:
        return  # a folder that may not be read holds no run of this user
    for path in inner if depth else ():
        yield from run_folders(Path(path), depth - 1)


def read_run(folder: Path) -> Run:
    """What a list says of one run; one that is damaged says so instead of failing."""
    path = folder / RESULT
    try:
        facts: dict[str, Any] = {"when": path.stat().st_mtime, "size": _size(folder)}
    except OSError as error:
        return Run(folder, problem=f"cannot be read: {error.strerror or error}")
    try:
        return Run(folder, **facts, **_told(json.loads(path.read_text(encoding="utf-8"))))
    except OSError as error:
        return Run(folder, **facts, problem=f"cannot be read: {error.strerror or error}")
    except GradlensError as error:
        return Run(folder, **facts, problem=str(error))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        return Run(folder, **facts, problem=f"damaged: {' '.join(str(error).split())}")


def _told(document: Mapping[str, Any]) -> dict[str, Any]:
    require_readable(document)
    meta = document["meta"]
    if not isinstance(meta, Mapping):
        raise TypeError("its meta is no table")
    return {
        "kind": _kind(meta),
        "networks": _networks(meta),
        "finding": str(document["finding"]),
        "partial": bool(meta.get("partial", False)),
    }


def _kind(meta: Mapping[str, Any]) -> str:
    """The command that made it, where that is known: ``paths`` is an inspection to the report."""
    words = str(meta.get("command", "")).split()
    return words[1] if len(words) > 1 and words[1] == "paths" else str(meta.get("kind", ""))


def _networks(meta: Mapping[str, Any]) -> tuple[str, ...]:
    if meta.get("networks"):
        return tuple(str(name) for name in meta["networks"])
    return tuple(str(meta[key]) for key in ("a", "b") if meta.get(key))


def _size(folder: Path) -> int:
    """Bytes of all files but those of runs within it; one that vanishes meanwhile counts nothing."""
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
