"""Result: a plain value that holds the tables of a run, and saves and loads them. No torch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from gradlens.catalogue.transitions import STRATEGY_OF, strategies_by_label
from gradlens.catalogue.watched import BRANCHES, STAGES, STAGES_OF
from gradlens.errors import GradlensError, close_matches
from gradlens.results.documents import FORMAT, Document, upgraded
from gradlens.results.labels import names_in, relabelled_meta, relabelled_text, renamed
from gradlens.results.ledger import ledger, name_losses
from gradlens.results.provenance import RunProvenance
from gradlens.results.quoting import quote
from gradlens.results.sentences import sentences
from gradlens.results.table import Table, read_table, table_document
from gradlens.showing import NetworkMap, explore, result_html, result_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FILE = "result.json"


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

    @property
    def losses(self) -> Table:
        """The ledger: the share of each loss by stage, and the pair of losses that conflicts most.

        ``result["losses"]`` has all its numbers, also by signal and branch.

        Raises:
            GradlensError: one loss was measured.
        """
        return ledger(self.tables)

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
        """Store what the colours of plots depend on in the frames: strategies, names of losses and of stages."""
        strategies = strategies_by_label(self.meta)
        for table in self.tables.values() if strategies else ():
            table.frame.attrs[STRATEGY_OF] = strategies
        name_losses(self.tables)
        if {STAGES, BRANCHES} <= set(self.tables):
            self.tables[BRANCHES].frame.attrs[STAGES_OF] = list(self.tables[STAGES].frame["stage"].unique())

    def __getitem__(self, name: str) -> Table:
        if name not in self.tables:
            raise GradlensError(
                f"no table {name!r} in this result; it has {', '.join(self.tables)}"
                + close_matches(name, self.tables)
            )
        return self.tables[name]

    def plot(
        self,
        name: str,
        ax: Axes | None = None,
        *,
        version: str = "",
        labels: Mapping[str, str] = MappingProxyType({}),
    ) -> Axes:
        """Draw the table ``name``; the other parameters are those of ``Table.plot``.

        Raises:
            GradlensError: there is no such table, plot or version, or the labels do not fit.
        """
        return self.relabelled(labels)[name].plot(ax, version=version)

    def relabelled(self, labels: Mapping[str, str]) -> Result:
        """Return a copy with other names of networks in its tables, finding, warnings and metadata.

        Args:
            labels: labels by name, such as ``{"resnet50": "ours"}``, for some networks or all.

        Raises:
            GradlensError: a name is not one of this result, or two networks would have the same label.
        """
        if not labels:
            return self
        frames = (table.frame for table in self.tables.values())
        names = renamed([*names_in(frames), *self.provenance.networks], labels)
        return Result(
            tables={name: table.relabelled(names) for name, table in self.tables.items()},
            meta=relabelled_meta(self.meta, names),
            finding=relabelled_text(self.finding, names),
            warnings=tuple(relabelled_text(text, names) for text in self.warnings),
        )

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
            "tables": {name: table_document(table) for name, table in self.tables.items()},
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
        first = {"ledger": self.losses} if "losses" in self.tables else {}
        return result_html(self.finding, self.warnings, self.tables, first)


def load(folder: str | Path) -> Result:
    """Read a result that ``Result.save`` wrote.

    Raises:
        GradlensError: there is no result in ``folder``, or it is unreadable, damaged or of an unknown format.
    """
    path = Path(folder) / FILE
    try:
        document = _upgraded(json.loads(path.read_text(encoding="utf-8")), path)
        tables = {name: read_table(name, entry) for name, entry in document["tables"].items()}
        return Result(tables, document["meta"], document["finding"], tuple(document["warnings"]))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise GradlensError(
            f"{folder} contains no saved result ({FILE} is missing); pass the folder of a run, or one that a watched "
            "training logs into"
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


def _plain(value: object) -> object:
    """Convert to containers of Python scalars; a number that is not finite becomes None."""
    if isinstance(value, float):  # first what tables have most of
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return _plain(value.item()) if hasattr(value, "item") else value
