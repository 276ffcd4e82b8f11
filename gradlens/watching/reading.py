"""The result of a watched training, also of one that is running or was killed. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from gradlens import results
from gradlens.catalogue.watched import FINITE
from gradlens.errors import GradlensError
from gradlens.graph.stage_order import WHOLE
from gradlens.numbers import fixed
from gradlens.results import Result
from gradlens.results.provenance import WATCH
from gradlens.version import VERSION
from gradlens.watching.alarms import RULES, Alarm, History, Rule, alarms_in
from gradlens.watching.logs import has_rows, read_rows
from gradlens.watching.rows import Row, ends_a_pass
from gradlens.watching.tables import alarm_table, branches_along, passes, stages_along


def load(folder: str | Path) -> Result:
    """Read a result that ``Result.save`` wrote, or what a watched training has logged into a folder so far.

    The training may still be running, or have been killed: its finished steps are read, and nothing is changed. The
    alarms are found again in the rows, by ``gradlens.watching.alarms.RULES``.

    Args:
        folder: of a run, of ``CsvLog`` or of ``ParquetLog``.

    Raises:
        GradlensError: the folder has neither a result nor a measured step, or it cannot be read.
    """
    if not has_rows(folder):
        return results.load(folder)
    rows = read_rows(folder)
    if not any(map(ends_a_pass, rows)):
        raise GradlensError(
            f"{folder} has no measured step of a watched training yet; read it after the first one"
        )
    return flow_result(rows, alarms_of(rows))


def alarms_of(rows: Iterable[Row], rules: Mapping[str, Rule] = RULES) -> list[Alarm]:
    """Return what the rules find in the rows of a training."""
    history = History()
    alarms = []
    for measured in passes(rows):
        history.add(measured)
        alarms += alarms_in(measured, history, rules)
    return alarms


def watched_result(
    rows: Sequence[Row], alarms: Sequence[Alarm], problems: Mapping[int, str], limits: Sequence[str] = ()
) -> Result:
    """Return the tables of a training that is being watched.

    Args:
        rows: of the training so far.
        alarms: what was found wrong.
        problems: by step, why it could not be measured.
        limits: of the rows.

    Raises:
        GradlensError: no step was measured yet.
    """
    step, problem = next(iter(problems.items()), (0, ""))
    if not any(map(ends_a_pass, rows)):
        raise GradlensError(f"no step was measured yet{f'; step {step}: {problem}' if problem else ''}")
    count = len(problems)
    texts = [f"{count} step{'s' * (count > 1)} with a problem; step {step}: {problem}"] if problem else []
    return flow_result(rows, alarms, [*limits, *texts])


def flow_result(rows: Sequence[Row], alarms: Sequence[Alarm], warnings: Sequence[str] = ()) -> Result:
    """Return the tables of a watched training.

    Args:
        rows: of at least one measured backward pass, in order of steps.
        alarms: what was found wrong.
        warnings: limits of the numbers.
    """
    ends = [row for row in rows if ends_a_pass(row)]
    steps = sorted({row.step for row in ends})
    stages = stages_along(rows, alarms)
    tables = [stages, branches_along(rows, alarms), alarm_table(alarms)]
    meta = {
        "kind": WATCH,
        "gradlens": VERSION,
        "first step": steps[0],
        "last step": steps[-1],
        "measured steps": len(steps),
        "measured backward passes": len(ends),
    }
    broken = sum(row.value == 0 for row in ends)
    text = f"a gradient was NaN or infinite in {broken} of {len(ends)} measured backward passes"
    return Result(
        {table.name: table for table in tables},
        meta,
        _finding(steps, alarms, stages.frame),
        ([text] if broken else []) + [*warnings],
    )


def _finding(steps: Sequence[int], alarms: Sequence[Alarm], stages: pd.DataFrame) -> str:
    """Return the number of alarms and the first of them, and the duplication of the network at both ends."""
    span = (
        f"in {len(steps)} measured steps, {steps[0]} to {steps[-1]}"
        if len(steps) > 1
        else f"in step {steps[0]}"
    )
    text = f"No alarm {span}."
    if alarms:
        text = f"{len(alarms)} alarm{'s' * (len(alarms) > 1)} {span}. The first: {alarms[0]}."
    whole = stages[(stages["stage"] == WHOLE) & (stages[FINITE] == 1)]
    known = whole.dropna(subset=["duplication"]) if "duplication" in whole else whole.iloc[:0]
    if len(known) > 1:
        first, last = (
            f"{fixed(row['duplication'], 2)} at step {row['step']}"
            for _, row in known.iloc[[0, -1]].iterrows()
        )
        text += f" The duplication D_m of the whole network is {first} and {last}."
    return text
