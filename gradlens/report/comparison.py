"""The comparison and the summary as a page shows them: rows of text, one block a metric."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from gradlens.numbers import MINUS, percent, shown
from gradlens.plots import order
from gradlens.results import Result

METRICS = {
    "duplication": "Duplication D, energy",
    "duplication_direction": "Duplication D, direction",
    "duplication_given_loss": "Duplication D, given the loss",
    "structural_duplication": "Duplication by structure (graph alone)",
    "n_eff_share": "Distinct signals, N_eff / L",
    "branch_correlation": "Correlation of branches",
    "split_correlation": "Bypass and dense way, at the split",
    "merge_correlation": "Bypass and dense way, at the merge",
    "flow_slope": "Flow slope (decades a layer)",
    "signals": "Signals",
    "dead_signals": "Dead signals",
    "flops": "FLOPs per image",
    "parameters": "Parameters",
    "traffic_elements": "Feature-map traffic per image (elements)",
    "bottleneck": "Largest layer / mean",
    "images_per_second": "Images a second, forward and backward",
    "accuracy": "Held-out accuracy",
    "loss": "Held-out loss",
}
BY_STAGE = (
    "duplication", "duplication_direction", "duplication_given_loss", "structural_duplication",
    "split_correlation", "merge_correlation", "flow_slope", "flops", "parameters", "traffic_elements",
)  # fmt: skip
RELATIVE = ("flops", "parameters", "traffic_elements")
DECIMALS = {"flow_slope": 4, "dead_signals": 1}


@dataclass(frozen=True)
class Row:
    """One line: a label, a cell a network, and the difference where two are compared.

    ``within`` is half of each cell's interval, as ``± 0.010``; empty where there is none.
    """

    label: str
    cells: tuple[str, ...]
    difference: str = ""
    interval: str = ""
    clear: bool = False
    within: tuple[str, ...] = ()


@dataclass(frozen=True)
class Overview:
    """The networks, the numbers of the whole network, and the same by stage for each metric.

    ``paired``: rows hold the difference of two networks.
    """

    networks: tuple[str, ...]
    whole: tuple[Row, ...]
    stages: dict[str, tuple[Row, ...]]
    paired: bool = True


def overview(result: Result) -> Overview | None:
    """The comparison (of two), the networks (of more) or the summary (of one) as text, or None."""
    meta = result.meta
    for name in ("strategies", "networks"):
        if name in result.tables and not result.tables[name].frame.empty:
            return _side_by_side(result.tables[name].frame)
    for name, keys in (("comparison", ("a", "b")), ("summary", ("a",))):
        if name in result.tables and not result.tables[name].frame.empty:
            frame = result.tables[name].frame
            places = order.stages(frame["stage"])
            by_stage = {str(row["stage"]): row for _, row in frame.iterrows()}
            suffixes = tuple(f"_{key}" for key in keys) if name == "comparison" else ("",)
            metrics = [key for key in METRICS if key + suffixes[0] in frame]
            whole = [_row(METRICS[m], by_stage[places[-1]], m, suffixes) for m in metrics]
            stages = {METRICS[m]: tuple(_row(p, by_stage[p], m, suffixes) for p in places) for m in metrics}
            networks = tuple(str(meta.get(key, key.upper())) for key in keys)
            return Overview(networks, tuple(whole), stages)
    return None


def _side_by_side(frame: pd.DataFrame) -> Overview:
    """Networks or strategies beside each other; which of them differ stands in a table of its own."""
    networks = tuple(order.networks(frame))
    places = order.stages(frame["stage"])
    cells = {(str(row["stage"]), str(row["network"])): row for _, row in frame.iterrows()}
    metrics = [metric for metric in METRICS if metric in frame]

    def line(label: str, place: str, metric: str) -> Row:
        found = [cells.get((place, network), pd.Series(dtype=float)) for network in networks]
        values = tuple(_cell(float(row.get(metric, math.nan)), metric) for row in found)
        return Row(label, values, within=tuple(_within(row, metric) for row in found))

    whole = tuple(line(METRICS[metric], places[-1], metric) for metric in metrics)
    stages = {METRICS[m]: tuple(line(place, place, m) for place in places) for m in metrics if m in BY_STAGE}
    return Overview(networks, whole, stages, paired=False)


def _row(label: str, values: pd.Series, metric: str, suffixes: tuple[str, ...]) -> Row:
    cells = tuple(_cell(values[metric + suffix], metric) for suffix in suffixes)
    if len(suffixes) < 2:
        return Row(label, cells, within=(_within(values, metric),))
    change, low, high = (
        float(values.get(f"{metric}_{part}", math.nan)) for part in ("difference", "low", "high")
    )
    text = _cell(change, metric, sign=True)
    if metric in RELATIVE and float(values[metric + suffixes[0]]) > 0 and math.isfinite(change):
        text += f" ({percent(change / float(values[metric + suffixes[0]]))})"
    if not (math.isfinite(low) and math.isfinite(high)):
        return Row(label, cells, text)
    span = f"{_cell(low, metric, sign=True)} to {_cell(high, metric, sign=True)}"
    return Row(label, cells, text, span, clear=low > 0 or high < 0)


def _within(values: pd.Series, metric: str) -> str:
    """Half of the interval of one network's own number, as on the terminal."""
    low, high = (float(values.get(f"{metric}_{end}", math.nan)) for end in ("low", "high"))
    return f"± {_cell((high - low) / 2, metric)}" if low < high else ""


def _cell(value: float, metric: str, *, sign: bool = False) -> str:
    whole = math.isfinite(value) and float(value).is_integer()
    count = whole and metric in (*RELATIVE, "signals", "dead_signals")
    if count or metric in RELATIVE or not math.isfinite(value):
        return shown(int(value) if count else float(value), metric, sign=sign)
    digits = DECIMALS.get(metric, 3)
    return f"{round(value, digits) + 0.0:{'+' if sign else ''}.{digits}f}".replace("-", MINUS)
