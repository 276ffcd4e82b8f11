"""Caption of the table of the steps of recurrences."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gradlens.numbers import significant


def times(network: str, rows: pd.DataFrame) -> str:
    """Name the layer whose carried gradient changes most over its steps."""
    ends = rows.drop_duplicates("signal")
    known = ends[ends["carried"].notna()]
    if known.empty:
        return f"{network}: no recurrence carries a gradient from step to step."
    row = known.iloc[int(np.argmax([_distance(float(ratio)) for ratio in known["carried"]]))]
    factor = significant(float(row["carried"]))
    return (
        f"{network}: {row['signal']} carries {factor} times the gradient at step {row['steps']} back to step "
        f"{row['step']}."
    )


def _distance(ratio: float) -> float:
    return max(ratio, 1 / ratio) if ratio > 0 else float("inf")
