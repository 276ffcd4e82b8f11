"""Kinds of names: registered in a library, fixed, or paths of files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gradlens.errors import GradlensError
from gradlens.models.files import check_factory, require_file
from gradlens.models.sources.registrations import may_have, registered

PYTHON = ".py"


@dataclass(frozen=True)
class Registered:
    """Names that a library registers in the files of a folder.

    Attributes:
        library: name of the package.
        folder: folder of its files, below the package.
    """

    library: str
    folder: str = "models"

    def has(self, name: str) -> bool:
        """Return whether the library registers the name; a tag of weights may follow in timm."""
        return may_have(self.library, name.partition(".")[0] if self.library == "timm" else name, self.folder)

    def check(self, name: str) -> None:
        """Accept all names: there is no file."""

    def path(self, name: str) -> str:
        """Return an empty path: there is no file."""
        return ""

    def listed(self) -> Iterable[str]:
        """Return the registered names."""
        return registered(self.library, self.folder)


@dataclass(frozen=True)
class Fixed:
    """Names of a mapping."""

    networks: Mapping[str, object]

    def has(self, name: str) -> bool:
        """Return whether the mapping has the name."""
        return name in self.networks

    def check(self, name: str) -> None:
        """Accept all names: there is no file."""

    def path(self, name: str) -> str:
        """Return an empty path: there is no file."""
        return ""

    def listed(self) -> Iterable[str]:
        """Return the names."""
        return self.networks


@dataclass(frozen=True)
class OneOf:
    """Names of several kinds."""

    kinds: tuple[Registered | Fixed, ...]

    def has(self, name: str) -> bool:
        """Return whether one of the kinds has the name."""
        return any(kind.has(name) for kind in self.kinds)

    def check(self, name: str) -> None:
        """Accept all names: there is no file."""

    def path(self, name: str) -> str:
        """Return an empty path: there is no file."""
        return ""

    def listed(self) -> Iterable[str]:
        """Return the names of all kinds."""
        return [name for kind in self.kinds for name in kind.listed()]


@dataclass(frozen=True)
class Marked:
    """Paths of files whose text has a mark.

    Attributes:
        what: the kind of file, for messages.
        mark: pattern of the start of a line that must be there; empty to accept all files, also missing ones.
    """

    what: str
    mark: str = ""

    def has(self, name: str) -> bool:
        """Return whether the file has the mark."""
        if not self.mark:
            return True
        try:
            text = Path(name).read_text(encoding="utf-8", errors="replace")
        except (OSError, ValueError):
            return False
        return re.search(self.mark, text, re.MULTILINE | re.IGNORECASE) is not None

    def check(self, name: str) -> None:
        """Check that the file can be read."""
        require_file(Path(name), self.what)

    def path(self, name: str) -> str:
        """Return the path."""
        return name

    def listed(self) -> Iterable[str]:
        """Return no names: files have paths."""
        return ()


@dataclass(frozen=True)
class Functions:
    """Functions of Python files: ``path/file.py:factory``."""

    def has(self, name: str) -> bool:
        """Return whether the name contains a Python file."""
        return name.endswith(PYTHON) or PYTHON + ":" in name

    def check(self, name: str) -> None:
        """Check that the file binds the name, as far as its text shows."""
        check_factory(*split_function(name))

    def path(self, name: str) -> str:
        """Return the path of the Python file."""
        return str(split_function(name)[0])

    def listed(self) -> Iterable[str]:
        """Return no names: files have paths."""
        return ()


def split_function(name: str) -> tuple[Path, str]:
    """Return the file and the function of ``path/file.py:factory``.

    Raises:
        GradlensError: the function is missing, or is not a Python name.
    """
    path, colon, factory = name.rpartition(PYTHON + ":")
    file = path + PYTHON if colon else name
    if not factory.isidentifier() or not colon:
        problem = f"; {factory!r} is not a Python name" if colon and factory else ""
        raise GradlensError(
            f"{file} is a file, but which of its functions builds the model? Give {file}:factory{problem}"
        )
    return Path(file), factory
