"""Parse the text of a darknet ``.cfg`` into typed sections with line numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from gradlens.errors import GradlensError, close_matches
from gradlens.models.darknet import sections
from gradlens.models.darknet.sections import Cfg, Net, Section

LARGEST = 2**31 - 1  # of darknet's int
# These keys control darknet's training and its streams, not what the network computes.
HARMLESS = {"learning_rate", "onlyforward", "stopbackward", "stream", "train_only_bn", "wait_stream"}
ALIASES = {
    "avg": "avgpool", "conn": "connected", "conv": "convolutional", "local_avg": "local_avgpool",
    "max": "maxpool", "network": "net", "soft": "softmax",
}  # fmt: skip


def read_cfg(file: str | Path) -> Cfg:
    """Read a darknet network definition.

    Raises:
        GradlensError: the file does not exist, is not text, or is not a network (see ``parse_cfg``).
    """
    path = Path(file)
    if not path.is_file():
        near = close_matches(path.name, (other.name for other in path.parent.glob("*.cfg")))
        raise GradlensError(f"there is no file {path}{near or '; give a darknet .cfg'}")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise GradlensError(f"{path} cannot be read ({error.strerror}); check its permissions") from error
    if b"\0" in content:
        raise GradlensError(f"{path} is not text; give a darknet .cfg (and its weights as checkpoint=FILE)")
    return parse_cfg(content.decode("utf-8-sig", errors="replace"), str(path))


def parse_cfg(text: str, file: str = "the cfg") -> Cfg:
    r"""Parse the text of a ``.cfg``; the first value of a repeated key counts, as in darknet.

    Args:
        text: sections ``[name]`` with lines ``key=value``; ``#`` and ``;`` begin comments.
        file: name of the file in error messages.

    Raises:
        GradlensError: with file and line: an unknown section or key, a missing key, a value that is not a
            number or out of range, a malformed line, no section at all, no [net] at the beginning, or
            no layer after it.

    >>> parse_cfg("[net]\nchannels=3\nheight=8\nwidth=8\n[avgpool]").layers
    (Plain(line=5, kind='avgpool'),)
    """
    raw = list(_raw_sections(text, file))
    if not raw:
        raise GradlensError(f"{file} has no sections; a darknet .cfg begins with [net]")
    if raw[0].name != "net":
        raise GradlensError(f"{raw[0].position} comes first; a darknet .cfg begins with [net]")
    if len(raw) == 1:
        raise GradlensError(f"{file} ends after its [net]; the layers are missing")
    unknown = next((section for section in raw[1:] if section.name not in READERS), None)
    if unknown:
        known = close_matches(unknown.name, READERS) or f"; it may be {', '.join(READERS)}"
        raise GradlensError(f"{unknown.position} is a section that gradlens does not know{known}")
    net = Net(raw[0].line, *(raw[0].integer(key, least=1) for key in ("channels", "height", "width")))
    return Cfg(file, net, tuple(READERS[section.name](section) for section in raw[1:]))


class _Option(NamedTuple):
    value: str
    line: int


@dataclass(frozen=True)
class _Raw:
    name: str
    line: int
    file: str
    options: dict[str, _Option] = field(default_factory=dict)

    @property
    def position(self) -> str:
        return f"{self.file}, line {self.line}: [{self.name}]"

    def only(self, *keys: str) -> None:
        """Reject unknown keys, because ignoring one would silently build another network."""
        for key, option in self.options.items():
            if key not in keys and key not in HARMLESS:
                near = close_matches(key, keys) or f"; gradlens reads {', '.join(keys)}"
                raise GradlensError(
                    f"{self.file}, line {option.line}: [{self.name}] with {key!r} is not known{near}"
                )

    def text(self, key: str, default: str | None = None) -> str:
        option = self.options.get(key)
        if option is not None:
            return option.value
        if default is None:
            raise GradlensError(f"{self.position} has no key {key!r}; is the file cut off?")
        return default

    def integer(self, key: str, default: int | None = None, least: int = 0) -> int:
        return self._checked(key, self.text(key, None if default is None else str(default)), least)

    def integers(self, key: str) -> tuple[int, ...]:
        return tuple(self._checked(key, part, -LARGEST) for part in self.text(key).split(","))

    def share(self, key: str) -> float:
        value = self.text(key)
        if not re.fullmatch(r"\d+\.?\d*|\.\d+", value) or not float(value) < 1:
            raise self._bad(key, "a number from 0 to below 1")
        return float(value)

    def _checked(self, key: str, value: str, least: int) -> int:
        if not re.fullmatch(r"[+-]?[0-9]{1,10}", value):
            raise self._bad(key, "a whole number" if key not in ("layers", "from") else "layer numbers")
        if not least <= int(value) <= LARGEST:
            raise self._bad(key, f"from {least} to {LARGEST}")
        return int(value)

    def _bad(self, key: str, allowed: str) -> GradlensError:
        option = self.options[key]
        return GradlensError(
            f"{self.file}, line {option.line}: {key} of [{self.name}] is {option.value!r}; it must be {allowed}"
        )


def _raw_sections(text: str, file: str) -> Iterator[_Raw]:
    section: _Raw | None = None
    for number, full in enumerate(text.splitlines(), start=1):
        line = re.sub(r"\s", "", full.partition("#")[0])
        if not line or line.startswith(";"):
            continue
        if line.startswith("["):
            if section:
                yield section
            if not line.endswith("]"):
                raise GradlensError(f"{file}, line {number}: {line!r} has no closing bracket")
            section = _Raw(ALIASES.get(line[1:-1], line[1:-1]), number, file)
            continue
        key, equals, value = line.partition("=")
        if not (key and equals and value):
            raise GradlensError(f"{file}, line {number}: {line[:60]!r} is not of the form key=value")
        if section is None:
            raise GradlensError(f"{file}, line {number}: {key!r} comes before the first [section]")
        section.options.setdefault(key, _Option(value, number))
    if section:
        yield section


def _convolutional(raw: _Raw) -> sections.Convolutional:
    raw.only("filters", "size", "stride", "pad", "padding", "groups", "batch_normalize", "activation")
    size = raw.integer("size", least=1)
    return sections.Convolutional(
        raw.line,
        raw.integer("filters", least=1),
        size,
        raw.integer("stride", 1, least=1),
        size // 2 if raw.integer("pad", 0) else raw.integer("padding", 0),
        raw.integer("groups", 1, least=1),
        bool(raw.integer("batch_normalize", 0)),
        raw.text("activation", "logistic"),
    )


def _connected(raw: _Raw) -> sections.Connected:
    raw.only("output", "batch_normalize", "activation")
    normalize = bool(raw.integer("batch_normalize", 0))
    return sections.Connected(
        raw.line, raw.integer("output", least=1), normalize, raw.text("activation", "logistic")
    )


def _shortcut(raw: _Raw) -> sections.Shortcut:
    raw.only("from", "activation")
    sources = raw.integers("from")
    if len(sources) > 1:
        raise GradlensError(f"{raw.position} adds {len(sources)} layers; gradlens reads one 'from'")
    return sections.Shortcut(raw.line, sources[0], raw.text("activation", "linear"))


def _route(raw: _Raw) -> sections.Route:
    raw.only("layers", "groups", "group_id")
    groups = raw.integer("groups", 1, least=1)
    return sections.Route(raw.line, raw.integers("layers"), groups, raw.integer("group_id", 0))


def _pool(raw: _Raw) -> sections.Pool:
    raw.only("size", "stride", "padding")
    stride = raw.integer("stride", 1, least=1)
    size = raw.integer("size", stride if "stride" in raw.options else None, least=1)
    padding = raw.integer("padding", size - 1)
    return sections.Pool(raw.line, size, stride, padding, raw.name == "local_avgpool")


def _upsample(raw: _Raw) -> sections.Upsample:
    raw.only("stride")
    return sections.Upsample(raw.line, raw.integer("stride", 2, least=1))


def _dropout(raw: _Raw) -> sections.Dropout:
    raw.only("probability")  # required, because the defaults of darknet's forks differ
    return sections.Dropout(raw.line, raw.share("probability"))


def _plain(raw: _Raw) -> sections.Plain:
    return sections.Plain(raw.line, raw.name)


READERS: dict[str, Callable[[_Raw], Section]] = {
    "convolutional": _convolutional,
    "connected": _connected,
    "shortcut": _shortcut,
    "route": _route,
    "maxpool": _pool,
    "local_avgpool": _pool,
    "avgpool": _plain,
    "upsample": _upsample,
    "dropout": _dropout,
    "softmax": _plain,
    "cost": _plain,
}
