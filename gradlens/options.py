"""Declarations of options: default, help, choices and bounds are metadata of the dataclass field of an option.

Python checks values against the declaration, and the command line builds its options from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from inspect import cleandoc
from typing import TypeVar

from gradlens.errors import GradlensError, close_matches

T = TypeVar("T")

OPTION = "option"
"""Key of the declaration in a field's metadata."""

SAMPLES = "samples"
WATCHING = "watching"
EXTRAS = "extras"
STARTING = "starting"
TRAINING = "training"

ZERO_INIT = False
"""Default of ``zero_init`` everywhere: gains that a library initialises with zero are set to one, so they are live."""
SEED_LIMIT = 2**32
"""Seeds must be below this limit of NumPy."""


@dataclass(frozen=True)
class Option:
    """The declaration of an option.

    Attributes:
        default: value if the option is not set.
        help: one sentence for the command line and the docstring.
        off: help of the flag ``--no-...``; an option that is false by default has it beside ``--...``.
        group: a command offers all options of a group; options without a group exist in Python only.
        flag: name on the command line without the dashes; empty to derive it from the field's name.
        choices: allowed values; empty if any value of the type is allowed.
        python_only: choices that the command line does not offer.
        least: smallest allowed number, or None.
        most: largest allowed number, or None.
        metavar: placeholder for the value in the help of the command line; empty for click's default.
        either: a flag that is on by default can also be written as ``--...``, not only as ``--no-...``.
    """

    default: object
    help: str
    off: str = ""
    group: str = ""
    flag: str = ""
    choices: tuple[str, ...] = ()
    python_only: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    metavar: str = ""
    either: bool = False


def option(
    default: T,
    help: str,
    *,
    off: str = "",
    group: str = "",
    flag: str = "",
    choices: tuple[str, ...] = (),
    python_only: tuple[str, ...] = (),
    least: float | None = None,
    most: float | None = None,
    metavar: str = "",
    either: bool = False,
) -> T:
    """Return a dataclass field with its declaration; the parameters are those of ``Option``."""
    declaration = Option(default, help, off, group, flag, choices, python_only, least, most, metavar, either)
    return field(default=default, metadata={OPTION: declaration})


def options_of(kind: type) -> dict[str, Option]:
    """Return the declarations of a dataclass by field name."""
    return {entry.name: entry.metadata[OPTION] for entry in fields(kind) if OPTION in entry.metadata}


def documented(kind: type[T]) -> type[T]:
    """Append the help of every declared option to the docstring of a dataclass."""
    lines = [f"    {name}: {declared.help}" for name, declared in options_of(kind).items()]
    kind.__doc__ = "\n".join([cleandoc(kind.__doc__ or ""), "", "Attributes:", *lines])
    return kind


def check(value: object) -> None:
    """Check every declared option of a dataclass instance.

    Raises:
        GradlensError: a value is not among the choices, or out of bounds.
    """
    for name, declaration in options_of(type(value)).items():
        _check(name, getattr(value, name), declaration)


def _check(name: str, value: object, declaration: Option) -> None:
    if declaration.choices and value not in declaration.choices:
        raise GradlensError(
            f"{name}={value!r} is not known; use one of {', '.join(declaration.choices)}"
            + close_matches(str(value), declaration.choices)
        )
    if not isinstance(value, (int, float)):
        return
    if declaration.least is not None and not value >= declaration.least:  # also rejects NaN
        raise GradlensError(f"{name}={value}; use at least {declaration.least:g}")
    if declaration.most is not None and not value <= declaration.most:
        raise GradlensError(f"{name}={value}; use at most {declaration.most:g}")


def check_names(requested: Iterable[str], known: Iterable[str]) -> None:
    """Check the names of options.

    Raises:
        GradlensError: a name is not known.
    """
    known = list(known)
    for name in requested:
        if name not in known:
            raise GradlensError(
                f"unknown option {name!r}; use one of {', '.join(known)}{close_matches(name, known)}"
            )


def build(kind: Callable[..., T], values: Mapping[str, object]) -> T:
    """Make a dataclass instance from options by name; the instance checks their values."""
    return kind(**values)
