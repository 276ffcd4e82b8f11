"""The entry of a quantity: its words, its unit and format, and where it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gradlens.catalogue.versions import Version

Format = Literal["ratio", "slope", "count", "amount", "bytes", "speed"]
"""Formats of numbers; ``gradlens.numbers`` defines the digits of each."""


@dataclass(frozen=True)
class Column:
    """Where a quantity is printed on the terminal.

    Attributes:
        screen: ``compare`` (also ``inspect``), ``strategies`` (also ``compare`` of three networks) or ``paths``.
        block: group of columns on that screen; ``compare`` of two networks prints each as a table.
        last: printed after the other quantities of its block.
        head: heading, if it differs from ``Quantity.head``.
    """

    screen: Literal["compare", "strategies", "paths"]
    block: int = 1
    last: bool = False
    head: str = ""


@dataclass(frozen=True)
class Quantity:
    """A measured number: a column of tables that has one value per stage or per network.

    Attributes:
        name: of the column.
        title: on the page.
        head: short heading on the terminal.
        unit: or range, as in ``Table.units``.
        scale: the unit in a few words, for the terminal; None if it is ``unit``, empty if it is not printed.
        format: how its numbers are written.
        tables: that have it as a column.
        screens: its columns on the terminal.
        figure: title of its panel in figures of several networks; empty if it has none.
        version: of the similarity, for a duplication or a mean similarity.
        mean: whether it is a mean similarity, not a rarefied duplication.
        measure: function below ``gradlens.analyzers`` that computes it: from a recording (of one seed, unless it is
            ``fixed``) to its value by stage. Empty if it is a column of another table.
        fixed: of the network alone, the same for every seed.
        cost: counted by the analyzer of costs.
        tested: compared between networks with p-values.
        with_interval: has an interval in the summary of one network.
        by_stage: shown by stage on the page if several networks are shown side by side.
        relative: a difference is also shown in percent.
        main: among the columns that notebooks show first.
        trained: a loss or an accuracy of a training that is measured.
        brief: screens whose one table shows it also without ``--all``; ``inspect`` is that of one network.
    """

    name: str
    title: str
    head: str
    unit: str
    scale: str | None = None
    format: Format = "ratio"
    tables: tuple[str, ...] = ()
    screens: tuple[Column, ...] = ()
    figure: str = ""
    version: Version | None = None
    mean: bool = False
    measure: str = ""
    fixed: bool = False
    cost: bool = False
    tested: bool = False
    with_interval: bool = False
    by_stage: bool = False
    relative: bool = False
    main: bool = False
    trained: bool = False
    brief: tuple[str, ...] = ()

    def column(self, screen: str) -> Column | None:
        """Return the column of the quantity on a screen; None if the screen does not show it."""
        return next((column for column in self.screens if column.screen == screen), None)

    def heading(self, screen: str) -> str:
        """Return the heading of its column on a screen."""
        column = self.column(screen)
        return (column and column.head) or self.head

    @property
    def short_unit(self) -> str:
        """The unit as printed on the terminal; empty if it is not."""
        return self.unit if self.scale is None else self.scale
