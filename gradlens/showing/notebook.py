"""HTML for a notebook: readable on light and dark pages, without scripts, all names escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from gradlens.showing.columns import Column, Shown, columns, main_columns
from gradlens.showing.plain import more

ROWS = 60
"""Largest number of rows shown of a table."""
GLANCE = 10
"""Largest number of rows shown of a table inside a result."""

# Colours are transparent versions of the page's colours, so they fit light and dark pages.
STYLE = """<style>
.gradlens{font-size:.92em;max-width:100%}
.gradlens table{border-collapse:collapse;margin:.4em 0;width:auto;font-variant-numeric:tabular-nums}
.gradlens th,.gradlens td{text-align:left!important;padding:.15em .6em;vertical-align:top;border:0;
border-bottom:1px solid rgba(128,128,128,.3);white-space:nowrap}
.gradlens .n{text-align:right!important}
.gradlens small{opacity:.7;font-weight:normal;white-space:normal}
.gradlens details{margin:.15em 0}
.gradlens .wide{overflow-x:auto}
.gradlens p,.gradlens ul{margin:.4em 0}
.gradlens img{max-width:100%;border-radius:3px}
</style>"""


def table_html(table: Shown) -> str:
    """Return the HTML of a table."""
    return framed(_captioned(table), rows_html(table, ROWS))


def result_html(
    finding: str,
    warnings: Sequence[str],
    tables: Mapping[str, Shown],
    brief: Mapping[str, Shown] | None = None,
) -> str:
    """Return the HTML of a result: finding, warnings, main numbers, tables in brief, and all tables to open."""
    parts = [f"<p><b>{escape(finding)}</b></p>"]
    if warnings:
        parts.append(f"<ul>{''.join(f'<li>{escape(warning)}</li>' for warning in warnings)}</ul>")
    first = next(iter(tables.values()), None)
    for shown in [*([] if first is None else [first]), *(brief or {}).values()]:
        if not shown.frame.empty:
            parts.append(f"<p>{escape(shown.caption)}</p>")
            parts.append(_grid(main_columns(shown.frame.head(ROWS), shown.units), len(shown.frame)))
    parts += [_opened(name, table) for name, table in tables.items()]
    parts.append(
        "<p><small>One table: <code>result[name]</code>, its numbers <code>.frame</code>, its figure "
        "<code>.plot()</code>. The whole result as a page: <code>gradlens.report.write(result, folder)</code>."
        "</small></p>"
    )
    return framed(*parts)


def facts_html(title: str, facts: Mapping[str, str], notes: Sequence[str] = ()) -> str:
    """Return the HTML of facts: a small table below a title."""
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td style='white-space:normal'>{escape(fact)}</td></tr>"
        for name, fact in facts.items()
    )
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return framed(f"<p><b>{escape(title)}</b></p><table>{rows}</table>", f"<ul>{items}</ul>" if items else "")


def framed(*parts: str) -> str:
    """Return parts of a page with their common style."""
    return f'<div class="gradlens">{STYLE}{"".join(parts)}</div>'


def rows_html(table: Shown, most: int) -> str:
    """Return the first rows of a table, and the number of further rows."""
    if table.frame.empty:
        return "<p><small>no rows</small></p>"
    return _grid(columns(table.frame.head(most), table.units), len(table.frame))


def _captioned(table: Shown) -> str:
    how = f"<details><summary><small>how</small></summary><small>{escape(table.how)}</small></details>"
    return f"<p><b>{escape(table.name)}</b>. {escape(table.caption)}</p>{how if table.how else ''}"


def _opened(name: str, table: Shown) -> str:
    count = len(table.frame)
    summary = (
        f"<code>{escape(name)}</code> <small>{count} row{'s' * (count != 1)}. {escape(table.caption)}</small>"
    )
    return f"<details><summary>{summary}</summary>{rows_html(table, GLANCE)}</details>"


def _grid(columns: Sequence[Column], total: int) -> str:
    head = "".join(_header(column) for column in columns)
    lines = zip(*(column.texts for column in columns), strict=True)
    marks = ["<td class=n>" if column.number else "<td>" for column in columns]
    body = "".join(f"<tr>{_cells(line, marks)}</tr>" for line in lines)
    left = total - (len(columns[0].texts) if columns else 0)
    note = f"<p><small>{more(left, 'row')}</small></p>" if left else ""
    return f"<div class=wide><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{note}"


def _header(column: Column) -> str:
    unit = f"<br><small>{escape(column.unit)}</small>" if column.unit else ""
    return f"<th{' class=n' if column.number else ''}>{escape(column.name)}{unit}</th>"


def _cells(line: Iterable[str], marks: Iterable[str]) -> str:
    return "".join(f"{mark}{escape(cell)}</td>" for mark, cell in zip(marks, line, strict=True))
