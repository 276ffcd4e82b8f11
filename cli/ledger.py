"""The ledger of several losses on stdout: the share of each loss by stage, and where two losses conflict most."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping
from typing import TYPE_CHECKING

from gradlens.catalogue.losses import SHARE_OF
from gradlens.numbers import DASH, TERMINAL, format_number, percent

from .cells import number
from .layout import WHOLE, Block, Row

if TYPE_CHECKING:
    from gradlens.results import Result

HEAD = "share of energy"
SEVERAL = 2
"""Largest number of networks that stand side by side in a cell; of more, each has a row for its whole network."""


def ledger_blocks(result: Result) -> list[Block]:
    """Return the table of a result of several losses, one row per stage; no table for one loss."""
    from gradlens.results.ledger import CONFLICT

    if "losses" not in result.tables or result.tables["losses"].frame.empty:
        return []
    table = result.losses
    names = [name for name in table.units if name != CONFLICT]
    heads = [name.removeprefix(SHARE_OF) for name in names]
    rows = {(str(row["network"]), str(row["stage"])): row for row in table.frame.to_dict("records")}
    networks = list(dict.fromkeys(network for network, _ in rows))
    stages = list(dict.fromkeys(stage for _, stage in rows))
    if len(networks) > SEVERAL:
        stages = [WHOLE if WHOLE in stages else stages[-1]]
        lines = [[network, *_cells([rows.get((network, stages[0]), {})], names)] for network in networks]
        return [Block([f"{HEAD} ({stages[0]})", *heads], lines)]
    return [
        Block(
            [HEAD, *heads],
            [
                [stage, *_cells([rows.get((network, stage), {}) for network in networks], names)]
                for stage in stages
            ],
        )
    ]


def along_training(result: Result) -> list[Block]:
    """Return the shares of the whole network at the first and the last measured step, one row per network."""
    if "losses_along" not in result.tables or result.tables["losses_along"].frame.empty:
        return []
    frame = result.tables["losses_along"].frame
    whole = frame[frame["stage"].astype(str) == WHOLE]
    shares = whole.set_index(["network", "loss", "step"])["share"].to_dict()
    first, last = (int(step) for step in (whole["step"].min(), whole["step"].max()))
    losses = [str(name) for name in dict.fromkeys(whole["loss"])]
    rows = [
        [
            str(name),
            *(f"{_at(shares, name, loss, first)} to {_at(shares, name, loss, last)}" for loss in losses),
        ]
        for name in dict.fromkeys(whole["network"])
    ]
    return [Block([f"{HEAD}, step {first} to {last}", *losses], rows)]


def _at(shares: Mapping[Hashable, float], network: str, loss: str, step: int) -> str:
    return format_number(shares.get((network, loss, step), math.nan), "ratio", TERMINAL)


def _cells(rows: list[Row], names: list[str]) -> Iterator[str]:
    """Yield a cell per loss: the shares of all networks, that of one network with half of its interval."""
    for name in names:
        texts = [_share(row, name, alone=len(rows) == 1) for row in rows]
        yield " | ".join(texts) if any(text != DASH for text in texts) else DASH


def _share(row: Row, name: str, *, alone: bool) -> str:
    value, low, high = (number(row.get(f"{name}{end}")) for end in ("", "_low", "_high"))
    text = format_number(value, "ratio", TERMINAL)
    if not alone or math.isnan(low) or low == high:
        return text
    return f"{text} ± {format_number((high - low) / 2, 'ratio', TERMINAL)}"


def conflict_lines(result: Result) -> Iterator[str]:
    """Yield, for each network, the stage and the pair of losses with most samples in conflict."""
    from gradlens.results.ledger import CONFLICT, PAIR

    if "losses" not in result.tables or "conflicts" not in result.tables:
        return
    frame = result.losses.frame
    if CONFLICT not in frame:
        return
    parts = frame[(frame["stage"] != WHOLE) & frame[CONFLICT].notna()]
    several = parts["network"].nunique() > 1
    for network, rows in parts.groupby("network", sort=False):
        most = max(rows.to_dict("records"), key=lambda row: float(row[CONFLICT]))
        stage = f"stage {most['stage']}" if str(most["stage"]).isdigit() else most["stage"]
        of = f" of {network}" if several else ""
        half = (number(most.get(f"{CONFLICT}_high")) - number(most.get(f"{CONFLICT}_low"))) / 2
        within = "" if math.isnan(half) else f" ± {percent(half)}"
        yield f"{PAIR}{of}: {most[PAIR]} in {stage}, {percent(most[CONFLICT])}{within} of the samples"
