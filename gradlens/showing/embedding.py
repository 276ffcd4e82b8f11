"""The content embedded in a page: tables as data, scripts, and the libraries that they use."""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict
from importlib.resources import files
from typing import Any

import pandas as pd
from markupsafe import Markup

from gradlens.catalogue import kind as kind_of_table
from gradlens.catalogue.mapped import map_quantity
from gradlens.numbers import format_cell, format_of
from gradlens.showing.columns import Shown

Json = dict[str, Any]
"""An object of JSON: its values are numbers, texts and lists."""
ROWS = 40_000
"""Largest number of rows of a table that the page contains."""
DIGITS = 9
"""Digits of a number that the page contains; it shows three."""
LIBRARIES = ("vendor/vega.min.js", "vendor/vega-lite.min.js", "vendor/vega-embed.min.js", "vendor/dagre.js")
MAP = (
    "network.js",
    "layout.js",
    "picture.js",
    "difference.js",
    "frame.js",
    "finding.js",
    "panel.js",
    "controls.js",
    "map.js",
)
"""The scripts of the network map; each uses the ones before it."""
SCRIPTS = ("data.js", "theme.js", "tables.js", "charts.js", *MAP)
_UNSAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
REACH = "_reach"
"""Ending of the column with the half-width of the interval of another column."""


def script(name: str) -> Markup:
    """Return a script of the package, for use between script tags."""
    text = (files("gradlens.showing") / "assets" / name).read_text(encoding="utf-8")
    text = re.sub(r"^//# sourceMappingURL=.*$", "", text, flags=re.M)  # the page contains no source map
    return Markup(re.sub(r"</(?=script)", r"<\\/", text, flags=re.I))


def as_json(value: object) -> Markup:
    """Return JSON for use between script tags; no name in it can end the script or start a comment."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    return Markup(re.sub("[<>&\u2028\u2029]", lambda match: _UNSAFE[match[0]], text))


def columns(table: Shown) -> list[Json]:
    """Return name, heading, unit and kind of each column; the scripts format values as ``format_cell`` does.

    A half-width, such as ``energy_reach``, is hidden and shown beside its value: ``reach`` names its column.
    """
    names = [str(name) for name in table.frame]
    described = []
    for name, column in table.frame.items():
        name, kind = str(name), _kind(str(name), column)
        described.append(
            {
                "name": name,
                "heading": name.replace("_", " "),
                "unit": table.units.get(name, ""),
                "kind": kind,
                "number": kind not in ("text", "flag"),
                "reach": f"{name}{REACH}" if f"{name}{REACH}" in names else "",
                "hidden": name.endswith(REACH) and name.removesuffix(REACH) in names,
            }
        )
    return described


def table_data(table: Shown) -> Json:
    """Return the table by column: numbers with ``DIGITS`` digits, text as levels and codes."""
    frame = table.frame.head(ROWS)
    return {
        "rows": len(frame),
        "total": len(table.frame),
        "columns": [
            {
                **column,
                **_colour(table.name, column["name"]),
                **_values(frame[str(column["name"])], column["kind"]),
            }
            for column in columns(table)
        ],
    }


def _colour(table: str, column: str) -> Json:
    """Return what the map needs to colour by a column: its title, and how values are combined and scaled."""
    entry = map_quantity(column) if kind_of_table(table) == "map_nodes" else None
    if entry is None:
        return {}
    if table == "map_nodes":
        return {"colour": asdict(entry)}
    return {"colour": asdict(entry.of_weights)} if entry.similar else {}


def _kind(name: str, column: pd.Series) -> str:
    if pd.api.types.is_bool_dtype(column.dtype):
        return "flag"
    if not pd.api.types.is_numeric_dtype(column.dtype):
        return "text"
    kind = {"amount": "count", "bytes": "bytes"}.get(format_of(name) or "")
    return kind or ("integer" if pd.api.types.is_integer_dtype(column.dtype) else "number")


def _values(column: pd.Series, kind: str) -> Json:
    if kind == "flag":
        return {"values": [bool(value) for value in column]}
    if kind == "text":
        texts = column.map(lambda value: None if _missing(value) else format_cell(value))
        codes, levels = pd.factorize(texts, use_na_sentinel=True)
        return {"codes": codes.tolist(), "levels": [str(level) for level in levels]}
    return {"values": [_rounded(value) for value in column.tolist()]}


def _missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _rounded(value: float) -> float | str | None:
    if isinstance(value, int):
        return value
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"  # JSON has no infinity; the script reads this text
    return None if math.isnan(value) else float(f"{value:.{DIGITS}g}")
