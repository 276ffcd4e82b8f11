"""The conspicuous sites as text: the strongest of each kind, and what the kind means."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from gradlens.numbers import TERMINAL, fixed, significant

from .layout import Row
from .terminal import width, wrapped

if TYPE_CHECKING:
    from gradlens.results import Result

TABLE = "diagnosis"


def print_diagnosis(result: Result, top: int) -> None:
    """Print up to ``top`` sites of each kind."""
    columns = width(sys.stdout)
    for line in diagnosis_lines(result, top):
        click.echo(wrapped(line, columns, indent="    "))


def diagnosis_lines(result: Result, top: int) -> Iterator[str]:
    """Yield lines of text, one paragraph per kind; kinds without sites are listed at the end."""
    from gradlens.analyzers.diagnosis import MEANINGS

    if TABLE not in result.tables:
        return
    records = result.tables[TABLE].frame.to_dict("records")
    absent = []
    for kind, meaning in MEANINGS.items():
        rows = [row for row in records if row["kind"] == kind]
        if not rows:
            absent.append(kind)
            continue
        total = int(rows[0]["found"])
        rows = rows[:top]
        count = f"{total}" if total <= len(rows) else f"{len(rows)} of {total}"
        yield f"\n{kind} ({count}): {meaning}"
        width = max(len(_site(row)) for row in rows)
        for row in rows:
            yield f"  {_site(row).ljust(width)}  {_value(row)}".rstrip()
    if absent:
        yield f"\nnot found: {', '.join(absent)}"


def _site(row: Row) -> str:
    site = f"{row['place']} | {row['other']}" if row["other"] else str(row["place"])
    return f"[{row['stage']}] {site}"


def _value(row: Row) -> str:
    kind, value = row["kind"], float(row["value"])
    reach = float("nan") if row.get("reach") is None else float(row["reach"])
    write = _percentage if kind == "idle branch" else _decimal
    text = write(value) + (f" ± {write(reach)}" if reach == reach else "")
    if kind in ("dead signal", "one gradient"):
        return ""
    if kind == "duplicated pair":
        partial = row["given_loss"]
        known = partial is not None and partial == partial
        return text + (f", given the loss {_decimal(float(partial))}" if known else "")
    if kind == "idle branch":
        return f"{text} of the energy"
    return f"coherence {text}" if kind == "cancelling fork" else f"{significant(value)} times the median"


def _decimal(value: float) -> str:
    return fixed(value, 3, minus=TERMINAL.minus)


def _percentage(share: float) -> str:
    return f"{fixed(100 * share, 2)}%"
