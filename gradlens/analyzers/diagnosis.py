"""Where to look: the most duplicated pairs, idle branches, cancelling forks, dead and outlying signals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from gradlens.analyzers.branches import Shares
from gradlens.analyzers.correlation import Correlation
from gradlens.analyzers.flow import Flow
from gradlens.analyzers.replicates import REACH
from gradlens.graph.stages import HEAD
from gradlens.recording import Recording
from gradlens.results import Table

COPY = 1 - 1e-9
"""CKA above which two signals are one gradient: an addition hands one buffer to all it adds."""
IDLE = 0.01
CANCEL = 0.5
ALIKE = 0.5
"""CKA from which on a pair is called duplicated."""
OUTLYING = 100.0

MEANINGS = {
    "duplicated pair": (
        f"the gradients of these two layers are alike (CKA, energy, of {ALIKE:g} or more; 1 are copies); given the "
        "loss tells what is left when what the loss forces on both is taken out"
    ),
    "one gradient": "the very same gradient up to a factor, as layers receive whose outputs are added",
    "idle branch": f"brings less than {IDLE:.0%} of the energy that arrives at its fork or split",
    "cancelling fork": (
        f"the contributions cancel: what is left is less than {CANCEL:g} of their energy (1 where they are "
        "unrelated)"
    ),
    "dead signal": "exactly zero in every sample: the layer learns nothing at this state of the weights",
    "exploding signal": f"RMS an element above {OUTLYING:g} times the median of the live signals before the pooling",
    "vanishing signal": f"RMS an element below 1/{OUTLYING:g} of the median of the live signals before the pooling",
}
"""What each kind of line means, in the order in which they are shown."""


@dataclass(frozen=True)
class Diagnosis:
    """Places that stand out, a row a place, the strongest of a kind first.

    Attributes:
        most: rows of a kind.
    """

    most: int = 50

    def __call__(self, recording: Recording) -> Table | None:
        """The table; empty where nothing stands out, None where nothing was watched."""
        if not recording.plan.signals and not recording.plan.groups:
            return None
        rows = [row for find in (_pairs, _branches_and_forks, _signals) for row in find(recording)]
        frame = pd.DataFrame(
            rows, columns=["kind", "stage", "place", "other", "value", "reach", "given_loss"]
        )
        kept = [self._ranked(frame, kind) for kind in MEANINGS]
        ranked = pd.concat(kept, ignore_index=True)
        ranked.insert(0, "network", recording.name)
        return Table(
            "diagnosis",
            ranked,
            "Places that stand out, the strongest of each kind first.",
            how=". ".join(f"{kind.capitalize()}: {text}" for kind, text in MEANINGS.items()) + f". {REACH}",
            units={"value": "CKA, share, coherence, or RMS over the median, by kind"},
        )

    def _ranked(self, frame: pd.DataFrame, kind: str) -> pd.DataFrame:
        own = frame[frame["kind"] == kind]
        falling = kind in ("duplicated pair", "exploding signal")
        own = own.sort_values("value", ascending=not falling, kind="stable").head(self.most)
        own = own.assign(found=int((frame["kind"] == kind).sum()))
        own.insert(1, "rank", range(1, len(own) + 1))
        return own


def _row(
    kind: str,
    stage: object,
    place: str,
    other: str,
    value: float,
    reach: float = np.nan,
    given: float = np.nan,
) -> dict[str, Any]:
    return {
        "kind": kind, "stage": str(stage), "place": place, "other": other, "value": float(value),
        "reach": float(reach), "given_loss": float(given),
    }  # fmt: skip


def _pairs(recording: Recording) -> list[dict[str, Any]]:
    table = Correlation()(recording)
    if table is None:
        return []
    live = table.frame[table.frame["energy"] >= ALIKE]
    return [
        _row(
            "one gradient" if row["energy"] >= COPY else "duplicated pair",
            row["stage_a"] if row["stage_a"] == row["stage_b"] else f"{row['stage_a']}, {row['stage_b']}",
            row["signal_a"],
            row["signal_b"],
            row["energy"],
            row["energy_reach"],
            row["energy_given_loss"],
        )
        for row in live.to_dict("records")
    ]


def _branches_and_forks(recording: Recording) -> list[dict[str, Any]]:
    table = Shares()(recording)
    if table is None:
        return []
    idle = table.frame[(table.frame["share"] < IDLE) & (table.frame["where"] != "merge")]
    forks = table.frame[table.frame["where"] == "fork"].drop_duplicates("site")
    found = [
        _row("idle branch", row["stage"], row["site"], row["branch"], row["share"], row["share_reach"])
        for row in idle.to_dict("records")
    ]
    return found + [
        _row("cancelling fork", row["stage"], row["site"], "", row["coherence"], row["coherence_reach"])
        for row in forks[forks["coherence"] < CANCEL].to_dict("records")
    ]


def _signals(recording: Recording) -> list[dict[str, Any]]:
    table = Flow()(recording)
    if table is None:
        return []
    own = table.frame[table.frame["role"] == "signal"]
    rows = [
        _row("dead signal", row["stage"], row["signal"], "", 0.0)
        for row in own[own["dead"]].to_dict("records")
    ]
    live = own[~own["dead"].astype(bool) & (own["rms"] > 0) & (own["stage"] != HEAD)]
    middle = float(live["rms"].median()) if len(live) else float("nan")
    for row in live.to_dict("records"):
        ratio = row["rms"] / middle
        kind = "exploding signal" if ratio > OUTLYING else "vanishing signal" if ratio < 1 / OUTLYING else ""
        if kind:
            rows.append(_row(kind, row["stage"], row["signal"], "", ratio))
    return rows
