"""Browse the tables of a result in a notebook: with ipywidgets, or as a static list."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.util import find_spec
from typing import Any, cast

import pandas as pd

from gradlens.errors import GradlensError, close_matches
from gradlens.showing.columns import Shown
from gradlens.showing.notebook import ROWS, framed, rows_html
from gradlens.showing.plain import table_text

CHOICES = ("network", "stage", "version", "where")
"""Columns by which rows can be selected, if a table has them."""
ALL = "all"
DPI = 80


@dataclass(frozen=True)
class Part:
    """Some rows of a table.

    Attributes:
        name: name of the table.
        frame: the rows.
        caption: caption of the table.
        how: how the numbers were obtained.
        units: unit or range by column.
    """

    name: str
    frame: pd.DataFrame
    caption: str
    how: str
    units: Mapping[str, str]


def explore(tables: Mapping[str, Shown], names: Sequence[str] | None = None, static: bool = False) -> Any:
    """Return a notebook view of tables and their figures.

    Args:
        tables: tables by name.
        names: names of the tables to show; None takes all.
        static: return an ``Album`` even if ipywidgets is installed, because a saved notebook can contain it.

    Returns:
        A widget to select table, network, stage and version; without ipywidgets an ``Album``.

    Raises:
        GradlensError: a table does not exist.
    """
    for name in names or ():
        if name not in tables:
            raise GradlensError(
                f"no table {name!r} to explore; use one of {', '.join(tables)}{close_matches(name, tables)}"
            )
    chosen = {name: tables[name] for name in (tables if names is None else names)}
    if static or find_spec("ipywidgets") is None or not chosen:
        return Album(chosen)
    return Explorer(chosen).box


@dataclass(frozen=True)
class Album:
    """Tables and their figures as a list of entries to open, without widgets and scripts."""

    tables: Mapping[str, Shown]

    def __repr__(self) -> str:
        return "\n\n".join(map(table_text, self.tables.values())) or "no tables"

    def _repr_html_(self) -> str:
        pages = [
            f"<details{' open' * (index == 0)}><summary><code>{escape(name)}</code> "
            f"<small>{escape(table.caption)}</small></summary>{leaf(table)}</details>"
            for index, (name, table) in enumerate(self.tables.items())
        ]
        return framed(*(pages or ["<p><small>no tables</small></p>"]))


class Explorer:
    """A view with ipywidgets: select a table and its rows to see the figure and the numbers.

    Attributes:
        box: the widget.
        table: dropdown of the tables.
        choices: dropdowns by column; those for columns that the table lacks are hidden.
        page: figure and numbers of the selected rows.
    """

    def __init__(self, tables: Mapping[str, Shown]) -> None:
        import ipywidgets

        self._tables = tables
        self.table = ipywidgets.Dropdown(options=list(tables), description="table")
        self.choices = {name: ipywidgets.Dropdown(options=[ALL], description=name) for name in CHOICES}
        self.page = ipywidgets.HTML()
        self.box = ipywidgets.VBox(
            [
                ipywidgets.HBox([self.table, *self.choices.values()], layout={"flex_flow": "row wrap"}),
                self.page,
            ]
        )
        self.table.observe(self._select_table, "value")
        for choice in self.choices.values():
            choice.observe(self._select_rows, "value")
        self._select_table()

    def _select_table(self, change: object = None) -> None:
        """Update the choices for another table; a choice is kept if the table has it, too."""
        frame = self._tables[self.table.value].frame
        with _paused(self.choices.values(), self._select_rows):
            for name, choice in self.choices.items():
                kept = choice.value
                options = [ALL, *_distinct(frame, name)]
                choice.options = options
                choice.value = kept if kept in options else ALL
                choice.layout.display = None if len(options) > 2 else "none"
        self._select_rows()

    def _select_rows(self, change: object = None) -> None:
        table = self._tables[self.table.value]
        chosen = {name: choice.value for name, choice in self.choices.items() if choice.value != ALL}
        self.page.value = framed(f"<p>{escape(table.caption)}</p>", leaf(rows_of(table, chosen)))


class _paused:  # noqa: N801  # reads as a statement: with _paused(widgets, handler)
    """Changes of widgets in the block do not call their handler."""

    def __init__(self, widgets: Any, handler: Callable[..., None]) -> None:
        self._widgets, self._handler = list(widgets), handler

    def __enter__(self) -> None:
        for widget in self._widgets:
            widget.unobserve(self._handler, "value")

    def __exit__(self, *error: object) -> None:
        for widget in self._widgets:
            widget.observe(self._handler, "value")


def rows_of(table: Shown, chosen: Mapping[str, str]) -> Part:
    """Return the rows whose columns, as text, have the chosen values."""
    frame = table.frame
    for name, value in chosen.items():
        if name in frame:
            frame = frame[frame[name].astype(str) == value]
    return Part(table.name, frame.reset_index(drop=True), table.caption, table.how, table.units)


def leaf(table: Shown) -> str:
    """Return the figure of a table, if it has one, and its rows below it."""
    rows = rows_html(table, ROWS)
    try:
        picture = picture_of(table)
    except Exception as error:  # a table made by hand may not be drawable; still show its numbers
        return f"<p><small>no figure: {escape(f'{type(error).__name__}: {error}')}</small></p>{rows}"
    return f"{picture}<details><summary>numbers</summary>{rows}</details>" if picture else rows


def picture_of(table: Shown) -> str:
    """Return the figure of a table as an inline image; empty if it has none."""
    from gradlens.plots import PLOTS, plot_frame  # matplotlib is slow to import

    if table.name not in PLOTS or table.frame.empty:
        return ""
    import matplotlib.style
    from matplotlib.figure import Figure

    page = io.BytesIO()
    with matplotlib.style.context("default"):
        figure = cast(Figure, plot_frame(table.name, table.frame).get_figure(root=True))
        figure.savefig(page, format="png", dpi=DPI, metadata={"Software": None})
    image = base64.b64encode(page.getvalue()).decode("ascii")
    alt = escape(f"{table.name}. {table.caption}", quote=True)
    return f'<img alt="{alt}" src="data:image/png;base64,{image}">'


def _distinct(frame: pd.DataFrame, name: str) -> list[str]:
    return list(dict.fromkeys(frame[name].astype(str))) if name in frame else []
