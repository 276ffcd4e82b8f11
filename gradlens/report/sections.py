"""The sections of the page: each table with its figure, its sentence, and the command that draws it again."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from gradlens.catalogue import TABLES, PagePosition, about, kind
from gradlens.numbers import DASH, format_cell
from gradlens.plots import PLOTS
from gradlens.report.captions import caption
from gradlens.report.charts import charts
from gradlens.report.long import in_rows
from gradlens.results import Result, Table
from gradlens.showing.embedding import REACH, as_json, columns

ROWS = 30  # rows of a table that the page shows if scripts are disabled
Section = dict[str, Any]
"""What the template shows of a table."""


def sections(result: Result, images: Mapping[str, bytes]) -> list[Section]:
    """Return the sections in the order of the page.

    Args:
        result: the result to show.
        images: SVG files by table name.
    """
    interactive = charts(result)
    return [
        _section(
            result[name],
            in_rows(result[name], result.provenance.networks),
            images.get(name),
            interactive.get(name),
        )
        for name in _ordered(result.tables)
    ]


def _ordered(names: Iterable[str]) -> list[str]:
    """Return tables with a figure first, then others, then those with a late position."""
    present = list(names)
    first = [name for plot in PLOTS for name in present if kind(name) == plot]
    late = [entry.name for entry in TABLES if entry.position is PagePosition.LATE]
    last = [name for table in late for name in present if kind(name) == table]
    return first + [name for name in present if name not in (*first, *last)] + last


def _section(table: Table, shown: Table, image: bytes | None, chart: dict[str, Any] | None) -> Section:
    title = about(table.name).title
    title = f"{title}: gradients of weights" if kind(table.name) != table.name else title
    sentence = caption(kind(table.name), table.frame)
    described = f"{title}. {sentence or table.caption} The table below contains all values."
    return {
        "name": table.name,
        "title": title,
        "sentence": sentence,
        "alt": f"{title}. {sentence or table.caption}",
        "image": _embedded(image) if image else "",
        "inches": _inches(image) if image else 0.0,
        "chart": as_json({**chart, "description": described}) if chart else "",
        "table": shown,
        "columns": columns(shown),
        "rows": _cells(shown.frame.head(ROWS)),
        "total": len(shown.frame),
    }


def _embedded(svg: bytes) -> str:
    """Return an SVG as the address of an image, without the digits, comments and metadata that no screen shows."""
    text = svg.decode("utf-8")
    text = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", text, flags=re.S)
    text = re.sub(r"\b([1-9]\d*\.\d{2})\d+", r"\1", text)
    text = re.sub(r"\n\s*", " ", text)
    return f"data:image/svg+xml;base64,{base64.b64encode(text.encode()).decode('ascii')}"


def _inches(svg: bytes) -> float:
    """Return the width of an SVG, so that a narrow figure is not stretched to the width of the page."""
    match = re.search(rb'<svg[^>]*? width="([\d.]+)pt"', svg)
    return float(match[1]) / 72 if match else 7.2


def _cells(frame: pd.DataFrame) -> list[list[str]]:
    """Return the rows as text, each value with its half-width if it has one."""
    texts = {name: [format_cell(value, str(name)) for value in frame[name]] for name in frame.columns}
    columns = [_within(cells, texts.get(f"{name}{REACH}", ())) for name, cells in texts.items()]
    return [list(row) for row in zip(*columns, strict=True)]


def _within(cells: Sequence[str], reaches: Sequence[str]) -> Sequence[str]:
    """Return values with their half-widths, if there are any."""
    if not reaches:
        return cells
    return [
        cell if reach == DASH else f"{cell} ± {reach}" for cell, reach in zip(cells, reaches, strict=True)
    ]
