"""The installed files of gradlens: whether they are complete, unchanged and alone."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import os
from collections.abc import Iterator
from pathlib import Path

from gradlens.installation import DISTRIBUTION, REMEDY, conflict

PACKAGE = "gradlens"
SHOWN = 5  # names of files; a broken installation may have hundreds


def problems() -> list[str]:
    """Return what is wrong with the installation, each with the remedy."""
    shared = conflict()
    return [shared] if shared else file_problems(_files())


def _files() -> list[importlib.metadata.PackagePath]:
    """Return the files of the package that were installed: none in a checkout or an editable install."""
    try:
        files = importlib.metadata.distribution(DISTRIBUTION).files or []
    except importlib.metadata.PackageNotFoundError:
        return []
    return [file for file in files if file.parts[0] == PACKAGE and file.suffix != ".pyc"]


def file_problems(files: list[importlib.metadata.PackagePath]) -> list[str]:
    """Return what differs between the installed files and the folder they were installed into."""
    if not files:
        return []
    damaged = sorted(str(file) for file in files if _damaged(file))
    root = Path(str(files[0].locate())).parents[len(files[0].parts) - 1]
    strangers = sorted(set(_modules(root)) - {str(file) for file in files})
    sentences = [_sentence(root, "missing or changed files", damaged, REMEDY)] if damaged else []
    if strangers:
        sentences.append(
            _sentence(root, f"files that {DISTRIBUTION} did not install", strangers, "delete them")
        )
    return sentences


def _sentence(root: Path, what: str, names: list[str], remedy: str) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{what} in {root}: {', '.join(names[:SHOWN])}{more}; {remedy}"


def _damaged(file: importlib.metadata.PackagePath) -> bool:
    path = Path(str(file.locate()))
    if not path.is_file():
        return True
    if file.hash is None:
        return False
    digest = hashlib.new(file.hash.mode, path.read_bytes()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != file.hash.value


def _modules(root: Path) -> Iterator[str]:
    for folder, _, names in os.walk(root / PACKAGE):
        for name in names:
            if name.endswith(".py"):
                yield Path(folder, name).relative_to(root).as_posix()
