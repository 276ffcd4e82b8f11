"""The ledger of losses in brief: a row per stage, a column per loss, and the pair of losses that conflicts most."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from gradlens.catalogue.losses import AND, LOSSES_OF, SHARE_OF
from gradlens.errors import GradlensError
from gradlens.results.table import Table

LEDGER, CONFLICTS = "losses", "conflicts"
"""Tables with the share of each loss, and with the conflict of each pair."""
PLACES = ["network", "stage"]
PAIR, CONFLICT = "most in conflict", "samples in conflict"
"""Columns of the pair of losses that conflicts most."""


def names_of_losses(frames: Iterable[pd.DataFrame]) -> tuple[str, ...]:
    """Return the names of the losses in frames with a column ``loss``, in order of appearance."""
    names = (str(name) for frame in frames if "loss" in frame for name in frame["loss"].drop_duplicates())
    return tuple(dict.fromkeys(names))


def name_losses(tables: Mapping[str, Table]) -> None:
    """Store the names of all losses in the frames of the tables of losses, for the colours of plots."""
    names = names_of_losses(table.frame for name, table in tables.items() if name == LEDGER)
    for table in tables.values() if names else ():
        if not table.frame.columns.intersection(["loss", "loss_a"]).empty:
            table.frame.attrs[LOSSES_OF] = names


def ledger(tables: Mapping[str, Table]) -> Table:
    """Return the share of each loss by stage, one row per network and stage.

    Raises:
        GradlensError: the tables are of one loss.
    """
    if LEDGER not in tables or tables[LEDGER].frame.empty:
        raise GradlensError(
            "this result is of one loss, so it has no ledger; measure a step that returns several losses by name, or "
            "capture with losses={...}, and by_loss=True"
        )
    stages = _of_stages(tables[LEDGER].frame)
    names = names_of_losses([stages])
    columns = ["share", *(end for end in ("share_low", "share_high") if end in stages)]
    wide = stages.pivot_table(columns, PLACES, "loss", sort=False, dropna=False, observed=True)
    frame = pd.DataFrame(
        {
            f"{SHARE_OF}{name}{column.removeprefix('share')}": wide[column, name]
            for name in names
            for column in columns
            if (column, name) in wide
            and (column == "share" or f"{name}{column.removeprefix('share')}" not in names)
        }
    ).dropna(how="all")
    if CONFLICTS in tables and not tables[CONFLICTS].frame.empty:
        frame = frame.join(_most_in_conflict(_of_stages(tables[CONFLICTS].frame)))
    units = {**{f"{SHARE_OF}{name}": "of the energy, 0 to 1" for name in names}, CONFLICT: "0 to 1"}
    return Table(
        "ledger",
        frame.reset_index(),
        "Share of each loss in the energy of the gradient by stage, and the pair of losses that conflicts most.",
        how="From the tables losses and conflicts: a sample is in conflict where the cosine of two losses is below 0.",
        units=units,
    )


def _of_stages(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of stages, whose name is in ``where``."""
    rows = frame[frame["level"].astype(str) == "stage"]
    return rows.assign(stage=rows["where"].astype(str))


def _most_in_conflict(stages: pd.DataFrame) -> pd.DataFrame:
    """Return, by network and stage, the pair with most samples in conflict, their share and its interval."""
    known = stages.dropna(subset=["conflict"])
    most = known.loc[known.groupby(PLACES, sort=False, observed=True)["conflict"].idxmax()]
    pairs = [f"{a}{AND}{b}" for a, b in zip(most["loss_a"], most["loss_b"], strict=True)]
    renamed = {f"conflict{end}": f"{CONFLICT}{end}" for end in ("", "_low", "_high")}
    named = most.assign(**{PAIR: pairs}).set_index(PLACES).rename(columns=renamed)
    return named[[name for name in (PAIR, *renamed.values()) if name in named]]
