"""Tables along the steps of a watched training, from its rows. No torch."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

import pandas as pd

from gradlens.catalogue.watched import BRANCHES, COHERENCE, FINITE, SHARE, STAGES, WATCHED
from gradlens.graph.stage_order import in_order
from gradlens.results import Table
from gradlens.watching.alarms import Alarm
from gradlens.watching.rows import Row, ends_a_pass, is_logged
from gradlens.watching.stages import by_stage

SOURCE = "Each row is of one backward pass, before clipping; the numbers of a single batch are noisy."
UNITS = {entry.name: entry.unit for entry in WATCHED}


def passes(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Yield the rows of each backward pass, without what the loop has logged."""
    measured: list[Row] = []
    for row in rows:
        if is_logged(row):
            continue
        measured.append(row)
        if ends_a_pass(row):
            yield measured
            measured = []


def stages_along(rows: Sequence[Row], alarms: Iterable[Alarm]) -> Table:
    """Return the numbers of the stages, and what the loop has logged: a row per step, backward pass and stage."""
    cells: dict[tuple[int, int, str], dict[str, float]] = defaultdict(dict)
    for measured in passes(rows):
        for (stage, quantity), value in by_stage(measured).items():
            cells[measured[-1].step, measured[-1].backward, stage][quantity] = value
    for row in filter(is_logged, rows):
        cells[row.step, row.backward, row.stage][row.quantity] = row.value
    raised = Counter((alarm.step, alarm.stage) for alarm in alarms)
    order = {stage: at for at, stage in enumerate(in_order(stage for _, _, stage in cells))}
    keys = sorted(cells, key=lambda key: (*key[:2], order[key[2]]))
    logged = dict.fromkeys(row.quantity for row in rows if is_logged(row))
    names = [*(entry.name for entry in WATCHED if entry.name != FINITE), *logged, FINITE]
    frame = pd.DataFrame(keys, columns=["step", "backward", "stage"])
    for name in names:
        values = [cells[key].get(name) for key in keys]
        if any(value is not None for value in values):
            frame[name] = pd.Series(values, dtype=float)
    # of several backward passes of a step, the first has the alarms
    frame["alarms"] = [raised.pop((step, stage), 0) for step, _, stage in keys]
    summed = "; ".join(
        f"{entry.name}: {entry.summary}" for entry in WATCHED if entry.summary and entry.name in frame
    )
    return Table(
        STAGES,
        frame,
        "The stages at each measured step of the training.",
        how=f"{SOURCE} Of the layers, branches and forks of a stage: {summed}.",
        units={name: unit for name, unit in UNITS.items() if name in frame},
    )


def branches_along(rows: Iterable[Row], alarms: Iterable[Alarm]) -> Table:
    """Return the share of each branch and the coherence of its fork: a row per step, backward pass and branch."""
    records = []
    raised = Counter((alarm.step, alarm.place, alarm.branch) for alarm in alarms)
    for measured in passes(rows):
        coherence = {row.place: row.value for row in measured if row.quantity == COHERENCE}
        for row in measured:
            if row.branch:
                found = raised.pop((row.step, row.place, row.branch), 0) + raised.pop(
                    (row.step, row.place, ""), 0
                )
                records.append((row.step, row.backward, row.stage, row.place, row.branch, row.quantity, row.value,
                                coherence.get(row.place), found))  # fmt: skip
    columns = ["step", "backward", "stage", "site", "branch", "of", SHARE, COHERENCE, "alarms"]
    frame = pd.DataFrame(records, columns=columns).astype({SHARE: float, COHERENCE: float})
    frame["of"] = frame["of"].map({SHARE: "fork", "part": "split"})
    return Table(
        BRANCHES,
        frame,
        "The branches of forks and the parts of splits at each measured step of the training.",
        how=SOURCE,
        units={name: UNITS[name] for name in (SHARE, COHERENCE)},
    )


def alarm_table(alarms: Iterable[Alarm]) -> Table:
    """Return the alarms, one per row."""
    columns = list(Alarm.__dataclass_fields__)
    return Table(
        "alarms",
        pd.DataFrame([asdict(alarm) for alarm in alarms], columns=columns),
        "What the rules found wrong in the training.",
        how="A rule is a function of the numbers of a measured step and of those before it.",
    )
