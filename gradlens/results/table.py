"""Table: the rows of one kind of result, with what they mean. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import pandas as pd

from gradlens.results.documents import Document
from gradlens.results.labels import names_in, relabelled_frame, relabelled_text, renamed
from gradlens.showing import explore, table_html, table_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Table:
    """A tidy table of one kind of result.

    Attributes:
        name: key in ``Result.tables`` and in the plot registry.
        frame: one row per observation.
        caption: a sentence that describes the table.
        how: how the numbers were obtained, with the source of the formula.
        units: unit or range by column.
        reproducible: False if the numbers are wall-clock measurements.
    """

    name: str
    frame: pd.DataFrame
    caption: str
    how: str = ""
    units: Mapping[str, str] = field(default_factory=dict)
    reproducible: bool = True

    def plot(
        self, ax: Axes | None = None, *, version: str = "", labels: Mapping[str, str] = MappingProxyType({})
    ) -> Axes:
        """Draw the table with its registered plot and return the axes.

        Without ``ax`` the figure is a new one. If you change its size with ``ax.figure.set_size_inches``, the plot is
        drawn again for that size, so do this before you change anything else of it.

        Args:
            ax: where to draw; a new figure if None.
            version: of similarity, in figures that draw one (``duplication``, ``correlation``, ``cross``): ``energy``
                (default), ``direction``, ``energy_given_loss`` or ``direction_given_loss``.
            labels: other names of networks, by name.

        Raises:
            GradlensError: no plot is registered for this table, it has no such version, or the labels do not fit.
        """
        from gradlens.plots import plot_frame  # matplotlib is slow to import
        from gradlens.plots.canvas import describe

        table = self.relabelled(renamed(names_in([self.frame]), labels)) if labels else self
        drawn = plot_frame(self.name, table.frame, ax, version=version)
        describe(drawn, table.caption)
        return drawn

    def relabelled(self, names: Mapping[str, str]) -> Table:
        """Return the table with other names of networks, in its rows and its caption."""
        caption = relabelled_text(self.caption, names)
        return replace(self, frame=relabelled_frame(self.frame, names), caption=caption)

    def explore(self, *, static: bool = False) -> object:
        """Return a notebook view of the figure and its numbers, with widgets to select rows.

        Args:
            static: show figure and table without widgets, which need the package ipywidgets.
        """
        return explore({self.name: self}, static=static)

    def __repr__(self) -> str:
        return table_text(self)

    def _repr_html_(self) -> str:
        return table_html(self)


def table_document(table: Table) -> Document:
    """Return a table as it is saved."""
    columns = {
        str(name): {"dtype": str(column.dtype), "values": column.tolist()}
        for name, column in table.frame.items()
    }
    return {
        "caption": table.caption,
        "how": table.how,
        "units": dict(table.units),
        "reproducible": table.reproducible,
        "columns": columns,
    }


def read_table(name: str, entry: Document) -> Table:
    """Return a saved table.

    Raises:
        LookupError: it is incomplete.
    """
    frame = pd.DataFrame(
        {
            column: pd.Series(content["values"], dtype=content["dtype"])
            for column, content in entry["columns"].items()
        }
    )
    return Table(name, frame, entry["caption"], entry["how"], entry["units"], entry["reproducible"])
