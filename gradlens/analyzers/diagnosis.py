"""Conspicuous sites: duplicated pairs, idle branches, cancelling forks, dead and outlying signals, also along time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from gradlens.analyzers.branches import Shares
from gradlens.analyzers.correlation import Correlation
from gradlens.analyzers.flow import Flow
from gradlens.analyzers.kinds import (
    ALIKE,
    CANCELLING,
    DUPLICATED,
    DUPLICATED_PAIR,
    IDLE,
    KINDS,
    OUTLYING,
    SILENT_CALL,
)
from gradlens.analyzers.replicates import HALF_WIDTHS
from gradlens.analyzers.silence import silent_calls
from gradlens.analyzers.times import Steps, against, steps_of
from gradlens.catalogue.versions import ENERGY, ENERGY_GIVEN_LOSS
from gradlens.graph.alike import Alike
from gradlens.graph.nodes import TensorKey
from gradlens.graph.stage_order import HEAD
from gradlens.recording import Recording
from gradlens.results import Table

COPY = 1 - 1e-9
"""CKA above which two signals count as one gradient, as at the inputs of an addition, which share one buffer."""
COLUMNS = ("kind", "stage", "place", "other", "value", "reach", "given_loss")


@dataclass(frozen=True)
class Diagnosis:
    """Conspicuous sites, one row per site, the strongest of each kind first.

    Attributes:
        most: largest number of rows of each kind.
    """

    most: int = 50

    def __call__(self, recording: Recording) -> Table | None:
        """Return the table: empty if no site is conspicuous, None if no site was watched."""
        if not recording.signals and not recording.plan.network_groups:
            return None
        rows = [
            row
            for select in (_pairs, _branches_and_forks, along_time, _outliers)
            for row in select(recording)
        ]
        frame = pd.DataFrame(rows, columns=list(COLUMNS))
        ranked = pd.concat([self._ranked(frame, kind) for kind in KINDS], ignore_index=True)
        ranked.insert(0, "network", recording.name)
        return Table(
            "diagnosis",
            ranked,
            "Conspicuous sites, the strongest of each kind first.",
            how=". ".join(f"{kind.capitalize()}: {entry.meaning}" for kind, entry in KINDS.items())
            + f". Branches inside the steps of a recurrence are in the table shares only. {HALF_WIDTHS}",
            units={"value": "CKA, share, coherence, or RMS over the median or the last step, by kind"},
        )

    def _ranked(self, frame: pd.DataFrame, kind: str) -> pd.DataFrame:
        """Return the strongest rows of a kind, with their rank and the number of all rows of the kind."""
        rows = frame[frame["kind"] == kind]
        kept = rows.sort_values("value", ascending=not KINDS[kind].falling, kind="stable").head(self.most)
        kept = kept.assign(found=len(rows))
        kept.insert(1, "rank", range(1, len(kept) + 1))
        return kept


def _row(
    kind: str,
    stage: object,
    site: str,
    other: str,
    value: float,
    half_width: float = np.nan,
    given_loss: float = np.nan,
) -> dict[str, object]:
    values = (kind, str(stage), site, other, float(value), float(half_width), float(given_loss))
    return dict(zip(COLUMNS, values, strict=True))


def _pairs(recording: Recording) -> list[dict[str, object]]:
    table = Correlation()(recording)
    if table is None:
        return []
    similar = table.frame[table.frame[ENERGY.column] >= DUPLICATED]
    alike = Alike(recording.plan.graph)
    outputs = [_outputs(recording, number) for number in recording.plan.signals]

    def kind(row: Mapping[Any, Any]) -> str:
        reason = alike.reason(outputs[row["order_a"]], outputs[row["order_b"]])
        return ALIKE.get(reason) or ("one gradient" if row[ENERGY.column] >= COPY else DUPLICATED_PAIR)

    return [
        _row(
            kind(row),
            row["stage_a"] if row["stage_a"] == row["stage_b"] else f"{row['stage_a']}, {row['stage_b']}",
            row["signal_a"],
            row["signal_b"],
            row[ENERGY.column],
            row[f"{ENERGY.column}_reach"],
            row[ENERGY_GIVEN_LOSS.column],
        )
        for row in similar.to_dict("records")
    ]


def _outputs(recording: Recording, number: int) -> list[TensorKey]:
    """Return the output of the layer of a signal; none for a weight, whose gradient depends on its inputs, too."""
    tap = recording.plan.taps.get(number)
    return [tap] if isinstance(tap, TensorKey) else []


def _branches_and_forks(recording: Recording) -> list[dict[str, object]]:
    table = Shares()(recording)
    if table is None:
        return []
    frame = table.frame[~table.frame["site"].isin(_of_steps(recording))]
    idle = frame[(frame["share"] < IDLE) & (frame["where"] != "merge")]
    forks = frame[frame["where"] == "fork"].drop_duplicates("site")
    rows = [
        _row("idle branch", row["stage"], row["site"], row["branch"], row["share"], row["share_reach"])
        for row in idle.to_dict("records")
    ]
    return rows + [
        _row("cancelling fork", row["stage"], row["site"], "", row["coherence"], row["coherence_reach"])
        for row in forks[forks["coherence"] < CANCELLING].to_dict("records")
    ]


def _of_steps(recording: Recording) -> set[str]:
    """Return the forks and splits in a cell, and those where the loss could read a state: each step has the same."""
    plan, exits = recording.plan, set(recording.plan.exits)
    cells = {
        plan.owners[use].module for series in plan.series.values() if series.carried for use in series.uses
    }
    cells |= {module.rpartition(".")[0] for module in cells} - {""}
    return {
        group.site
        for group in plan.groups
        if plan.owners[group.source[0]].module in cells
        or any(plan.taps.get(number) in exits for members in group.members for number in members)
    }


def along_time(recording: Recording) -> list[dict[str, object]]:
    """Return one row for each recurrence that vanishes or explodes, for the layer of its cell that does so most.

    Recurrences that explode come first, and of each kind the strongest.
    """
    strongest: dict[tuple[bool, int], tuple[float, float, Steps]] = {}
    for steps in steps_of(recording):
        value = float(steps.relative[0])
        if value > OUTLYING or value < 1 / OUTLYING:
            key = value < 1, steps.probe.loop
            strength = abs(np.log10(value)) if value else np.inf
            if key not in strongest or strength > strongest[key][0]:
                strongest[key] = strength, value, steps
    ordered = sorted(strongest.items(), key=lambda entry: (entry[0][0], -entry[1][0]))
    return [
        _row(
            "vanishing along time" if vanishes else "exploding along time",
            steps.signal.stage,
            steps.signal.name,
            against(steps.probe),
            value,
        )
        for (vanishes, _), (_, value, steps) in ordered
    ]


def _outliers(recording: Recording) -> list[dict[str, object]]:
    table = Flow()(recording)
    if table is None:
        return []
    signals = table.frame[table.frame["role"] == "signal"]
    silent = set(silent_calls(recording))
    rows = [
        _row(SILENT_CALL if row["signal"] in silent else "dead signal", row["stage"], row["signal"], "", 0.0)
        for row in signals[signals["dead"]].to_dict("records")
    ]
    live = signals[~signals["dead"].astype(bool) & (signals["rms"] > 0) & (signals["stage"] != HEAD)]
    median = float(live["rms"].median()) if len(live) else float("nan")
    for row in live.to_dict("records"):
        ratio = row["rms"] / median
        kind = "exploding signal" if ratio > OUTLYING else "vanishing signal" if ratio < 1 / OUTLYING else ""
        if kind:
            rows.append(_row(kind, row["stage"], row["signal"], "", ratio))
    return rows
