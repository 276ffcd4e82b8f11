"""Names of YAML files: those that ultralytics contains, in its sizes, and paths of files of the user."""

from __future__ import annotations

import functools
import importlib.util
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gradlens.models.files import require_file

LIBRARY = "ultralytics"
SCALES = re.compile(r"^scales:.*\n((?:[ #].*\n|\n)+)", re.MULTILINE)
LETTER = re.compile(r"^\s+([a-z]): *\[", re.MULTILINE)
NUMBER = re.compile(r"^(yolo(?:v?\d+))")
SUFFIX = ".yaml"


@dataclass(frozen=True)
class YamlFiles:
    """YAML files whose last layer is of one kind, which says what the network is for.

    Attributes:
        heads: names of the last layer.
    """

    heads: tuple[str, ...]

    def has(self, name: str) -> bool:
        """Return whether the library contains the file, or a file at this path has the last layer."""
        if name in self.listed():
            return True
        return name.endswith((SUFFIX, ".yml")) and Path(name).is_file() and _head(Path(name)) in self.heads

    def check(self, name: str) -> None:
        """Check that a file that the library does not contain can be read."""
        if name not in self.listed():
            require_file(Path(name), "YAML file")

    def path(self, name: str) -> str:
        """Return the path of a file of the user."""
        return "" if name in self.listed() else name

    def listed(self) -> Iterable[str]:
        """Return the names of the library's files, with the letter of each size."""
        return [name for name, head in _library_names() if head in self.heads]


@functools.cache
def _library_names() -> tuple[tuple[str, str], ...]:
    """Return names and last layers of the library's files, without loading it; none if it is not installed."""
    return tuple(_named())


def _named() -> Iterator[tuple[str, str]]:
    try:
        spec = importlib.util.find_spec(LIBRARY)
    except (ImportError, ValueError):
        return
    for location in (spec.submodule_search_locations or []) if spec else []:
        for file in sorted(Path(location, "cfg", "models").rglob("*" + SUFFIX)):
            scales = SCALES.search(file.read_text(encoding="utf-8"))
            letters = LETTER.findall(scales[1]) if scales else []
            names = [NUMBER.sub(rf"\g<1>{letter}", file.name) for letter in letters] or [file.name]
            yield from ((name, _head(file)) for name in names)


def _head(file: Path) -> str:
    """Return the name of the last layer in a YAML file: ``Detect`` in ``[[15, 18, 21], 1, Detect, [nc]]``."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
    layers = re.findall(r"^ *- *\[ *(?:\[[^]]*\]|-?\d+) *, *\d+ *, *([\w.]+)", text, re.MULTILINE)
    return layers[-1] if layers else ""
