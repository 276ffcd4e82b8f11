"""The functions that compute the quantities of the catalogue, and their columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import numpy as np
import pandas as pd

from gradlens.catalogue import quantities_with
from gradlens.catalogue.named import named
from gradlens.recording import Recording

Measure = Callable[[Recording], Mapping[str, float]]
"""From a recording to a value by stage."""


def measures(table: str, *, fixed: bool = False) -> dict[str, Measure]:
    """Return the measures of the quantities of a table, by name.

    Args:
        table: that has them as columns.
        fixed: those that are the same for every seed, instead of those that vary.
    """
    return {
        quantity.name: cast(Measure, named(f"gradlens.analyzers.{quantity.measure}"))
        for quantity in quantities_with(table, fixed=fixed)
        if quantity.measure
    }


def add_measured(frame: pd.DataFrame, recording: Recording, table: str) -> None:
    """Add the columns of a table that vary over seeds and that ``frame`` lacks, in place.

    Args:
        frame: indexed by (stage, seed).
        recording: of all seeds.
        table: whose quantities are added.
    """
    added = {name: measure for name, measure in measures(table).items() if name not in frame}
    for seed in recording.seeds:
        replicates = recording.of_seed(seed)
        for name, measure in added.items():
            values = measure(replicates)
            for stage in frame.index.get_level_values("stage").unique():
                frame.loc[(stage, seed), name] = values.get(stage, np.nan)


def add_fixed(frame: pd.DataFrame, recording: Recording, table: str) -> None:
    """Add the columns of a table that are the same for every seed, in place; arguments as in ``add_measured``."""
    for name, measure in measures(table, fixed=True).items():
        values = measure(recording)
        frame[name] = [values.get(stage, np.nan) for stage, _ in frame.index]
