"""Detect another distribution that installs files into this package.

The distribution ``gradlens`` of the Python package index is another project with the same import name. If both are
installed, the later one overwrites ``gradlens/__init__.py`` of the earlier one, and removing either deletes that file.
This module imports nothing from gradlens, because the command line runs it even if ``gradlens/__init__.py`` belongs to
the other project.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

DISTRIBUTION = "gradlens-flow"
REMEDY = (
    "run `python -m pip uninstall gradlens`, then `python -m pip install .` in the checkout of this project, "
    f"whose distribution is {DISTRIBUTION}"
)


def conflicts(entries: Sequence[str] | None = None) -> list[str]:
    """Return the metadata folders of other distributions that own the import name ``gradlens``.

    Usually only folder names are read, which takes well under a millisecond.

    Args:
        entries: folders to search; ``sys.path`` if None.
    """
    folders = []
    for entry in dict.fromkeys(sys.path if entries is None else entries):
        try:
            names = os.listdir(entry or ".")
        except OSError:
            continue
        folders += [
            os.path.join(entry, name)
            for name in sorted(names)
            if name.lower().startswith("gradlens-") and name.endswith(".dist-info")
        ]
    return [folder for folder in folders if _owns_the_name(folder)]


def _owns_the_name(folder: str) -> bool:
    """Return whether it is another project, or an early version of this one whose modules are still there."""
    record = _text(folder, "RECORD").splitlines()
    same_project = "gradlens_cli" in _text(folder, "entry_points.txt")
    return not same_project or any(line.startswith("gradlens/__init__.py,") for line in record)


def _text(folder: str, name: str) -> str:
    try:
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def conflict() -> str:
    """Return the problem with another distribution of this import name and its remedy; empty if there is none."""
    folders = conflicts()
    if not folders:
        return ""
    return (
        f"another distribution installs the package gradlens ({', '.join(folders)}), so that the two overwrite each "
        f"other's files; {REMEDY}"
    )


def warn_of_conflict() -> None:
    """Warn if another distribution owns the import name."""
    message = conflict()
    if message:
        import warnings

        warnings.warn(message, stacklevel=3)
