"""The places that stand out, as text: what was found, what it means, the strongest first."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from .terminal import width, wrapped

if TYPE_CHECKING:
    from gradlens.results import Result

TABLE = "diagnosis"


def print_diagnosis(result: Result, top: int) -> None:
    """Print up to ``top`` places of each kind."""
    columns = width(sys.stdout)
    for line in diagnosis_lines(result, top):
        click.echo(wrapped(line, columns, indent="    "))


def diagnosis_lines(result: Result, top: int) -> Iterator[str]:
    """Lines of text, a paragraph a kind; kinds of which there is none are named at the end."""
    from gradlens.analyzers.diagnosis import MEANINGS

    if TABLE not in result.tables:
        return
    records = result.tables[TABLE].frame.to_dict("records")
    absent = []
    for kind, meaning in MEANINGS.items():
        own = [row for row in records if row["kind"] == kind]
        if not own:
            absent.append(kind)
            continue
        found = int(own[0]["found"])
        shown = own[:top]
        count = f"{found}" if found <= len(shown) else f"{len(shown)} of {found}"
        yield f"\n{kind} ({count}): {meaning}"
        width = max(len(_place(row)) for row in shown)
        for row in shown:
            yield f"  {_place(row).ljust(width)}  {_value(row)}".rstrip()
    if absent:
        yield f"\nnone found: {', '.join(absent)}"


def _place(row: Mapping[Any, Any]) -> str:
    joined = f"{row['place']} | {row['other']}" if row["other"] else str(row["place"])
    return f"[{row['stage']}] {joined}"


def _value(row: Mapping[Any, Any]) -> str:
    kind, value = row["kind"], float(row["value"])
    reach = float("nan") if row.get("reach") is None else float(row["reach"])
    within = f" ± {reach:.{'2%' if kind == 'idle branch' else '3f'}}" if reach == reach else ""
    if kind in ("dead signal", "one gradient"):
        return ""
    if kind == "duplicated pair":
        given = row["given_loss"]
        held = given is not None and given == given
        return f"{value:.3f}{within}" + (f", given the loss {float(given):.3f}" if held else "")
    if kind == "idle branch":
        return f"{value:.2%}{within} of the energy"
    return f"coherence {value:.3f}{within}" if kind == "cancelling fork" else f"{value:.3g} times the median"
