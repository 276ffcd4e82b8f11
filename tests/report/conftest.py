"""A small result of two networks, written by hand."""

import math

import pandas as pd
import pytest

from gradlens.results import Result, Table

METRICS = ("rarefied_duplication", "flow_slope", "flops", "parameters")


def comparison():
    rows = []
    for stage, a, b in (("4", 0.8, 0.5), ("head", math.nan, math.nan), ("whole", 0.7, 0.6)):
        row = {"stage": stage}
        for metric in METRICS:
            scale = 1e9 if metric in ("flops", "parameters") else 1.0
            half = 0.05 if metric == "rarefied_duplication" and stage == "4" else math.nan
            values = (a, b, b - a, b - a - half, b - a + half)
            for part, value in zip(("a", "b", "difference", "low", "high"), values, strict=True):
                row[f"{metric}_{part}"] = value * scale
        rows.append(row)
    return pd.DataFrame(rows)


def summary():
    return pd.DataFrame(
        {
            "stage": ["whole", "4"],
            "rarefied_duplication": [0.7, math.nan],
            "signals": [53, 10],
            "dead_signals": [32, 0],
            "flops": [4.1e9, 1e9],
        }
    )


def flow(a, b):
    rows = [
        (name, "4", f"conv{depth}", depth, depth, 10.0 ** (-3 + 0.1 * depth), depth == 3)
        for name in (a, b)
        for depth in range(130)
    ]
    columns = ["network", "stage", "signal", "order", "depth", "rms", "dead"]
    return pd.DataFrame(rows, columns=columns)


def duplication(a, b):
    rows = [
        (name, seed, stage, version, value + 0.01 * seed)
        for name in (a, b)
        for seed in range(3)
        for stage, value in (("whole", 0.5), ("4", 0.8), ("8", 0.3), ("head", math.nan))
        for version in ("energy", "direction", "energy given loss", "direction given loss")
    ]
    return pd.DataFrame(rows, columns=["network", "seed", "stage", "version", "duplication"])


@pytest.fixture
def make_result():
    """Factory of results of two networks: a comparison, or an inspection of the first one."""

    def make(a="resnet50", b="cspresnet50", kind="compare", **meta):
        overview = comparison() if kind == "compare" else summary()
        name = "comparison" if kind == "compare" else "summary"
        exact = pd.DataFrame({"network": [a], "site": ["add"], "error": [0.0], "projected_error": [1e-7]})
        tables = [
            Table(name, overview, "One row per stage."),
            Table("duplication", duplication(a, b), "One row per seed.", "D.", {"duplication": "[0, 1]"}),
            Table("flow", flow(a, b), "One row per signal.", "From K.", {"depth": "layers"}),
            Table("exactness", exact, "One row per fork."),
        ]
        common_meta = {"kind": kind, "a": a, "b": b, "seeds": [0, 1, 2], "versions": {"torch": "2.14"}}
        return Result(
            {table.name: table for table in tables},
            {**common_meta, "command": ["gradlens", "compare", "my net"], "partial": False, **meta},
            f"{b} duplicates less than {a}.",
            ("Two signals are dead.",),
        )

    return make
