"""The one composition: models → capture → grams → analyzers → results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import pandas as pd

from gradlens.analyzers import ANALYZERS, ON_REQUEST
from gradlens.catalogue import TABLES, about
from gradlens.comparisons.contrasts import Contrasts, cross_networks
from gradlens.comparisons.cross import cross_network
from gradlens.comparisons.summary import Comparison, Summary
from gradlens.errors import GradlensError, close_matches
from gradlens.progress import Progress, progress_callback
from gradlens.recording import Recording
from gradlens.results import Result, Table
from gradlens.studies.cells import Cells, Study, subjects
from gradlens.studies.spaces import BOTH, in_both, require_one
from gradlens.words.findings import finding_alone, finding_among, finding_between, finding_of_paths
from gradlens.words.warnings import warnings_alone, warnings_between

PATH_TABLES = sorted((entry for entry in TABLES if entry.in_paths), key=lambda entry: entry.in_paths)
"""Tables of a result about paths."""


def analyze(
    recording: Recording,
    tables: Sequence[str] | None = None,
    extra: Sequence[str] = (),
    progress: Progress | bool | None = None,
) -> Result:
    """Everything that one recording says, the summary by stage first.

    Args:
        recording: of ``capture``, or several merged, or loaded.
        tables: names of the tables that are wanted; None takes all that the recording can give.
        extra: from ``ON_REQUEST``: ``null``, ``canonical``.
        progress: called with (table, done, total); by default a line in a notebook, ``False`` for none.

    Raises:
        GradlensError: a table is not known, or the recording does not hold what it needs.
    """
    summary = Summary()(recording)
    with progress_callback(progress) as tell:
        found = tables_of([recording], extra, tell) if tables is None else _asked(recording, tables, tell)
    meta = {**recording.meta, "kind": "inspect", "a": recording.name, "seeds": list(recording.seeds)}
    return Result(
        tables={"summary": summary, **found},
        meta=meta,
        finding=finding_alone(recording, summary),
        warnings=tuple(warnings_alone(recording)),
    )


def _asked(recording: Recording, names: Sequence[str], tell: Progress | None) -> dict[str, Table]:
    known = {**ANALYZERS, **ON_REQUEST}
    found = {}
    for place, name in enumerate(names):
        if name not in known:
            raise GradlensError(f"no table {name!r}; use {', '.join(known)}{close_matches(name, known)}")
        table = known[name](recording)
        if tell is not None:
            tell(name, place + 1, len(names))
        if table is None:
            lack = about(name).missing(recording.provenance.space)
            raise GradlensError(f"no table {name!r}: this recording {lack}")
        found[name] = table
    return found


def analyze_pair(first: Recording, second: Recording, extra: Sequence[str] = ()) -> Result:
    """Two recordings of the same samples side by side, the comparison by stage first."""
    comparison = Comparison()(first, second)
    cross = cross_network(first, second)
    meta = {
        "kind": "compare",
        "a": first.name,
        "b": second.name,
        "seeds": list(first.seeds),
        "model_a": dict(first.meta),
        "model_b": dict(second.meta),
    }
    return Result(
        tables={
            "comparison": comparison,
            **tables_of([first, second], extra),
            **({} if cross is None else {"cross": cross}),
        },
        meta=meta,
        finding=finding_between(first, second, comparison),
        warnings=tuple(warnings_between(first, second)),
    )


def analyze_several(recordings: Sequence[Recording], extra: Sequence[str] = ()) -> Result:
    """Three recordings and more of the same samples, each compared with the first."""
    contrasts = Contrasts()(recordings)
    cross = cross_networks(recordings)
    names = [recording.name for recording in recordings]
    warnings = [text for other in recordings[1:] for text in warnings_between(recordings[0], other)]
    return Result(
        tables={
            **contrasts,
            **tables_of(recordings, extra),
            **({} if cross is None else {"cross": cross}),
        },
        meta={
            "kind": "compare",
            "a": names[0],
            "networks": names,
            "seeds": list(recordings[0].seeds),
            "models": {name: dict(recording.meta) for name, recording in zip(names, recordings, strict=True)},
        },
        finding=finding_among(recordings, contrasts["contrasts"]),
        warnings=tuple(dict.fromkeys(warnings)),
    )


def inspect(
    model: str, *, checkpoint: Any = None, progress: Progress | bool | None = None, **options: Any
) -> Result:
    """One network by name, on real samples.

    Args:
        model: a name that ``load_model`` takes.
        checkpoint: weights to load.
        progress: called with (what, done, total); by default a line in a notebook, ``False`` for none.
        **options: fields of ``Study``.

    Raises:
        GradlensError: bad input, in one sentence.
        KeyboardInterrupt: interrupted before a batch was finished.
    """
    study = study_of(options)
    if study.space == BOTH:
        return in_both(partial(inspect, model, checkpoint=checkpoint, progress=progress), options)
    cells = Cells(study, subjects([model], [checkpoint]), progress)
    (recording,) = cells.run()
    return (
        analyze(recording, extra=study.extra, progress=False)
        .with_meta(**cells.meta, study=asdict(study))
        .warned(cells.warnings)
    )


def paths(
    model: str, *, checkpoint: Any = None, progress: Progress | bool | None = None, **options: Any
) -> Result:
    """The gradient's paths through one network by name, weighted by the energy on real samples.

    Args:
        model: a name that ``load_model`` takes.
        checkpoint: weights to load.
        progress: called with (what, done, total); by default a line in a notebook, ``False`` for none.
        **options: fields of ``Study``.

    Raises:
        GradlensError: bad input, in one sentence.
        KeyboardInterrupt: interrupted before a batch was finished.
    """
    study = study_of({"throughput": False, **options})
    require_one(study.space)
    cells = Cells(study, subjects([model], [checkpoint]), progress)
    (recording,) = cells.run()
    made = {entry.name: ANALYZERS[entry.name](recording) for entry in PATH_TABLES}
    found = {name: table for name, table in made.items() if table is not None}
    meta = {**recording.meta, "kind": "inspect", "a": recording.name, "seeds": list(recording.seeds)}
    return Result(
        tables=found,
        meta={**meta, **cells.meta, "study": asdict(study)},
        finding=finding_of_paths(recording, found.get("paths")),
        warnings=(*cells.warnings, *recording.provenance.notes),
    )


def compare(
    a: str,
    b: str,
    *others: str,
    checkpoint: Sequence[Any] = (),
    progress: Progress | bool | None = None,
    **options: Any,
) -> Result:
    """Networks by name, on the same samples in the same order; the first is compared with each other one.

    Args:
        a: a name that ``load_model`` takes; the reference.
        b: another.
        *others: more of them.
        checkpoint: a weight file a network in the same order, each may be None; empty for none at all.
        progress: called with (what, done, total); by default a line in a notebook, ``False`` for none.
        **options: fields of ``Study``.

    Returns:
        Of two networks the table ``comparison`` comes first; of more, ``networks`` and ``contrasts``.

    Raises:
        GradlensError: bad input, in one sentence.
        KeyboardInterrupt: interrupted before every network had finished a batch.
    """
    study = study_of(options)
    if study.space == BOTH:
        return in_both(partial(compare, a, b, *others, checkpoint=checkpoint, progress=progress), options)
    names = [a, b, *others]
    checkpoints = list(checkpoint) or [None] * len(names)
    if len(checkpoints) != len(names):
        raise GradlensError(
            f"{len(checkpoints)} checkpoints for {len(names)} networks; give one for each, None where there is none"
        )
    cells = Cells(study, subjects(names, checkpoints), progress)
    recordings = cells.run()
    first, second, *more = recordings
    result = analyze_several(recordings, study.extra) if more else analyze_pair(first, second, study.extra)
    return result.with_meta(**cells.meta, study=asdict(study)).warned(cells.warnings)


def study_of(options: dict[str, Any]) -> Study:
    """The options of a study by name.

    Raises:
        GradlensError: one is not known, or out of range.
    """
    known = Study.__dataclass_fields__
    for name in options:
        if name not in known:
            raise GradlensError(f"unknown option {name!r}; use one of {', '.join(known)}")
    return Study(**options)


def tables_of(
    recordings: Sequence[Recording], extra: Sequence[str] = (), tell: Progress | None = None
) -> dict[str, Table]:
    """Every analyzer's table, the networks one below the other; those on request where asked for."""
    tables = {}
    wanted = {**ANALYZERS, **{name: ON_REQUEST[name] for name in extra}}
    for place, (name, analyzer) in enumerate(wanted.items()):
        found = [table for table in map(analyzer, recordings) if table is not None]
        if tell is not None:
            tell(name, place + 1, len(wanted))
        if found:
            frames = [table.frame for table in found]
            tables[name] = replace(found[0], frame=pd.concat(frames, ignore_index=True))
    return tables
