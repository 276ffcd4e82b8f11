"""Small tables of several losses, written by hand."""

import itertools

import pandas as pd

LOSSES = ("classification", "bbox_regression", "centerness")
DETECTOR = ("4", "8", "16", "32", "neck 16 top-down", "neck 16 bottom-up", "head 8 box", "whole")
"""Stages of a detector, with long names."""


def places(networks, stages=DETECTOR):
    """Yield the columns of a place: each stage, and three signals per stage."""
    for network, (at, stage) in itertools.product(networks, enumerate(stages)):
        yield {"network": network, "level": "stage", "where": stage, "stage": stage, "depth": float("nan")}
        for depth in range(3 * at, 3 * at + 3) if stage != "whole" else ():
            yield {
                "network": network,
                "level": "signal",
                "where": f"conv{depth}",
                "stage": stage,
                "depth": depth,
            }


def with_interval(name, value, half):
    return {name: value, f"{name}_low": value - half, f"{name}_high": value + half}


def losses(networks, names=LOSSES, stages=DETECTOR):
    """Return the ledger: the first loss has more energy the nearer the place is to the output; no box in the head."""
    rows = []
    for place in places(networks, stages):
        first = 0.4 + 0.05 * stages.index(place["stage"])
        for name in names:
            share = first if name == names[0] else (1 - first) / max(len(names) - 1, 1)
            rows.append({**place, "order": 0, "loss": name, "energy": 1e-3 * share,
                         **with_interval("share", share, 0.02), **with_interval("coherence", 1.1, 0.1),
                         "reason": ""})  # fmt: skip
    return pd.DataFrame(rows)


def conflicts(networks, names=LOSSES, stages=DETECTOR):
    """Return the conflict of each pair, which falls with depth; none for one loss."""
    rows = []
    for place in places(networks, stages):
        for a, b in itertools.combinations(names, 2):
            cosine = 0.3 - 0.1 * stages.index(place["stage"])
            rows.append({**place, "order": 0, "loss_a": a, "loss_b": b, **with_interval("cosine", cosine, 0.05),
                         **with_interval("cosine_of_mean", cosine / 2, 0.05),
                         **with_interval("conflict", 0.5 - cosine, 0.1), "reason": ""})  # fmt: skip
    return pd.DataFrame(rows)


def duplication_by_loss(networks, names=LOSSES, stages=DETECTOR):
    rows = []
    for network, stage, (at, name) in itertools.product(networks, stages, enumerate((*names, "all"))):
        rows.append({"network": network, "stage": stage, "loss": name, "signals": 4, "m": 3,
                     **with_interval("rarefied_duplication", 0.8 - 0.1 * at, 0.02),
                     **with_interval("mean_similarity", 0.4, 0.02), "m_given": 3,
                     **with_interval("rarefied_duplication_given", 0.5 - 0.1 * at, 0.02),
                     **with_interval("mean_similarity_given", 0.2, 0.02), "reason": ""})  # fmt: skip
    return pd.DataFrame(rows)


def efficiency(networks):
    """Return FLOPs and speed of backbone and whole network, and the duplication given each loss."""
    rows = []
    for (at, network), (part, size) in itertools.product(
        enumerate(networks), (("backbone", 1.0), ("whole", 3.0))
    ):
        place = {"network": network, "part": part, "loss": "", "low": float("nan"), "high": float("nan")}
        rows.append({**place, "quantity": "flops", "value": size * (5 - 0.5 * at) * 1e9})
        speed = (10.0 + at) / size
        rows.append(
            {**place, "quantity": "images_per_second", "value": speed, "low": speed - 0.5, "high": speed + 1}
        )
        for name in ("", *LOSSES, "all") if part == "whole" else ():
            rows.append(
                {
                    **place,
                    "quantity": "rarefied_duplication",
                    "loss": name,
                    "value": 0.5,
                    "low": 0.4,
                    "high": 0.6,
                }
            )
    return pd.DataFrame(rows)
