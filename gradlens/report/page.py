"""The report as one self-contained HTML page."""

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

ROWS = 60  # rows of a table that the page shows if scripts are disabled


@dataclass(frozen=True)
class Entry:
    """An entry of the provenance: a value, or nested entries."""

    name: str
    value: str = ""
    entries: tuple[Entry, ...] = ()


def page(
    result: Result, images: Mapping[str, bytes], run: str = "RUN", wording: Callable[[str], str] = str
) -> str:
    """Return the whole page as HTML.

    Args:
        result: the result to show.
        images: SVG files by table name.
        run: name of the run's folder in the commands below the figures.
        wording: translates messages that name Python parameters; the command line replaces them by its options.
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
        finding=(result.headline, result.details),
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
    """Mark options of a command as code, which is not broken at hyphens."""
    parts = re.split(r"(--[\w-]+(?: \d+)?)", text)
    return Markup("").join(
        Markup('<code class="option">{}</code>').format(part) if index % 2 else part
        for index, part in enumerate(parts)
    )


def _basis(seeds: Sequence[int]) -> str:
    """Return a sentence that names the seeds."""
    return f"Seed{'s' * (len(seeds) != 1)} {', '.join(map(str, seeds))}." if seeds else ""


def entries(meta: Mapping[str, object]) -> tuple[Entry, ...]:
    """Return nested metadata as entries of text, in the same order."""
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
    """Return a value of the provenance unrounded, so that the run can be repeated."""
    return format_cell(value) if value is None or isinstance(value, bool) else str(value)


def _title(result: Result) -> str:
    networks = result.provenance.networks
    if result.provenance.kind == STRATEGIES:
        return f"transition strategies of {networks[0]}"
    first, others = networks[:1], networks[1:]
    return " against ".join([*first, *([", ".join(others)] if others else [])]) or "gradient report"


def _partial(partial: bool) -> str:
    return "This run was stopped before its end; the numbers are from the finished part." if partial else ""


def _ordered(names: Iterable[str]) -> list[str]:
    """Return tables with a figure first, then others, then those with a late position."""
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
    described = f"{title}. {sentence or table.caption} The table below contains all values."
    picture = base64.b64encode(image).decode("ascii") if image else ""
    return {
        "name": table.name,
        "title": title,
        "sentence": sentence,
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
    """Return the width of an SVG, so that a narrow figure is not stretched to the width of the page."""
    match = re.search(rb'<svg[^>]*? width="([\d.]+)pt"', svg)
    return float(match[1]) / 72 if match else 7.2


def _cells(frame: pd.DataFrame) -> list[list[str]]:
    columns = [[format_cell(value, str(name)) for value in frame[name]] for name in frame.columns]
    return [list(row) for row in zip(*columns, strict=True)]
