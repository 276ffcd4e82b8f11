"""Captions of the tables of signals: their duplication, correlation and flow."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gradlens.analyzers.kinds import OUTLYING
from gradlens.catalogue.versions import ENERGY, ENERGY_GIVEN_LOSS
from gradlens.graph.stage_order import HEAD
from gradlens.numbers import format_cell
from gradlens.plots import order
from gradlens.plots.flow import is_live
from gradlens.report.clauses import sentence, stage_name


def duplication(network: str, rows: pd.DataFrame) -> str:
    """Report D of the whole network, and the stages of the highest and lowest."""
    rows = rows.assign(stage=rows["stage"].astype(str))
    mean = rows.groupby(["version", "stage"], sort=False)[order.duplication_column(rows)].mean()
    energy = mean.get(ENERGY.label, pd.Series(dtype=float)).dropna()
    if energy.empty:
        return f"{network} has no stage with two live signals"
    stages = energy.drop("whole", errors="ignore")
    whole = rows[(rows["stage"] == "whole") & (rows["version"] == ENERGY.label)]
    text = network
    if "whole" in energy:
        title = order.duplication_title(whole)
        text += f": {title}: {format_cell(energy['whole'])} over the whole network"
    partial = mean.get((ENERGY_GIVEN_LOSS.label, "whole"), np.nan)
    if np.isfinite(partial):
        text += f" ({format_cell(partial)} given the loss)"
    if "mean_similarity" in rows:
        rows = rows[(rows["version"] == ENERGY.label)].dropna(subset=["mean_similarity"])
        stages = rows.groupby("stage", sort=False)["mean_similarity"].mean().drop("whole", errors="ignore")
        text += f"; mean similarity {format_cell(whole['mean_similarity'].mean())}"
    if len(stages) > 1:
        text += (
            f", highest at {stage_name(stages.idxmax())} ({format_cell(stages.max())})"
            f" and lowest at {stage_name(stages.idxmin())} ({format_cell(stages.min())})"
        )
    return text


def rarefaction(network: str, rows: pd.DataFrame) -> str:
    """Report how many distinct signals the whole network has, and how many the last layer added."""
    whole = rows[(rows["stage"].astype(str) == "whole") & (rows["version"] == ENERGY.label)].sort_values("m")
    if len(whole) < 2:
        return f"{network} has no two live signals"
    m, number = (whole[name].to_numpy(float) for name in ("m", "n_eff"))
    added = (number[-1] - number[-2]) / (m[-1] - m[-2])
    return (
        f"{network}: {format_cell(float(number[-1]))} distinct signals among {m[-1]:.0f}; each further one adds "
        f"{format_cell(float(added))}"
    )


def lags(network: str, rows: pd.DataFrame) -> str:
    """Report the similarity of neighbours, and that of layers half the network apart."""
    whole = rows[(rows["stage"].astype(str) == "whole") & (rows["version"] == ENERGY.label)].sort_values(
        "lag"
    )
    if whole.empty:
        return f"{network} has no two live signals"
    far = whole.iloc[len(whole) // 2]
    return (
        f"{network}: mean similarity of neighbours {format_cell(float(whole['similarity'].iloc[0]))}, of layers "
        f"{far['lag']:.0f} apart {format_cell(float(far['similarity']))}"
    )


def correlation(network: str, rows: pd.DataFrame) -> str:
    """Report the mean CKA of the pairs of signals, within and across stages."""
    live = rows.dropna(subset=["energy"])
    if live.empty:
        return f"{network} has no two live signals"
    same = live["stage_a"].astype(str) == live["stage_b"].astype(str)
    text = f"{network}: mean CKA {format_cell(live['energy'].mean())} over {len(live)} pairs of signals"
    if same.any() and not same.all():
        within, across = live.loc[same, "energy"].mean(), live.loc[~same, "energy"].mean()
        text += f", {format_cell(within)} within a stage and {format_cell(across)} across stages"
    return text


def cross(frame: pd.DataFrame) -> str:
    """Report for each pair of networks how often the most similar layers are in the same stage."""
    pairs = frame.groupby(["network_a", "network_b"], sort=False)
    text = sentence(_pair(str(names[0]), str(names[1]), rows) for names, rows in pairs)
    return text[:1].upper() + text[1:]


def _pair(a: str, b: str, rows: pd.DataFrame) -> str:
    live = rows.dropna(subset=["energy"])
    if live.empty:
        return f"no two layers of {a} and {b} have a value"
    best = live.loc[live.groupby("order_a")["energy"].idxmax()]
    same = best["stage_a"].astype(str) == best["stage_b"].astype(str)
    return (
        f"the layer of {b} most similar to a layer of {a} is in the same stage for {int(same.sum())} of"
        f" {len(best)} layers; mean CKA {format_cell(live['energy'].mean())} over all pairs"
    )


def flow(network: str, rows: pd.DataFrame) -> str:
    """Report how much of the gradient the first layer receives beside the last, and dead, tiny and huge signals."""
    rows = rows[rows["role"] == "signal"] if "role" in rows else rows
    live = rows[is_live(rows)]
    before = live[live["stage"].astype(str) != HEAD]
    before = live if len(before) < 2 else before
    if len(before) < 2:
        text = f"{network}: too few live signals to compare"
    else:
        first, last = (before.iloc[int(end(before["depth"]))] for end in (np.argmin, np.argmax))
        where = " before the head" if len(before) < len(live) else ""
        text = (
            f"{network}: the first layer ({first['signal']}) receives"
            f" {_times(float(first['rms'] / last['rms']))} what the last one{where} ({last['signal']}) does"
        )
    outlying = before["rms"] / before["rms"].median()
    counts = {
        f"exploding (over {OUTLYING:g} times the median)": int((outlying > OUTLYING).sum()),
        f"vanishing (below 1/{OUTLYING:g} of the median)": int((outlying < 1 / OUTLYING).sum()),
        "dead": len(rows) - len(live),
    }
    parts = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    return text + (f", with {parts} of {len(rows)} signals" if parts else "")


def _times(ratio: float) -> str:
    """Return a ratio in the words of a sentence.

    >>> _times(860.2), _times(1 / 860), _times(1.27), _times(1.0), _times(0.4)
    ('860 times', '1/860 of', '1.3 times', 'as much as', '1/2.5 of')
    """
    if 1 / 1.05 < ratio < 1.05:
        return "as much as"
    larger = max(ratio, 1 / ratio)
    number = (
        f"{larger:.2g}"
        if larger < 10
        else format_cell(float(f"{larger:.3g}"))
        if larger >= 10**6
        else f"{larger:,.0f}"
    )
    return f"{number} times" if ratio > 1 else f"1/{number} of"
