"""Options, each declared once: default, help, choices and bounds live on the dataclass field that holds the value.

Python checks values against the declaration, and the command line builds its options from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from gradlens.errors import GradlensError, close_matches

OPTION = "option"
"""Key of the declaration in a field's metadata."""


@dataclass(frozen=True)
class Option:
    """What is known about an option beside its default.

    Attributes:
        help: one sentence, as the command line shows it.
        choices: allowed values; empty if any value of the type is allowed.
        least: smallest allowed number, or None.
        most: largest allowed number, or None.
        metavar: placeholder for the value in the help of the command line; empty for click's own.
    """

    help: str
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    metavar: str = ""


def option(default: Any, help: str, **declaration: Any) -> Any:
    """Return a dataclass field with its declaration; the keywords are fields of ``Option``."""
    return field(default=default, metadata={OPTION: Option(help, **declaration)})


def options_of(kind: type) -> dict[str, Option]:
    """Return the declarations of a dataclass by field name."""
    return {entry.name: entry.metadata[OPTION] for entry in fields(kind) if OPTION in entry.metadata}


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
    if declaration.least is not None and value < declaration.least:
        raise GradlensError(f"{name}={value}; use at least {declaration.least:g}")
    if declaration.most is not None and value > declaration.most:
        raise GradlensError(f"{name}={value}; use at most {declaration.most:g}")


def known(kind: type, values: Mapping[str, object], others: Iterable[str] = ()) -> None:
    """Check the names of options.

    Args:
        kind: dataclass whose fields are the options.
        values: by name.
        others: names that a caller accepts in addition; they are suggested too.

    Raises:
        GradlensError: a name is not a field of ``kind``.
    """
    names = [*(entry.name for entry in fields(kind)), *others]
    for name in values:
        if name not in names:
            raise GradlensError(
                f"unknown option {name!r}; use one of {', '.join(names)}{close_matches(name, names)}"
            )
