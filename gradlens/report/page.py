"""The report as one HTML page that needs nothing outside itself."""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gradlens.catalogue import TABLES, PagePosition, about, kind
from gradlens.numbers import format_cell
from gradlens.plots import PLOTS
from gradlens.report.captions import caption
from gradlens.report.charts import charts
from gradlens.report.comparison import overview
from gradlens.results import Result, Table
from gradlens.results.provenance import STRATEGIES
from gradlens.showing.embedding import LIBRARIES, SCRIPTS, as_json, columns, script, table_data

ROWS = 60  # rows of a table that the page shows without its scripts


@dataclass(frozen=True)
class Entry:
    """A line of the provenance: a value, or entries of its own."""

    name: str
    value: str = ""
    entries: tuple[Entry, ...] = ()


def page(
    result: Result, images: Mapping[str, bytes], run: str = "RUN", wording: Callable[[str], str] = str
) -> str:
    """The whole page as text.

    Args:
        result: what to show.
        images: SVG files by table name; shown with their tables.
        run: name of the folder it is for, as the commands under its figures say it.
        wording: of messages that name Python parameters; the command line writes its options instead.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(f"gradlens.{name}", ".") for name in ("report", "showing")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["options"] = lambda text: _options(wording(text))
    interactive = charts(result)
    return environment.get_template("page.html").render(
        title=_title(result),
        result=result,
        finding=_parts(result.finding),
        partial=_partial(result.provenance.partial),
        overview=overview(result),
        sections=[
            _section(result[name], images.get(name), interactive.get(name))
            for name in _ordered(result.tables)
        ],
        has_map="map_nodes" in result.tables and "map_edges" in result.tables,
        basis=_basis(result.provenance.seeds),
        run=shlex.quote(run),
        provenance=entries(result.meta),
        data={name: as_json(table_data(table)) for name, table in result.tables.items()},
        scripts=[script(name) for name in (*LIBRARIES, *SCRIPTS)],
    )


def _options(text: str) -> Markup:
    """Options of a command as code that is not broken at its hyphens."""
    parts = re.split(r"(--[\w-]+(?: \d+)?)", text)
    return Markup("").join(
        Markup('<code class="option">{}</code>').format(part) if place % 2 else part
        for place, part in enumerate(parts)
    )


def _parts(finding: str) -> tuple[str, str]:
    """The finding's first sentence, which heads the page, and the rest."""
    first, stop, rest = finding.partition(". ")
    return (first + stop.strip(), rest) if stop else (finding, "")


def _basis(seeds: Sequence[int]) -> str:
    """Return the seeds that every figure is based on."""
    return f"Seed{'s' * (len(seeds) != 1)} {', '.join(map(str, seeds))}." if seeds else ""


def entries(meta: Mapping[str, object]) -> tuple[Entry, ...]:
    """Nested metadata as lines of text, in the order given."""
    return tuple(_entry(str(key), value) for key, value in meta.items())


def _entry(key: str, value: object) -> Entry:
    name = {"a": "network A", "b": "network B"}.get(key, key.replace("_", " "))
    if isinstance(value, Mapping) and value:
        return Entry(name, entries=entries(value))
    if isinstance(value, (list, tuple)):
        if any(isinstance(item, Mapping) for item in value):
            return Entry(name, entries=entries({str(i + 1): item for i, item in enumerate(value)}))
        words = [_exact(item) for item in value]
        return Entry(name, shlex.join(words) if "command" in key else ", ".join(words) or "none")
    return Entry(name, "none" if isinstance(value, Mapping) else _exact(value))


def _exact(value: object) -> str:
    """A value of the provenance: never rounded, since it is there to be repeated."""
    return format_cell(value) if value is None or isinstance(value, bool) else str(value)


def _title(result: Result) -> str:
    networks = result.provenance.networks
    if result.provenance.kind == STRATEGIES:
        return f"transition strategies of {networks[0]}"
    first, others = networks[:1], networks[1:]
    return " against ".join([*first, *([", ".join(others)] if others else [])]) or "gradient report"


def _partial(partial: bool) -> str:
    return "This run was stopped before its end; the numbers are of the finished part." if partial else ""


def _ordered(names: Iterable[str]) -> list[str]:
    """Tables with a figure first, then others, then those that only repeat or assure."""
    present = list(names)
    first = [name for plot in PLOTS for name in present if kind(name) == plot]
    late = [entry.name for entry in TABLES if entry.position is PagePosition.LATE]
    last = [name for table in late for name in present if kind(name) == table]
    return first + [name for name in present if name not in (*first, *last)] + last


def _section(table: Table, image: bytes | None, chart: dict[str, Any] | None) -> dict[str, Any]:
    frame = table.frame
    title = about(table.name).title
    title = f"{title}: gradients of weights" if kind(table.name) != table.name else title
    sentence = caption(kind(table.name), frame)
    described = f"{title}. {sentence or table.caption} The table below it holds every value."
    picture = base64.b64encode(image).decode("ascii") if image else ""
    return {
        "name": table.name,
        "title": title,
        "seen": sentence,
        "alt": f"{title}. {sentence or table.caption}",
        "image": f"data:image/svg+xml;base64,{picture}" if picture else "",
        "inches": _inches(image) if image else 0.0,
        "chart": as_json({**chart, "description": described}) if chart else "",
        "table": table,
        "columns": columns(table),
        "rows": _cells(frame.head(ROWS)),
        "total": len(frame),
    }


def _inches(svg: bytes) -> float:
    """The width of a figure: a narrow one is not blown up to the width of the page."""
    found = re.search(rb'<svg[^>]*? width="([\d.]+)pt"', svg)
    return float(found[1]) / 72 if found else 7.2


def _cells(frame: pd.DataFrame) -> list[list[str]]:
    columns = [[format_cell(value, str(name)) for value in frame[name]] for name in frame.columns]
    return [list(row) for row in zip(*columns, strict=True)]
