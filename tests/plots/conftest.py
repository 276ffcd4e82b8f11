"""Small frames of all tables that have a plot, written by hand."""

import functools
import itertools

import pandas as pd
import pytest
import torch
from ledgers import conflicts, duplication_by_loss, efficiency, losses
from torch import nn
from watching.flows import training

import gradlens as gl
from gradlens.analyzers import ANALYZERS
from gradlens.plots import PLOTS
from gradlens.watching.tables import branches_along, stages_along

VERSIONS = ("energy", "direction", "energy given loss", "direction given loss")


def duplication(networks, seeds):
    rows = []
    for (i, network), seed, stage, (j, version) in itertools.product(
        enumerate(networks), seeds, ("whole", "head", "16", "4"), enumerate(VERSIONS)
    ):
        value = float("nan") if stage == "head" else 0.8 - 0.2 * i - 0.1 * j + 0.01 * seed
        rows.append(
            {
                "network": network,
                "seed": seed,
                "stage": stage,
                "version": version,
                "signals": 3,
                "m": 3,
                "rarefied_duplication": value,
                "mean_similarity": value / 2,
                "reason": "" if stage != "head" else "one signal only",
            }
        )
    return pd.DataFrame(rows)


def correlation(networks, signals):
    rows = [
        {
            "network": network,
            "stage_a": "4" if a < signals // 2 else "16",
            "stage_b": "4" if b < signals // 2 else "16",
            "signal_a": f"conv{a}",
            "signal_b": f"conv{b}",
            "order_a": a,
            "order_b": b,
            "energy": 1 / (1 + b - a),
            "direction": 0.5,
            "energy_given_loss": -0.05,
            "direction_given_loss": 0.1,
        }
        for network in networks
        for a, b in itertools.combinations(range(signals), 2)
    ]
    return pd.DataFrame(rows)


def cross(networks):
    """Return pairs of layers of the first and the last network; no rows for a single network."""
    columns = ["network_a", "network_b", "stage_a", "stage_b", "signal_a", "signal_b", "order_a", "order_b"]
    rows = [
        (
            networks[0],
            networks[-1],
            "4" if a < 3 else "8",
            "4" if b < 2 else "8",
            f"conv{a}",
            f"conv{b}",
            a,
            b,
        )
        for a, b in itertools.product(range(6), range(4))
        if len(networks) > 1
    ]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.assign(energy=0.5, direction=0.4)


def forks(networks, sites, branches):
    """Return branch pairs and branch shares of the same forks."""
    pairs, shares = [], []
    names = ["residual", "skip"] if branches == 2 else [f"layer{i}" for i in range(branches)]
    for network, site in itertools.product(networks, range(sites)):
        location = {
            "network": network,
            "stage": "4" if site < sites // 2 else "8",
            "site": f"stages.{site}.block",
            "kind": "residual" if branches == 2 else "dense",
            "where": "fork",
        }
        for a, b in itertools.combinations(names, 2):
            values = {"energy": 0.6, "energy_given_loss": 0.3, "cosine": -0.2, "reason": ""}
            pairs.append({**location, "branch_a": a, "branch_b": b, **values})
        for name in names:
            shares.append({**location, "branch": name, "share": 1 / branches, "coherence": 1.5})
    return pd.DataFrame(pairs), pd.DataFrame(shares)


def flow(networks):
    rows = [
        {
            "network": network,
            "stage": "4",
            "signal": f"conv{depth}",
            "order": depth,
            "depth": depth,
            "rms": 0.0 if depth == 3 else 10.0 ** (-3 + 0.1 * depth),
            "dead": depth == 3,
        }
        for network in networks
        for depth in range(6)
    ]
    return pd.DataFrame(rows)


def cost(networks):
    stages = {"4": 1.0, "8": 2.0, "head": 0.5, "whole": 3.5}
    columns = ("flops", "parameters", "traffic_elements", "saved_bytes")
    rows = [
        {"network": network, "stage": stage, **dict.fromkeys(columns, size * 2.0**20)}
        for network in networks
        for stage, size in stages.items()
    ]
    return pd.DataFrame(rows)


def throughput(networks):
    rows = [
        {
            "network": network,
            "pass": name,
            "images_per_second": speed,
            "low": speed - 1,
            "high": speed + 1,
            "repeats": 3,
        }
        for network in networks
        for name, speed in (("forward", 40.0), ("forward + backward", 12.0))
    ]
    return pd.DataFrame(rows)


def structure(networks):
    rows = [
        {
            "network": network,
            "stage": stage,
            "layers": 3,
            "structural_duplication": value + 0.05 * i,
            "timestamp_combinations": 3,
        }
        for i, network in enumerate(networks)
        for stage, value in (("4", 0.2), ("head", float("nan")), ("whole", 0.1))
    ]
    return pd.DataFrame(rows)


def paths(networks):
    """Return the paths to each layer of a chain of residual blocks, and their lengths."""
    rows, lengths = [], []
    for network, order in itertools.product(networks, range(5)):
        location = {"network": network, "stage": "4", "layer": f"conv{order}", "order": order}
        longest = 5 - order
        middle = (1 + longest) / 2
        rows.append(
            {
                **location,
                "paths": str(2**longest),
                "shortest": 1,
                "longest": longest,
                "mean_length": middle,
                "effective_length": middle + 0.2,
            }
        )
        for length in range(1, longest + 1):
            share = 1 / longest
            lengths.append(
                {**location, "length": length, "paths": "1", "share": share, "energy_share": share}
            )
    return pd.DataFrame(rows), pd.DataFrame(lengths)


def reuse(networks):
    """Return the reuse in a dense block of five layers, each of which reads all earlier layers."""
    rows = [
        {
            "network": network,
            "layer": f"layer{layer}",
            "source": f"layer{source}",
            "order_layer": 2 * layer,
            "order_source": 2 * source + 1,
            "rms": 10.0 ** -(layer - source),
            "share": 1 / layer,
        }
        for network in networks
        for layer in range(1, 6)
        for source in range(layer)
    ]
    return pd.DataFrame(rows)


MEASURES = ("rarefied_duplication", "mean_similarity", "rarefied_duplication_given_loss", "accuracy")


def strategies(networks):
    rows = []
    for (i, network), stage in itertools.product(enumerate(networks), ("4", "whole")):
        row = {
            "network": network,
            "stage": stage,
            "flops": (1.0 + 0.2 * i) * 1e9,
            "m": 16,
            "m_given_loss": 15,
        }
        for measure in MEASURES:
            row |= {measure: 0.5 + 0.01 * i, f"{measure}_low": 0.45, f"{measure}_high": 0.6}
        rows.append(row)
    return pd.DataFrame(rows)


def differences(networks):
    """Return all pairs of networks; for a single network, the columns without rows."""
    columns = ["stage", "metric", "a", "b", "difference", "low", "high", "p_holm"]
    rows = [
        ("whole", measure, a, b, 0.1, -0.1, 0.3, 0.2)
        for measure in MEASURES
        for a, b in itertools.combinations(networks, 2)
    ]
    return pd.DataFrame(rows, columns=columns)


def effects(networks):
    """Return the effects of each network but the first, with their parts; no rows for a single network."""
    parts = [
        differences([networks[0], network]).assign(strategy=network, effect=effect, m=16)
        for network in networks[1:]
        for effect in ("total", "transitions", "cut")
    ]
    empty = differences(networks[:1]).assign(strategy="", effect="", m=16)
    return pd.concat(parts, ignore_index=True) if parts else empty


def curves(networks):
    """Return the curves of rarefaction and of similarity by distance."""
    rows = [
        {"network": network, "stage": stage, "version": version, "step": step}
        for network in networks
        for stage in ("4", "whole")
        for version in ("energy", "energy given loss")
        for step in range(1, 9)
    ]
    frame = pd.DataFrame(rows)
    rarefaction = frame.rename(columns={"step": "m"}).assign(n_eff=frame["step"] ** 0.8, n_eff_reach=0.1)
    lags = frame.rename(columns={"step": "lag"}).assign(
        similarity=0.7 ** frame["step"], similarity_reach=0.02
    )
    return rarefaction, lags


def contrasts(networks):
    """Return the pairs of the first network with each other network."""
    frame = differences(networks)
    return frame[frame["a"] == networks[0]].reset_index(drop=True)


def trajectory(networks, seeds):
    rows = [
        {"network": network, "seed": seed, "step": step, **dict.fromkeys(MEASURES, 0.5 + 0.01 * seed)}
        for network, seed, step in itertools.product(networks, seeds, (0, 10))
    ]
    return pd.DataFrame(rows)


def times(networks):
    """One layer that forgets, and a head at each step, which no later step reads."""
    rows = [
        {
            "network": network,
            "stage": "cell",
            "signal": signal,
            "step": step,
            "steps": 4,
            "rms": 0.1,
            "rms_spread": 0.01,
            "relative": 0.9 ** (4 - step),
            "carried": 0.1 ** (4 - step) if signal == "cell.hh" else float("nan"),
            "reason": "",
        }
        for network, signal, step in itertools.product(networks, ("cell.hh", "head"), range(1, 5))
    ]
    return pd.DataFrame(rows)


@functools.cache
def recording():
    """Return a recording of a small residual network, for tables that are not written by hand."""

    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.inner, self.head = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3)

        def forward(self, x):
            x = self.stem(x)
            return self.head(x + self.inner(x))

    data = [(torch.randn(8, 6), torch.arange(8) % 3) for _ in range(2)]
    return gl.capture(Residual(), data, space="weights")


def measured(name, networks):
    """Return the table of a real recording, with the same rows for each network."""
    frame = ANALYZERS[name](recording()).frame
    return pd.concat([frame.assign(network=network) for network in networks], ignore_index=True)


@functools.cache
def drawn(networks, seeds, signals, sites, branches):
    """Return the frames of all plots by table name; they are shared, so callers copy them."""
    pairs, shares = forks(networks, sites, branches)
    path_counts, lengths = paths(networks)
    rarefaction, lags = curves(networks)
    written = {
        "networks": strategies(networks),
        "contrasts": contrasts(networks),
        "effects": effects(networks),
        "strategies": strategies(networks),
        "differences": differences(networks),
        "trajectory": trajectory(networks, seeds),
        "stages_along": stages_along(training([0, 50, 100]), []).frame,
        "branches_along": branches_along(training([0, 50, 100]), []).frame,
        "duplication": duplication(networks, seeds),
        "rarefaction": rarefaction,
        "lags": lags,
        "correlation": correlation(networks, signals),
        "cross": cross(networks),
        "branches": pairs,
        "shares": shares,
        "flow": flow(networks),
        "losses": losses(networks),
        "conflicts": conflicts(networks),
        "duplication_by_loss": duplication_by_loss(networks),
        "efficiency": efficiency(networks),
        "times": times(networks),
        "structure": structure(networks),
        "paths": path_counts,
        "path_lengths": lengths,
        "reuse": reuse(networks),
        "cost": cost(networks),
        "throughput": throughput(networks),
    }
    return {name: written[name] if name in written else measured(name, networks) for name in PLOTS}


@pytest.fixture
def frames():
    """Factory of frames by table name, for some networks, seeds and sizes."""

    def make(networks=("resnet50", "cspresnet50"), seeds=(0, 1, 2), signals=6, sites=4, branches=2):
        shared = drawn(tuple(networks), tuple(seeds), signals, sites, branches)
        return {name: frame.copy() for name, frame in shared.items()}

    return make
