"""The order in which networks appear in a frame, and the labels of its columns."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from gradlens.graph.stage_order import Part, part_of


def networks(frame: pd.DataFrame) -> list[str]:
    """Return the display names in order of appearance."""
    if frame.empty or "network" not in frame:
        return []  # a table without rows may have no columns either
    return [str(name) for name in frame["network"].drop_duplicates()]


def panels(frame: pd.DataFrame) -> int:
    """Return the number of networks in a frame, or of pairs of networks if a row compares two."""
    if "network_a" in frame:
        return len(frame[["network_a", "network_b"]].drop_duplicates())
    return len(networks(frame))


def of_network(frame: pd.DataFrame, network: str) -> pd.DataFrame:
    """Return the rows of one network, with a new index."""
    return frame[frame["network"].astype(str) == network].reset_index(drop=True)


def duplication_column(frame: pd.DataFrame) -> str:
    """Return the column of a duplication that is drawn; runs of older versions have only D of all signals."""
    return "rarefied_duplication" if "rarefied_duplication" in frame else "duplication"


def duplication_title(frame: pd.DataFrame) -> str:
    """Return the symbol of the drawn duplication with its number of signals, if it is the same in all rows.

    >>> duplication_title(pd.DataFrame({"rarefied_duplication": [0.1, 0.2], "m": [16, 16]}))
    'D_m, m = 16'
    """
    if duplication_column(frame) == "duplication":
        return "D"
    sizes = set(frame["m"].dropna()) if "m" in frame else set()
    return f"D_m, m = {int(sizes.pop())}" if len(sizes) == 1 else "D_m"


def stage_axis(names: Iterable[object]) -> str:
    """Return the label of an axis of stages, with its unit if they are output strides.

    Names of blocks can be numbers, too; names count as strides only if all are powers of two.

    >>> stage_axis(["4", "8", "head"]), stage_axis(["blocks.0", "head"]), stage_axis(["0", "1", "2"])
    ('stage (output stride)', 'stage', 'stage')
    """
    named = [str(name) for name in names if part_of(str(name)) is Part.BACKBONE]
    strides = bool(named) and all(name.isdigit() and int(name).bit_count() == 1 for name in named)
    return "stage (output stride)" if strides else "stage"
