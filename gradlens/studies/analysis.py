"""Analyze recordings: tables, comparisons, the finding and the warnings of a result. No torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import pandas as pd

from gradlens.analyzers import ANALYZERS, ON_REQUEST
from gradlens.analyzers.duplication import Duplication, Sizes, common_sizes
from gradlens.analyzers.loss_duplication import DuplicationByLoss, loss_sizes
from gradlens.catalogue import TABLES, about
from gradlens.comparisons.comparison import Comparison
from gradlens.comparisons.contrasts import Contrasts, cross_networks
from gradlens.comparisons.cross import cross_network
from gradlens.comparisons.efficiency import efficiency
from gradlens.comparisons.summary import Summary
from gradlens.errors import GradlensError, close_matches
from gradlens.progress import Progress, progress_callback
from gradlens.recording import Recording
from gradlens.results import Result, Table
from gradlens.results.provenance import COMPARE, INSPECT, PATHS
from gradlens.studies.partial import needed
from gradlens.words.findings import finding_alone, finding_among, finding_between, finding_of_paths
from gradlens.words.losses import conflicting_losses, leading_losses
from gradlens.words.power import had_too_few_seeds
from gradlens.words.starting import started
from gradlens.words.warnings import warnings_alone, warnings_between

PATH_TABLES = sorted((entry for entry in TABLES if entry.in_paths), key=lambda entry: entry.in_paths)
"""Tables of a result about paths."""


def analyze(
    recording: Recording,
    tables: Sequence[str] | None = None,
    extra: Sequence[str] = (),
    progress: Progress | bool | None = None,
    left_out: list[str] | None = None,
) -> Result:
    """Compute the tables of one recording, the summary by stage first.

    Args:
        recording: from ``capture`` or ``Recording.load``, possibly merged.
        tables: names of the requested tables; None takes all tables for which the recording has the data.
        extra: names of additional tables: ``null``, ``canonical``.
        progress: called with (table, done, total); by default a line in a notebook, ``False`` for none.
        left_out: receives the names of the tables that Ctrl-C leaves out; None raises ``KeyboardInterrupt``.

    Raises:
        GradlensError: a table is not known, or the recording lacks its data.
    """
    summary = needed(lambda: Summary()(recording), left_out)
    with progress_callback(progress) as callback:
        if tables is None:
            others = tables_of([recording], extra, callback, left_out=left_out)
        else:
            others = _requested_tables(recording, tables, callback)
    return Result(
        tables={"summary": summary, **others},
        meta=_meta(recording, INSPECT),
        finding=_joined(finding_alone(recording, summary), leading_losses(others)),
        warnings=(*warnings_alone(recording), *conflicting_losses(others), *started([recording])),
    )


def _meta(recording: Recording, kind: str) -> dict[str, object]:
    return {**recording.meta, "kind": kind, "a": recording.name, "seeds": list(recording.seeds)}


def _requested_tables(
    recording: Recording, names: Sequence[str], callback: Progress | None
) -> dict[str, Table]:
    known = {**ANALYZERS, **ON_REQUEST}
    tables = {}
    for done, name in enumerate(names, start=1):
        if name not in known:
            raise GradlensError(f"no table {name!r}; use {', '.join(known)}{close_matches(name, known)}")
        table = known[name](recording)
        if callback is not None:
            callback(name, done, len(names))
        if table is None:
            problem = about(name).missing(recording.provenance.space)
            raise GradlensError(f"no table {name!r}: this recording {problem}")
        tables[name] = table
    return tables


def analyze_paths(recording: Recording) -> Result:
    """Compute the tables about the gradient's paths through one network."""
    results = {entry.name: ANALYZERS[entry.name](recording) for entry in PATH_TABLES}
    tables = {name: table for name, table in results.items() if table is not None}
    return Result(
        tables=tables,
        meta=_meta(recording, PATHS),
        finding=finding_of_paths(recording, tables.get("paths")),
        warnings=(*recording.provenance.notes, *started([recording])),
    )


def analyze_pair(
    first: Recording, second: Recording, extra: Sequence[str] = (), left_out: list[str] | None = None
) -> Result:
    """Compare two recordings of the same samples; the comparison by stage is the first table."""
    comparison = needed(lambda: Comparison()(first, second), left_out)
    tables = tables_of([first, second], extra, left_out=left_out)
    cross = _table("cross", lambda: cross_network(first, second), left_out)
    meta = {
        "kind": COMPARE,
        "a": first.name,
        "b": second.name,
        "seeds": list(first.seeds),
        "model_a": dict(first.meta),
        "model_b": dict(second.meta),
    }
    return Result(
        tables={
            "comparison": comparison,
            **tables,
            **({} if cross is None else {"cross": cross}),
        },
        meta=meta,
        finding=_joined(finding_between(first, second, comparison), leading_losses(tables)),
        warnings=(
            *warnings_between(first, second),
            *conflicting_losses(tables),
            *_power(first, comparison),
            *started([first, second]),
        ),
    )


def analyze_several(
    recordings: Sequence[Recording], extra: Sequence[str] = (), left_out: list[str] | None = None
) -> Result:
    """Compare three or more recordings of the same samples, each with the first."""
    contrasts = needed(lambda: Contrasts()(recordings), left_out)
    tables = tables_of(recordings, extra, left_out=left_out)
    cross = _table("cross", lambda: cross_networks(recordings), left_out)
    names = [recording.name for recording in recordings]
    warnings = [text for other in recordings[1:] for text in warnings_between(recordings[0], other)]
    return Result(
        tables={
            **contrasts,
            **tables,
            **({} if cross is None else {"cross": cross}),
        },
        meta={
            "kind": COMPARE,
            "a": names[0],
            "networks": names,
            "seeds": list(recordings[0].seeds),
            "models": {name: dict(recording.meta) for name, recording in zip(names, recordings, strict=True)},
        },
        finding=_joined(finding_among(recordings, contrasts["contrasts"]), leading_losses(tables)),
        warnings=(
            *dict.fromkeys(warnings),
            *conflicting_losses(tables),
            *_power(recordings[0], contrasts["contrasts"]),
            *started(recordings),
        ),
    )


def _joined(*sentences: str) -> str:
    return " ".join(filter(None, sentences))


def _power(recording: Recording, table: Table) -> list[str]:
    """Return a warning if the seeds are too few for the correction of the p-values in a table."""
    return list(filter(None, [had_too_few_seeds(len(recording.seeds), table.frame)]))


def tables_of(
    recordings: Sequence[Recording],
    extra: Sequence[str] = (),
    callback: Progress | None = None,
    sizes: Sizes | None = None,
    left_out: list[str] | None = None,
) -> dict[str, Table]:
    """Run all default and the requested extra analyzers; a table holds the rows of all networks in order.

    Args:
        recordings: of the networks side by side.
        extra: names of additional tables.
        callback: called with (table, done, total).
        sizes: numbers of signals of the rarefied duplication; None takes those common to the recordings.
        left_out: receives the names of the tables that Ctrl-C leaves out; None raises ``KeyboardInterrupt``.
    """
    analyzers = {**ANALYZERS, **{name: ON_REQUEST[name] for name in extra}}
    if len(recordings) > 1:
        analyzers["duplication"] = Duplication(sizes=common_sizes(recordings) if sizes is None else sizes)
        analyzers["duplication_by_loss"] = DuplicationByLoss(sizes=loss_sizes(recordings))
    tables = {}
    for done, (name, analyzer) in enumerate(analyzers.items(), start=1):
        table = _table(name, partial(_stacked, analyzer, recordings), left_out)
        if callback is not None:
            callback(name, done, len(analyzers))
        if table is not None:
            tables[name] = table
    beside = _table("efficiency", lambda: efficiency(tables), left_out)
    return tables if beside is None else {**tables, "efficiency": beside}


def _stacked(analyzer: Callable[[Recording], Table | None], recordings: Sequence[Recording]) -> Table | None:
    parts = [table for table in map(analyzer, recordings) if table is not None]
    if not parts:
        return None
    return replace(parts[0], frame=pd.concat([table.frame for table in parts], ignore_index=True))


def _table(name: str, compute: Callable[[], Table | None], left_out: list[str] | None) -> Table | None:
    """Return a table; after Ctrl-C none, and its name is among those that are left out."""
    if left_out:
        left_out.append(name)
        return None
    try:
        return compute()
    except KeyboardInterrupt:
        if left_out is None:
            raise
        left_out.append(name)
        return None
