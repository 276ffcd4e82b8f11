"""Conspicuous sites: duplicated pairs, idle branches, cancelling forks, dead and outlying signals, also along time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from gradlens.analyzers.branches import Shares
from gradlens.analyzers.correlation import Correlation
from gradlens.analyzers.flow import Flow
from gradlens.analyzers.replicates import HALF_WIDTHS
from gradlens.analyzers.times import Steps, against, steps_of
from gradlens.catalogue.versions import ENERGY, ENERGY_GIVEN_LOSS
from gradlens.graph.alike import ADDED, POOLED, Alike
from gradlens.graph.nodes import TensorKey
from gradlens.graph.stages import HEAD
from gradlens.recording import Recording
from gradlens.results import Table

COPY = 1 - 1e-9
"""CKA above which two signals count as one gradient, as at the inputs of an addition, which share one buffer."""
DUPLICATED = 0.5
"""Smallest CKA of a duplicated pair."""
IDLE = 0.01
"""Share of energy below which a branch is idle."""
CANCELLING = 0.5
"""Coherence below which the contributions of a fork cancel."""
OUTLYING = 100.0
"""Ratio to the median RMS beyond which a signal explodes or vanishes."""


DUPLICATED_PAIR = "duplicated pair"
"""Kind of a pair of similar signals."""


class Kind(NamedTuple):
    """A kind of conspicuous site.

    Attributes:
        meaning: definition, with its threshold.
        words: what it means for the site, in plain words.
    """

    meaning: str
    words: str


ALIKE = {ADDED: "both feed one addition", POOLED: "only a pooling between"}
"""Kinds of pairs that are alike by construction, by the reason; they say nothing about a network."""
KINDS = {
    "dead signal": Kind(
        "exactly zero in every sample: the layer receives no gradient",
        "no gradient arrives, so it does not learn",
    ),
    "exploding along time": Kind(
        f"a recurrence carries back to its first step more than {OUTLYING:g} times the gradient at its last step",
        "explodes along time",
    ),
    "vanishing along time": Kind(
        f"a recurrence carries back to its first step less than 1/{OUTLYING:g} of the gradient at its last step",
        "vanishes along time",
    ),
    "exploding signal": Kind(
        f"RMS per element above {OUTLYING:g} times the median of the live signals before the pooling",
        "the gradient is far larger than in most layers",
    ),
    "vanishing signal": Kind(
        f"RMS per element below 1/{OUTLYING:g} of the median of the live signals before the pooling",
        "the gradient is far smaller than in most layers",
    ),
    "cancelling fork": Kind(
        f"the contributions cancel: less than {CANCELLING:g} of their energy is left (1 if they are unrelated)",
        "the gradients of its branches cancel each other",
    ),
    "idle branch": Kind(
        f"contributes less than {IDLE:.0%} of the energy that arrives at its fork or split",
        "hardly any gradient comes through this branch",
    ),
    DUPLICATED_PAIR: Kind(
        f"the gradients of these two layers are similar (CKA, energy: at least {DUPLICATED:g}; 1 for copies); "
        "'given the loss' is the similarity that is left after partialling out the loss signal",
        "similar gradients",
    ),
    "one gradient": Kind(
        "exactly the same gradient up to a factor, as in layers whose outputs are added",
        "the same gradient, as at the inputs of an addition",
    ),
    ALIKE[ADDED]: Kind(
        "the outputs of these two layers are added (at most a normalisation is between), and an addition passes one "
        "gradient to all its inputs",
        "alike by construction: both feed one addition",
    ),
    ALIKE[POOLED]: Kind(
        "only normalisation, activation and pooling are between this layer and the head, so its gradient is that of "
        "the head, spread over the positions",
        "alike by construction: only a pooling is between them",
    ),
}
"""Kinds of rows, in the order in which they are shown: the most urgent first."""
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
        if not recording.signals and not recording.plan.groups:
            return None
        rows = [
            row
            for select in (_pairs, _branches_and_forks, _along_time, _outliers)
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
        falling = kind in (DUPLICATED_PAIR, *ALIKE.values(), "exploding signal", "exploding along time")
        kept = rows.sort_values("value", ascending=not falling, kind="stable").head(self.most)
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


def _along_time(recording: Recording) -> list[dict[str, object]]:
    """Return one row for each recurrence that vanishes or explodes: the layer of its cell that does so most."""
    rows: dict[tuple[str, int], list[tuple[float, Steps, float]]] = {}
    for steps in steps_of(recording):
        value = float(steps.relative[0])
        kind = (
            "exploding along time"
            if value > OUTLYING
            else "vanishing along time"
            if value < 1 / OUTLYING
            else ""
        )
        if kind:
            strength = abs(np.log10(value)) if value else np.inf
            rows.setdefault((kind, steps.probe.loop), []).append((strength, steps, value))
    strongest = [(kind, max(found, key=lambda entry: entry[0])) for (kind, _), found in rows.items()]
    return [
        _row(kind, steps.signal.stage, steps.signal.name, against(steps.probe), value)
        for kind, (_, steps, value) in strongest
    ]


def _outliers(recording: Recording) -> list[dict[str, object]]:
    table = Flow()(recording)
    if table is None:
        return []
    signals = table.frame[table.frame["role"] == "signal"]
    rows = [
        _row("dead signal", row["stage"], row["signal"], "", 0.0)
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
