"""The order in which networks, stages and places appear, read from a frame."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

LAST = ("head", "whole")


def networks(frame: pd.DataFrame) -> list[str]:
    """Display names in order of appearance."""
    if frame.empty or "network" not in frame:
        return []  # a table without rows may also have no columns
    return [str(name) for name in frame["network"].drop_duplicates()]


def panels(frame: pd.DataFrame) -> int:
    """Networks of a frame, or pairs of networks where a row is about two."""
    if "network_a" in frame:
        return len(frame[["network_a", "network_b"]].drop_duplicates())
    return len(networks(frame))


def of_network(frame: pd.DataFrame, network: str) -> pd.DataFrame:
    """The rows of one network, numbered anew."""
    return frame[frame["network"].astype(str) == network].reset_index(drop=True)


def stages(names: Iterable[object]) -> list[str]:
    """Distinct stages: output strides upwards, then block names as they come, head, whole.

    >>> stages(["whole", "16", "head", "4", "4"])
    ['4', '16', 'head', 'whole']
    """
    seen = list(dict.fromkeys(str(name) for name in names))
    strides = sorted((name for name in seen if name.isdigit()), key=int)
    blocks = [name for name in seen if not name.isdigit() and name not in LAST]
    return strides + blocks + [name for name in LAST if name in seen]


def stage_axis(names: Iterable[object]) -> str:
    """The label of an axis of stages, with its unit where they are output strides.

    Blocks of a sequence have numbers as names, too; a stride is a power of two.

    >>> stage_axis(["4", "8", "head"]), stage_axis(["blocks.0", "head"]), stage_axis(["0", "1", "2"])
    ('stage (output stride)', 'stage', 'stage')
    """
    named = [str(name) for name in names if str(name) not in LAST]
    strides = bool(named) and all(name.isdigit() and int(name).bit_count() == 1 for name in named)
    return "stage (output stride)" if strides else "stage"
