"""Captions of the tables of several losses: their ledger, their conflict, duplication given each, and cost."""

from __future__ import annotations

import pandas as pd

from gradlens.analyzers.signals import WHOLE
from gradlens.catalogue.losses import ALL, BACKBONE
from gradlens.numbers import fixed, format_cell, percent
from gradlens.plots.conflicts import HALF, signals_only
from gradlens.plots.losses import stages_only
from gradlens.report.clauses import sentence, stage_name

QUANTITY = "rarefied_duplication"


def ledger(network: str, rows: pd.DataFrame) -> str:
    """Report the share of each loss in the whole network, and in which stages the largest one has most and least."""
    shares = by_stage(rows)
    stages = shares.drop(WHOLE, errors="ignore")
    if stages.empty:
        return f"{network}: no stage has a share"
    named = WHOLE in shares.index
    drawn = shares[shares.index == WHOLE] if named else stages
    whole = {str(loss): float(share) for loss, share in drawn.mean().dropna().items()}
    parts = ", ".join(f"{loss} {percent(share)}" for loss, share in whole.items())
    text = f"{network}: {parts} of the energy{'' if named else ', mean over stages'}"
    main = max(whole, key=whole.__getitem__)
    values = {str(stage): float(share) for stage, share in stages[main].dropna().items()}
    if len(values) < 2:
        return text
    top, bottom = max(values, key=values.__getitem__), min(values, key=values.__getitem__)
    return (
        f"{text}; {main} from {percent(values[bottom])} ({stage_name(bottom)})"
        f" to {percent(values[top])} ({stage_name(top)})"
    )


def by_stage(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the share of each loss, one row per stage and one column per loss, both in the order of the table."""
    drawn = stages_only(rows)
    shares = drawn.pivot_table("share", drawn["where"].astype(str), "loss", sort=False, dropna=False)
    return shares.dropna(how="all").astype(float)


def conflicts(network: str, rows: pd.DataFrame) -> str:
    """Report each pair's mean cosine, and at how many signals more than half of the samples are in conflict."""
    signals = signals_only(rows).dropna(subset=["cosine"])
    clauses = []
    for (a, b), pair in signals.groupby(["loss_a", "loss_b"], sort=False):
        most = int((pair["conflict"].astype(float) > HALF).sum())
        cosine = fixed(float(pair["cosine"].astype(float).mean()), 2, sign=True)
        clauses.append(
            f"{a} and {b}: mean cosine {cosine}, more than half of the samples in conflict at {most} of {len(pair)}"
            " signals"
        )
    return f"{network}: " + ("; ".join(clauses) or "no signal has two live losses")


def duplication(network: str, rows: pd.DataFrame) -> str:
    """Report the duplication of the whole network as measured, and given each loss."""
    whole = rows[rows["stage"].astype(str) == WHOLE]
    by_loss = whole.groupby(whole["loss"].astype(str), sort=False)
    measured, given = (
        {str(loss): float(value) for loss, value in by_loss[column].mean().dropna().items()}
        for column in (QUANTITY, f"{QUANTITY}_given")
    )
    if ALL not in measured:
        return f"{network}: no two live signals"
    text = f"{network}: D_m {format_cell(measured[ALL])} over the whole network"
    parts = [
        f"{format_cell(value)} given {'all losses' if loss == ALL else loss}" for loss, value in given.items()
    ]
    return f"{text}; {', '.join(parts)}" if parts else text


def efficiency(frame: pd.DataFrame) -> str:
    """Report FLOPs and images per second of backbone and whole network."""
    clauses = []
    for network, rows in frame.groupby("network", sort=False):
        values = rows[rows["loss"] == ""].set_index(["quantity", "part"])["value"].astype(float)
        parts = [
            f"{format_cell(values[key], quantity)} {unit}{' in the backbone' if part == BACKBONE else ''}"
            for quantity, unit in (("flops", "FLOPs per image"), ("images_per_second", "images per second"))
            for part in (WHOLE, BACKBONE)
            if (key := (quantity, part)) in values.index and pd.notna(values[key])
        ]
        if (QUANTITY, WHOLE) in values.index:
            parts.append(f"D_m {format_cell(float(values[QUANTITY, WHOLE]))}")
        clauses.append(f"{network}: {', '.join(parts)}")
    return sentence(clauses)
