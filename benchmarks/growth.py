"""How the cost of a capture grows, beside a floor: ``python -m benchmarks.growth [--only n]``.

Measures with one thread the processor time that a captured step takes beyond a plain one, and saves it in
benchmarks/results/growth.json, beside the floor (see ``benchmarks.floor``).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

import gradlens as gl
from benchmarks.floor import Rates, rates, work_of
from benchmarks.measuring import Step, Store, load, medians, rounds, seconds
from benchmarks.overhead import KINDS, PLAIN, Case, plain_step
from gradlens.hooks.watcher import Watcher

PAIRS = 3
SIZE, SAMPLES = 96, 8
SEEDS = (1, 2, 4)


@dataclass(frozen=True)
class Growth:
    """One measurement.

    Attributes:
        axis: what grows.
        value: its value, for the page.
        case: network and batch.
        kind: what is watched.
        make: builds the network; None takes that of the case.
    """

    axis: str
    value: str
    case: Case
    kind: str = "all"
    make: Callable[[], nn.Module] | None = None

    @property
    def key(self) -> str:
        """Name in the file of results."""
        return f"{self.axis} {self.value}"


def densenet264() -> nn.Module:
    """Return the deepest DenseNet of the paper, which timm has only with another stem (Huang 2017, table 1)."""
    from timm.models.densenet import DenseNet

    torch.manual_seed(0)
    return DenseNet(growth_rate=32, block_config=(6, 12, 64, 48), num_classes=10)


def growths() -> Iterator[Growth]:
    """Return the measurements."""
    for n in (4, 8, 16, 32, 64):
        yield Growth("samples", str(n), Case("resnet50", n, 64))
    for size in (64, 96, 128, 192, 256):
        yield Growth("resolution", f"{size} px", Case("resnet50", SAMPLES, size))
    for depth in (121, 169, 201):
        yield Growth("depth", f"densenet{depth}", Case(f"densenet{depth}", SAMPLES, 64))
    yield Growth("depth", "densenet264", Case("densenet264", SAMPLES, 64), make=densenet264)
    for model in ("resnet50", "densenet121"):
        for kind in ("forks", "signals", "all"):
            yield Growth("sites", f"{model}, {kind}", Case(model, SAMPLES, SIZE), kind)


def measure(growth: Growth, machine: Rates, pairs: int = PAIRS) -> dict[str, Any]:
    """Return a row: seconds beyond a plain step, the floor, and how many times it the seconds are."""
    case = growth.case
    torch.set_num_threads(case.threads)
    model, batch = case.network() if growth.make is None else growth.make(), case.data()
    watcher = Watcher(model, KINDS[growth.kind])
    state, _ = watcher.first(batch)
    work = work_of(state.plan, case.batch)
    steps: dict[str, Step] = {
        PLAIN: plain_step(model, *batch),
        growth.kind: lambda: watcher.next(state, 0, batch),
    }
    steps[PLAIN]()
    with load() as busy:
        times = rounds(steps, PLAIN, {growth.kind: pairs})
    beyond = [
        captured.processor - plain.processor
        for captured, plain in zip(times[growth.kind], times[PLAIN], strict=True)
    ]
    seconds_beyond, floor = statistics.median(beyond), work.floor(machine)
    return {
        "axis": growth.axis,
        "value": growth.value,
        "model": case.model,
        "batch": case.batch,
        "size": case.size,
        "kind": growth.kind,
        "plain": medians(times[PLAIN])["processor"],
        "seconds": seconds_beyond,
        "low": min(beyond),
        "high": max(beyond),
        **work._asdict(),
        **{f"rate_{name}": value for name, value in machine._asdict().items()},
        "floor": floor,
        "times_floor": seconds_beyond / floor,
        "others": busy["others"],
    }


def measure_seeds(count: int) -> dict[str, Any]:
    """Return the processor time of a comparison of two small networks with this many seeds."""
    torch.set_num_threads(1)
    options = {"data": "digits", "seeds": count, "batches": 2, "batch_size": 16, "image_size": 32}
    with load() as busy:
        time = seconds(lambda: gl.compare("resnet18", "cspresnet50", progress=False, **options))
    return {"axis": "seeds", "value": str(count), "seconds": time.processor, "others": busy["others"]}


def run(only: str = "", pairs: int = PAIRS, store: Store | None = None) -> None:
    """Measure and save the rows whose names contain this."""
    seeds = {f"seeds {count}": count for count in SEEDS}
    store = store or Store("growth", [*(growth.key for growth in growths()), *seeds])
    torch.set_num_threads(1)
    machine = rates()
    for growth in growths():
        if only in growth.key:
            store.save(growth.key, measure(growth, machine, pairs))
            print(summary(store.rows[growth.key]), flush=True)
    for key, count in seeds.items():
        if only in key:
            store.save(key, measure_seeds(count))
            print(summary(store.rows[key]), flush=True)


def summary(row: dict[str, Any]) -> str:
    """Return one line for the screen."""
    line = f"{row['axis']} {row['value']}: {row['seconds']:.4f} s"
    if "floor" in row:
        line += (
            f" beyond {row['plain']:.3f} s, {row['times_floor']:.1f} times the floor of {row['floor']:.4f} s"
        )
    return f"{line}; others {row['others']:.0%}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the rows and save them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="measure the rows whose names contain this, as 'depth'")
    parser.add_argument("--pairs", type=int, default=PAIRS)
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    run(options.only, options.pairs)


if __name__ == "__main__":
    sys.exit(main())
