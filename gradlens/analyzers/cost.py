"""The cost of a network, by stage."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gradlens.analyzers.signals import WHOLE
from gradlens.catalogue import units
from gradlens.graph.owners import Owner
from gradlens.graph.plan import Plan
from gradlens.graph.stage_order import HEAD, LOSS, in_order
from gradlens.recording import Recording
from gradlens.recording.costs import Costs
from gradlens.results import Table

COUNTERS = {
    "flops": "flops",
    "traffic_elements": "traffic",
    "traffic_bytes": "traffic_bytes",
    "saved_bytes": "saved_bytes",
}
"""By column, the counter of ``Costs``."""


@dataclass(frozen=True)
class Cost:
    """Parameters, FLOPs, feature-map traffic and memory, one row per stage."""

    def __call__(self, recording: Recording) -> Table | None:
        """Return the table, or None if costs were not counted."""
        if recording.costs is None:
            return None
        return Table(
            "cost",
            _frame(recording, recording.costs),
            "Cost of one image by stage.",
            how=(
                "Counted during one step: FLOPs of the forward pass with torch.utils.flop_counter "
                "(multiply-add = 2); traffic: elements read and written by each convolution and pooling (the "
                "CSPNet paper's CIO), where a mean over both spatial axes is a pooling; saved: bytes of distinct "
                "tensors kept for backward; peak: most bytes alive at once that the step allocated, gradients of "
                "parameters included; bottleneck: FLOPs of the largest layer (convolution or matrix product) over "
                "their mean. What a call of a module computes outside its submodules counts in the stage of most of "
                "its operations, so a layer that is called at several levels counts at each; its parameters count "
                "once, in the stage of its first call."
            ),
            units=units("cost"),
        )


def _frame(recording: Recording, costs: Costs) -> pd.DataFrame:
    stages = CallStages(recording.plan)
    columns = {"layers": stages.layers(), "parameters": stages.parameters(costs)}
    columns |= {column: stages.per_image(costs, counter) for column, counter in COUNTERS.items()}
    order = [stage for stage in stages.order if any(stage in column for column in columns.values())]
    frame = pd.DataFrame({"network": recording.name, "stage": [*order, WHOLE]})
    for name, column in columns.items():
        values = [column.get(stage, 0) for stage in order]
        frame[name] = [*values, sum(values)]
    frame["peak_bytes"] = [*[np.nan] * len(order), costs.peak_bytes / costs.samples]
    largest = np.array(costs.largest, dtype=float)
    bottleneck = largest.max() / largest.mean() if largest.size else np.nan
    frame["bottleneck"] = [*[np.nan] * len(order), bottleneck]
    return frame


@dataclass(frozen=True)
class Throughput:
    """Measured images per second: the only table that differs between runs."""

    def __call__(self, recording: Recording) -> Table | None:
        """Return the table, or None if nothing was timed."""
        rows = []
        for name, speeds in recording.throughput.items():
            if speeds:
                median, low, high = statistics.median(speeds), min(speeds), max(speeds)
                rows.append(
                    {
                        "network": recording.name,
                        "pass": name,
                        "images_per_second": median,
                        "low": low,
                        "high": high,
                        "repeats": len(speeds),
                    }
                )
        if not rows:
            return None
        return Table(
            "throughput",
            pd.DataFrame(rows),
            "Measured speed on this machine.",
            how="Wall-clock time, median of alternating repeats after an untimed one; low and high: over all repeats.",
            units={"images_per_second": "images / s", "low": "images / s", "high": "images / s"},
            reproducible=False,
        )


class CallStages:
    """The stage of every call of a module: the most frequent stage of its operations."""

    def __init__(self, plan: Plan) -> None:
        votes: dict[Owner, Counter[str]] = defaultdict(Counter)
        for owner, stage in zip(plan.owners, plan.stages, strict=True):
            votes[owner][HEAD if stage == LOSS else stage] += 1
        self._stage = {owner: count.most_common(1)[0][0] for owner, count in votes.items()}
        self._first: dict[str, str] = {}
        for owner in sorted(self._stage, key=lambda owner: owner.call):
            self._first.setdefault(owner.module, self._stage[owner])
        self._plan = plan
        forward = (plan.stages[index] for index in plan.graph.forward_order)
        self.order = in_order([*(stage for stage in forward if stage != LOSS), HEAD])

    def of(self, module: str, call: int = 0) -> str:
        """Return the stage of a call, else of the first call of the module or of the nearest module around it.

        It is the head if none of them has a stage.
        """
        if Owner(module, call) in self._stage:
            return self._stage[Owner(module, call)]
        while module not in self._first and "." in module:
            module = module.rpartition(".")[0]
        return self._first.get(module, HEAD)

    def parameters(self, costs: Costs) -> dict[str, float]:
        """Return the elements of the parameters by stage, each in the stage of the first call of its module."""
        table: Counter[str] = Counter()
        for module, elements in costs.parameters.items():
            table[self.of(module)] += elements
        return dict(table)

    def per_image(self, costs: Costs, counter: str) -> dict[str, float]:
        """Return a counter by stage, per image."""
        table: Counter[str] = Counter()
        by_call = costs.by_call.get(counter, {})
        for module, total in getattr(costs, counter).items():
            for call, value in enumerate(by_call.get(module, [total])):
                table[self.of(module, call)] += value
        return {stage: value / max(costs.samples, 1) for stage, value in table.items()}

    def layers(self) -> dict[str, float]:
        """Return the number of weighted layers by stage."""
        plan = self._plan
        return dict(Counter(plan.stages[i] for i, node in enumerate(plan.graph.nodes) if node.weighted))
