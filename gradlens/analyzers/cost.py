"""The cost of a network, by stage."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gradlens.analyzers.signals import WHOLE
from gradlens.catalogue import units
from gradlens.graph.plan import Plan
from gradlens.graph.stage_order import in_order
from gradlens.graph.stages import HEAD, LOSS
from gradlens.recording import Recording
from gradlens.recording.costs import Costs
from gradlens.results import Table


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
                "their mean. What a module computes outside its submodules counts in the stage of most of its "
                "operations."
            ),
            units=units("cost"),
        )


def _frame(recording: Recording, costs: Costs) -> pd.DataFrame:
    stages = ModuleStages(recording.plan)
    columns = {
        "layers": stages.layers(),
        "parameters": stages.total(costs.parameters),
        "flops": stages.total(costs.flops, costs.samples),
        "traffic_elements": stages.total(costs.traffic, costs.samples),
        "traffic_bytes": stages.total(costs.traffic_bytes, costs.samples),
        "saved_bytes": stages.total(costs.saved_bytes, costs.samples),
    }
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


class ModuleStages:
    """The stage of every module: the most frequent stage of its operations."""

    def __init__(self, plan: Plan) -> None:
        votes: dict[str, Counter[str]] = defaultdict(Counter)
        for owner, stage in zip(plan.owners, plan.stages, strict=True):
            votes[owner.module][HEAD if stage == LOSS else stage] += 1
        self._stage = {module: count.most_common(1)[0][0] for module, count in votes.items()}
        self._plan = plan
        forward = (plan.stages[index] for index in plan.graph.forward_order)
        self.order = in_order([*(stage for stage in forward if stage != LOSS), HEAD])

    def of(self, module: str) -> str:
        """Return the stage of a module, else of the nearest enclosing module that has one, else the head."""
        while module not in self._stage and "." in module:
            module = module.rpartition(".")[0]
        return self._stage.get(module, HEAD)

    def total(self, by_module: Mapping[str, int], samples: int = 1) -> dict[str, float]:
        """Return the sum by stage, per image."""
        table: Counter[str] = Counter()
        for module, value in by_module.items():
            table[self.of(module)] += value
        return {stage: value / samples if samples > 1 else value for stage, value in table.items()}

    def layers(self) -> dict[str, float]:
        """Return the number of weighted layers by stage."""
        plan = self._plan
        return dict(Counter(plan.stages[i] for i, node in enumerate(plan.graph.nodes) if node.weighted))
