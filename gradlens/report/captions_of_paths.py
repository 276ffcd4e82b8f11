"""Captions of the tables of branches, paths and sources."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gradlens.numbers import fixed, format_cell, percent

CANCEL, AGREE = 0.9, 1.1  # coherence: below, branches cancel; above, they add up


def branches(network: str, rows: pd.DataFrame) -> str:
    """Report the median CKA between branches, and the site of the highest."""
    live = rows.dropna(subset=["energy"])
    if live.empty:
        return f"no pair of branches of {network} has a value"
    top = live.iloc[int(live["energy"].argmax())]
    return (
        f"{network}: median CKA {format_cell(live['energy'].median())} between branches"
        f" ({format_cell(live['energy_given_loss'].median())} given the loss), highest at {top['site']}"
        f" ({top['branch_a']} and {top['branch_b']}, {format_cell(float(top['energy']))})"
    )


def shares(network: str, rows: pd.DataFrame) -> str:
    """Report the mean energy share of each branch, and the number of sites at which branches add up or cancel."""
    mean = rows.groupby("branch", sort=False)["share"].mean().dropna()
    named = [f"{name} {percent(value)}" for name, value in mean.items()] if len(mean) <= 6 else []
    value = rows.drop_duplicates(["stage", "site", "where"])["coherence"].dropna()
    add, cancel = int((value > AGREE).sum()), int((value < CANCEL).sum())
    text = f"{network}: " + (f"mean share of the energy {', '.join(named)}; " if named else "")
    span = f"; coherence {fixed(value.min(), 3)} to {fixed(value.max(), 3)}" if len(value) else ""
    return text + (
        f"the branches add up at {add} of {len(value)} sites (coherence above {AGREE})"
        f" and cancel at {cancel} (below {CANCEL}){span}"
    )


def structure(network: str, rows: pd.DataFrame) -> str:
    """Report the structural duplication of the whole network."""
    whole = rows[rows["stage"].astype(str) == "whole"].iloc[0]
    share = format_cell(float(whole["structural_duplication"]))
    return (
        f"{network}: the gradient sources of two layers overlap by {share} on average,"
        f" with {whole['timestamp_combinations']} combinations of timestamps in {whole['layers']} layers"
    )


def paths(network: str, rows: pd.DataFrame) -> str:
    """Report the number and lengths of the paths to the first layer."""
    first = rows.iloc[0]
    if first["paths"] == 1:
        length = int(first["longest"])
        return f"{network}: the only path from the loss to {first['layer']} has {length} layer{'s' * (length != 1)}"
    text = f"{network}: {_count(int(first['paths']))} paths lead from the loss to {first['layer']}, of"
    text += f" {first['shortest']} to {first['longest']} layers, {first['mean_length']:.1f} on average"
    if np.isfinite(first["effective_length"]):
        text += f" and {first['effective_length']:.1f} weighted by energy"
    return text


def _count(value: int) -> str:
    return str(value) if value < 10**6 else f"{value:.2e}".replace("e+", "e")


def path_lengths(network: str, rows: pd.DataFrame) -> str:
    """Report the path length with most energy, and the most common path length."""
    first = rows[rows["order"] == rows["order"].min()]
    if first["energy_share"].isna().all():
        return f"{network}: the energy along the paths is not known"
    top = first.loc[first["energy_share"].idxmax()]
    common = first.loc[first["share"].idxmax()]
    return (
        f"{network}: the most frequent length is {common['length']} layers ({percent(common['share'])} of paths);"
        f" paths of {top['length']} layers carry the most energy ({percent(top['energy_share'])})"
    )


def reuse(network: str, rows: pd.DataFrame) -> str:
    """Report the number of layers that read several sources, and the energy share of the nearest source."""
    readers = rows.groupby("layer")["source"].nunique()
    several = rows[rows["layer"].isin(readers[readers > 1].index)]
    nearest = several.loc[several.groupby("layer")["order_source"].idxmax()]
    return (
        f"{network}: {int((readers > 1).sum())} layers read several sources; the nearest source has"
        f" {percent(nearest['share'].mean())} of the energy of their weight gradient on average"
    )
