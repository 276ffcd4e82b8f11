"""The sections of a darknet ``.cfg`` as written, with checked access to their values."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from gradlens.errors import GradlensError, close_matches

LARGEST = 2**31 - 1  # of darknet's int
# These keys control darknet's training, its streams and its files, not what the network computes.
HARMLESS = {
    "burnin_update", "grad_centr", "learning_rate", "lr", "onlyforward", "show_details", "stream", "train",
    "train_only_bn", "wait_stream",
}  # fmt: skip
ALIASES = {
    "avg": "avgpool", "conn": "connected", "conv": "convolutional", "local_avg": "local_avgpool",
    "max": "maxpool", "network": "net", "silence": "empty", "soft": "softmax",
}  # fmt: skip
STOPS = "stopbackward"


class Option(NamedTuple):
    """A value and its line."""

    value: str
    line: int


@dataclass(frozen=True)
class RawSection:
    """A section as written; errors name its file and line.

    Attributes:
        name: without brackets.
        line: at which it begins.
        file: name of the file in messages.
        options: the first value of each key.
        notes: remarks on options that are not followed.
    """

    name: str
    line: int
    file: str
    options: dict[str, Option] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def position(self) -> str:
        """File, line and name, as the beginning of a message."""
        return f"{self.file}, line {self.line}: [{self.name}]"

    def reads(
        self, *keys: str, fixed: Mapping[str, str] | None = None, ignored: tuple[str, ...] = ()
    ) -> None:
        """Check all keys; note those that darknet ignores too.

        Args:
            keys: whose values are read.
            fixed: keys that change the network, with the only value that is supported.
            ignored: keys that change darknet's training only.

        Raises:
            GradlensError: a key of ``fixed`` has another value, because ignoring it would build another network.
        """
        for key, option in self.options.items():
            only = (fixed or {}).get(key)
            if only is not None and option.value != only:
                raise GradlensError(
                    f"{self.file}, line {option.line}: [{self.name}] with {key}={option.value} is not supported;"
                    f" gradlens builds it with {key}={only} only"
                )
            if key == STOPS and option.value != "0":
                self.notes.append(
                    f"{self.file}, line {option.line}: {key}={option.value} is not followed; gradients of all "
                    "layers are measured"
                )
            elif only is None and key not in {*keys, *ignored, *HARMLESS, STOPS}:
                near = close_matches(key, keys)
                self.notes.append(
                    f"{self.file}, line {option.line}: [{self.name}] with {key!r} is not known and ignored{near}"
                )

    def text(self, key: str, default: str | None = None) -> str:
        """Return a value as written."""
        option = self.options.get(key)
        if option is not None:
            return option.value
        if default is None:
            raise GradlensError(f"{self.position} has no key {key!r}; is the file cut off?")
        return default

    def choice(self, key: str, default: str, allowed: tuple[str, ...]) -> str:
        """Return a value that is one of several words."""
        value = self.text(key, default)
        if value not in allowed:
            raise self.bad(key, f"one of {', '.join(allowed)}")
        return value

    def integer(self, key: str, default: int | None = None, least: int = 0) -> int:
        """Return a whole number of at least ``least``."""
        return self._checked(key, self.text(key, None if default is None else str(default)), least)

    def integers(self, key: str) -> tuple[int, ...]:
        """Return a list of whole numbers."""
        return tuple(self._checked(key, part, -LARGEST) for part in self.text(key).split(","))

    def flag(self, key: str, default: int = 0) -> bool:
        """Return whether a number is not 0."""
        return bool(self.integer(key, default))

    def number(self, key: str, default: float, least: float = 0.0) -> float:
        """Return a finite number of at least ``least``."""
        if key not in self.options:
            return default
        value = self._number(key, self.text(key))
        if value < least:
            raise self.bad(key, f"{least:g} or more")
        return value

    def numbers(self, key: str) -> tuple[float, ...]:
        """Return a list of finite numbers; a comma at the end is allowed."""
        return tuple(self._number(key, part) for part in self.text(key).rstrip(",").split(","))

    def share(self, key: str) -> float:
        """Return a number from 0 to below 1."""
        value = self.text(key)
        if not re.fullmatch(r"\d+\.?\d*|\.\d+", value) or not float(value) < 1:
            raise self.bad(key, "a number from 0 to below 1")
        return float(value)

    def bad(self, key: str, allowed: str) -> GradlensError:
        """Return the error for a value that is not allowed."""
        option = self.options[key]
        return GradlensError(
            f"{self.file}, line {option.line}: {key} of [{self.name}] is {option.value!r}; it must be {allowed}"
        )

    def _number(self, key: str, text: str) -> float:
        if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?f?", text):
            raise self.bad(key, "numbers" if "," in self.options[key].value else "a number")
        value = float(text.rstrip("f"))
        if not math.isfinite(value):
            raise self.bad(key, "a finite number")
        return value

    def _checked(self, key: str, value: str, least: int) -> int:
        if not re.fullmatch(r"[+-]?[0-9]{1,10}", value):
            raise self.bad(key, "a whole number" if key not in ("layers", "from") else "layer numbers")
        if not least <= int(value) <= LARGEST:
            raise self.bad(key, f"from {least} to {LARGEST}")
        return int(value)


def raw_sections(text: str, file: str) -> Iterator[RawSection]:
    """Yield the sections of a text.

    Raises:
        GradlensError: a malformed line, or one before the first section.
    """
    section: RawSection | None = None
    for number, full in enumerate(text.splitlines(), start=1):
        line = re.sub(r"\s", "", full.partition("#")[0])
        if not line or line.startswith(";"):
            continue
        if line.startswith("["):
            if section:
                yield section
            if not line.endswith("]"):
                raise GradlensError(f"{file}, line {number}: {line!r} has no closing bracket")
            section = RawSection(ALIASES.get(line[1:-1], line[1:-1]), number, file)
            continue
        key, equals, value = line.partition("=")
        if not (key and equals and value):
            raise GradlensError(f"{file}, line {number}: {line[:60]!r} is not of the form key=value")
        if section is None:
            raise GradlensError(f"{file}, line {number}: {key!r} comes before the first [section]")
        section.options.setdefault(key, Option(value, number))
    if section:
        yield section
