"""The report as one self-contained HTML page."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gradlens.numbers import format_cell
from gradlens.report.comparison import essentials, overview
from gradlens.report.long import in_rows
from gradlens.report.opening import cautions, details, heading, leading, places
from gradlens.report.sections import sections
from gradlens.results import Result
from gradlens.results.provenance import STRATEGIES, WATCH
from gradlens.showing.embedding import LIBRARIES, SCRIPTS, as_json, script, table_data

CONTROLS = ("copy.js", "contents.js", "scrolling.js")
"""Scripts of the page alone, after those of the map: what they touch is then there."""


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
    shown = {section["name"]: section for section in sections(result, images)}
    lead = leading(name for name, section in shown.items() if section["image"] or section["chart"])
    return (
        _environment()
        .get_template("page.html")
        .render(
            worded=lambda text: _options(wording(text)),
            title=_title(result),
            result=result,
            heading=heading(result),
            details=details(result),
            cautions=cautions(result),
            essentials=essentials(result),
            overview=overview(result),
            places=places(result),
            lead=shown.get(lead),
            sections=list(shown.values()),
            has_map={"map_nodes", "map_edges"} <= set(result.tables),
            basis=_basis(result.provenance.seeds),
            run=shlex.quote(run),
            provenance=entries(result.meta),
            data={
                name: as_json(table_data(in_rows(table, result.provenance.networks)))
                for name, table in result.tables.items()
            },
            scripts=[script(name) for name in (*LIBRARIES, *SCRIPTS, *CONTROLS)],
        )
    )


@cache
def _environment() -> Environment:
    """Return the templates, which are compiled once."""
    return Environment(
        loader=ChoiceLoader([PackageLoader(f"gradlens.{name}", ".") for name in ("report", "showing")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
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
    if result.provenance.kind == WATCH:
        return "watched training"
    first, others = networks[:1], networks[1:]
    return " against ".join([*first, *([", ".join(others)] if others else [])]) or "gradient report"
