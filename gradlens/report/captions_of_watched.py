"""Captions of the tables of a watched training."""

from __future__ import annotations

import pandas as pd

from gradlens.catalogue.watched import FINITE
from gradlens.graph.stage_order import WHOLE
from gradlens.numbers import format_cell, percent
from gradlens.report.clauses import sentence, stage_name


def stages(frame: pd.DataFrame) -> str:
    """Report the duplication of the network at both ends, and the numbers of alarms and of steps without a number."""
    measured = frame[frame[FINITE].notna()]
    ends = measured["step"].min(), measured["step"].max()
    clauses = [f"One line per stage, steps {ends[0]} to {ends[1]}"]
    if "duplication" in frame:
        whole = measured[measured["stage"] == WHOLE].dropna(subset=["duplication"])
        values = (
            [format_cell(float(value)) for value in whole["duplication"].iloc[[0, -1]]] if len(whole) else []
        )
        clauses += (
            [f"the whole network has D_m {values[0]} at first and {values[1]} at last"] if values else []
        )
    broken = int((measured[FINITE] == 0).sum())
    clauses += [f"{broken} of {len(measured)} backward passes have a gradient that is not finite"] * (
        broken > 0
    )
    return sentence([*clauses, _alarms(int(frame["alarms"].sum()))])


def branches(frame: pd.DataFrame) -> str:
    """Report the branch with the smallest share at the last step, and the number of alarms."""
    last = frame[frame["step"] == frame["step"].max()]
    smallest = last.loc[last["share"].idxmin()]
    where = f"{smallest['branch']} at {smallest['site']} ({stage_name(smallest['stage'])})"
    return sentence(
        [
            "Mean share over the forks and splits of a stage, and smallest coherence",
            f"at step {smallest['step']}, {where} has the smallest share, {percent(float(smallest['share']), 1)}",
            _alarms(int(frame["alarms"].sum())),
        ]
    )


def alarms(frame: pd.DataFrame) -> str:
    """Report the number of alarms by rule."""
    counts = frame["rule"].value_counts(sort=False)
    return sentence(f"{rule}: {count}" for rule, count in counts.items())


def _alarms(count: int) -> str:
    return f"{count} alarm{'s' * (count != 1)}, marked on the axis of steps" if count else ""
