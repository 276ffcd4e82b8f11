"""Table and Result: plain values that hold the tables of a run, and save and load them. No torch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from gradlens.catalogue.transitions import STRATEGY_OF, strategies_by_label
from gradlens.errors import GradlensError, close_matches
from gradlens.results.documents import FORMAT, Document, upgraded
from gradlens.results.provenance import RunProvenance
from gradlens.results.quoting import quote
from gradlens.results.sentences import sentences
from gradlens.showing import NetworkMap, explore, result_html, result_text, table_html, table_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FILE = "result.json"


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

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the table with its registered plot and return the axes.

        Raises:
            GradlensError: no plot is registered for this table.
        """
        from gradlens.plots import plot_frame  # matplotlib is slow to import

        return plot_frame(self.name, self.frame, ax)

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


@dataclass(frozen=True)
class Result:
    """The tables of one run, and how they were made.

    Attributes:
        tables: tables by name.
        meta: versions, seeds, command line, identity of models and data.
        finding: the main result in words.
        warnings: limits of the numbers.
    """

    tables: Mapping[str, Table]
    meta: Mapping[str, Any]
    finding: str
    warnings: Sequence[str] = ()

    @property
    def provenance(self) -> RunProvenance:
        """How the result was made, read from ``meta``."""
        return RunProvenance.of(self.meta)

    @property
    def headline(self) -> str:
        """The first sentence of the finding: the main result without its numbers."""
        return sentences(self.finding, self.provenance.networks)[0]

    @property
    def details(self) -> str:
        """The other sentences of the finding: its numbers and their limits."""
        return sentences(self.finding, self.provenance.networks)[1]

    def sentence(self, quantity: str = "rarefied_duplication", stage: str = "whole") -> str:
        """Return one number of one or two networks as a sentence, with its interval, for a text.

        Args:
            quantity: a column of the table ``summary`` or ``comparison``, without ``_a`` or ``_b``.
            stage: a stage of that table; the whole network by default.

        Raises:
            GradlensError: the result has no such table, stage or quantity.
        """
        frames = {name: table.frame for name, table in self.tables.items()}
        return quote(frames, self.provenance.networks, len(self.provenance.seeds), quantity, stage)

    def __post_init__(self) -> None:
        """Store the transition strategy of each network in the frames, for the colours of plots."""
        strategies = strategies_by_label(self.meta)
        for table in self.tables.values() if strategies else ():
            table.frame.attrs[STRATEGY_OF] = strategies

    def __getitem__(self, name: str) -> Table:
        if name not in self.tables:
            raise GradlensError(
                f"no table {name!r} in this result; it has {', '.join(self.tables)}"
                + close_matches(name, self.tables)
            )
        return self.tables[name]

    def with_meta(self, **meta: object) -> Result:
        """Return a copy with entries added to ``meta``."""
        return replace(self, meta={**self.meta, **meta})

    def warned(self, texts: Sequence[str]) -> Result:
        """Return a copy with warnings added in front."""
        return replace(self, warnings=(*texts, *self.warnings))

    def to_json(self, indent: int | None = None) -> str:
        """Return the result as strict JSON; a missing number is ``null``."""
        document = {
            "format": FORMAT,
            "finding": self.finding,
            "warnings": list(self.warnings),
            "meta": self.meta,
            "tables": {name: _table_document(table) for name, table in self.tables.items()},
        }
        return json.dumps(_plain(document), indent=indent, allow_nan=False)

    def save(self, folder: str | Path) -> Path:
        """Write ``result.json`` and ``tables/<name>.csv`` into ``folder``.

        Raises:
            GradlensError: the folder cannot be written.
        """
        folder = Path(folder)
        try:
            (folder / "tables").mkdir(parents=True, exist_ok=True)
            (folder / FILE).write_text(self.to_json(), encoding="utf-8")
            for table in self.tables.values():
                table.frame.to_csv(
                    folder / "tables" / f"{table.name}.csv", index=False, errors="backslashreplace"
                )
        except OSError as error:
            raise GradlensError(f"cannot write {folder}: {error.strerror}; give another folder") from error
        return folder

    def explore(self, tables: Sequence[str] | None = None, *, static: bool = False) -> object:
        """Return a notebook view of figures and numbers, with widgets to select table, network, stage and version.

        Args:
            tables: their names; None takes all.
            static: show all tables and figures without widgets, which need the package ipywidgets; a saved
                notebook then contains all of them.

        Raises:
            GradlensError: a table is not in this result.
        """
        return explore(self.tables, tables, static)

    def map(self, *, difference: bool | Sequence[str] = False) -> NetworkMap:
        """Return the network map, from input to loss, with the gradients; a notebook displays it.

        Args:
            difference: True shows the second network minus the first, by stage and block; names ``("A", "B")``
                show B minus A. Stages are aligned by output stride, blocks by their order within a stage.

        Raises:
            GradlensError: the result lacks the tables of the map, or the two networks.
        """
        return NetworkMap(self.tables, difference)

    def __repr__(self) -> str:
        return result_text(self.finding, self.warnings, self.tables)

    def _repr_html_(self) -> str:
        return result_html(self.finding, self.warnings, self.tables)


def load(folder: str | Path) -> Result:
    """Read a result that ``Result.save`` wrote.

    Raises:
        GradlensError: there is no result in ``folder``, or it is unreadable, damaged or of an unknown format.
    """
    path = Path(folder) / FILE
    try:
        document = _upgraded(json.loads(path.read_text(encoding="utf-8")), path)
        tables = {name: _read_table(name, entry) for name, entry in document["tables"].items()}
        return Result(tables, document["meta"], document["finding"], tuple(document["warnings"]))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise GradlensError(
            f"{folder} contains no saved result ({FILE} is missing); pass the folder of a run"
        ) from error
    except OSError as error:
        raise GradlensError(
            f"cannot read {path}: {error.strerror or error}; ask for the right to read it, or give another folder"
        ) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise GradlensError(f"{path} is damaged: {error}; run the command again") from error


def _upgraded(document: Document, path: Path) -> Document:
    try:
        return upgraded(document)
    except GradlensError as error:
        raise GradlensError(f"{path} cannot be opened: {error}") from error


def _table_document(table: Table) -> Document:
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


def _read_table(name: str, entry: Document) -> Table:
    frame = pd.DataFrame(
        {
            column: pd.Series(content["values"], dtype=content["dtype"])
            for column, content in entry["columns"].items()
        }
    )
    return Table(name, frame, entry["caption"], entry["how"], entry["units"], entry["reproducible"])


def _plain(value: object) -> object:
    """Convert to containers of Python scalars; a number that is not finite becomes None."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "item") and not isinstance(value, str):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
