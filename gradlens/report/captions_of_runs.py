"""Captions of the tables of whole runs: networks and strategies compared, training, cost, exactness."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gradlens.catalogue import CLEAR, HEADLINES, QUALITIES
from gradlens.graph.stage_order import LOSS
from gradlens.numbers import fixed, format_cell, percent
from gradlens.plots import order
from gradlens.report.clauses import per_network, sentence, stage_name


def strategies(frame: pd.DataFrame) -> str:
    """Report duplication, mean similarity, cost and accuracy of each whole network."""
    whole = frame[frame["stage"].astype(str) == "whole"].set_index("network")
    column = order.duplication_column(whole)
    symbol = order.duplication_title(whole)
    clauses = []
    for name, row in whole.iterrows():
        text = f"{name}: {symbol}: {format_cell(float(row[column]))}"
        if np.isfinite(row.get(f"{column}_given_loss", np.nan)):
            text += f" ({format_cell(float(row[f'{column}_given_loss']))} given the loss)"
        if np.isfinite(row.get("mean_similarity", np.nan)):
            text += f", mean similarity {format_cell(float(row['mean_similarity']))}"
        if np.isfinite(row.get("flops", np.nan)):
            text += f" at {format_cell(float(row['flops']), 'flops')} FLOPs per image"
        for quality, words in QUALITIES.items():
            if np.isfinite(row.get(quality, np.nan)):
                text += f", {percent(row[quality], 1)} {words} on held-out samples"
        clauses.append(text)
    return sentence(clauses)


def effects(frame: pd.DataFrame) -> str:
    """Report the effects of each strategy on the duplication of the whole network."""
    whole = frame[(frame["stage"].astype(str) == "whole") & (frame["metric"] == HEADLINES[0])]
    clauses = []
    for strategy, rows in whole.groupby("strategy", sort=False):
        parts = (
            f"{effect} {fixed(difference, 3, sign=True)} ({fixed(low, 3, sign=True)} to {fixed(high, 3, sign=True)})"
            for effect, difference, low, high in rows[["effect", "difference", "low", "high"]].itertuples(
                index=False
            )
        )
        clauses.append(f"{strategy}, effect on D_m, m = {rows['m'].iloc[0]:.0f}: {', '.join(parts)}")
    return sentence(clauses)


def differences(frame: pd.DataFrame) -> str:
    """Report the number of pairs that differ, by quantity."""
    whole = frame[frame["stage"].astype(str) == "whole"]
    clauses = []
    for metric, rows in whole.groupby("metric", sort=False):
        clear = rows[rows["p_holm"] < CLEAR]
        name = str(metric).replace("_", " ")
        clauses.append(f"{name}: {len(clear)} of {len(rows)} pairs differ after Holm's correction")
    return sentence(clauses)


def trajectory(frame: pd.DataFrame) -> str:
    """Report D and accuracy at the first and the last measured step, and where the bands of intervals end."""
    text = per_network(_change)(frame)
    if len(frame["seed"].unique()) < 2:
        return text
    return (
        text
        + " Bands: 95 % t intervals over seeds, cut off at 0 (of a loss on a log axis, at its lower end) and 1."
    )


def _change(network: str, rows: pd.DataFrame) -> str:
    """Report D and accuracy at the first and the last measured step."""
    mean = rows.groupby("step")[order.duplication_column(rows)].mean()
    symbol = order.duplication_title(rows)
    text = (
        f"{network}: {symbol}: from {format_cell(float(mean.iloc[0]))} to {format_cell(float(mean.iloc[-1]))}"
    )
    for quality, words in QUALITIES.items():
        if quality in rows and rows[quality].notna().any():
            means = rows.groupby("step")[quality].mean()
            text += f", {words} from {percent(means.iloc[0], 1)} to {percent(means.iloc[-1], 1)}"
    return text + f" in {mean.index[-1]} steps"


def learning(frame: pd.DataFrame) -> str:
    """Report Pearson's correlation of each quantity with accuracy or average precision."""
    pearson = frame[(frame["coefficient"] == "pearson") & frame["value"].notna()]
    clauses = []
    for _, row in pearson.iterrows():
        value, low, high = (fixed(row[name], 2, sign=True) for name in ("value", "low", "high"))
        name = str(row["metric"]).replace("_", " ")
        quality = QUALITIES[str(row.get("quality", "accuracy"))]
        clauses.append(f"{name} and {quality} over {row['over']}: r = {value}, 95 % interval {low} to {high}")
    return sentence(clauses)


def cost(network: str, rows: pd.DataFrame) -> str:
    """Report FLOPs and parameters of a network, and the stage with most FLOPs."""
    rows = rows.set_index(rows["stage"].astype(str))
    stages, text = rows.drop("whole", errors="ignore")["flops"].astype(float).dropna(), network
    if "whole" in rows.index:
        whole = rows.loc[["whole"]].iloc[0]
        text += f": {format_cell(float(whole['flops']), 'flops')} FLOPs per image"
        text += f" and {format_cell(float(whole['parameters']), 'parameters')} parameters"
    if stages.sum() > 0:
        text += f", most FLOPs at {stage_name(stages.idxmax())} ({percent(stages.max() / stages.sum())})"
    return text


def throughput(network: str, rows: pd.DataFrame) -> str:
    """Report the images per second of each pass."""
    speeds = [
        f"{format_cell(float(speed))} images per second {name}"
        for name, speed in zip(rows["pass"], rows["images_per_second"], strict=True)
    ]
    return f"{network}: {', '.join(speeds)}"


def exactness(frame: pd.DataFrame) -> str:
    """Report the error of the sums of contributions."""
    worst = frame["error"].max()
    stages = frame["stage"] if "stage" in frame else pd.Series("", frame.index)  # older runs have none
    in_loss = stages.astype(str) == LOSS
    inside = " and inside the loss" if in_loss.any() else ""
    text = f"At {(~in_loss).sum()} forks{inside} the contributions add up to the accumulated gradient"
    text += " bit for bit" if worst == 0 else f" to within {format_cell(float(worst))} relative"
    return sentence(
        [text + f" (projected, on every batch: {format_cell(float(frame['projected_error'].max()))})"]
    )
