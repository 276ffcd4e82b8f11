"""Compare a captured step with steps of other tools: ``python -m benchmarks.peers [--only resnet50]``.

Runs the steps of ``benchmarks.peer_steps`` in rounds on the same network and batch, with one thread, and saves the
medians of their ratios to the plain step in benchmarks/results/peers.json after each network. Steps that take longer
run in fewer rounds. A tool that is not installed, or that raises, has the reason in its place. Peak memory is measured
in separate processes.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import torch

from benchmarks.measuring import Step, Store, load, medians, peak_bytes, ratios, rounds, seconds
from benchmarks.overhead import STEPS_AT_PEAK, Case, peak_of
from benchmarks.peer_steps import GROUPED, PEERS, UNCHANGED

MODELS = ("resnet50", "cspresnet50", "densenet121", "vit_small_patch16_224")
SIZES = ((8, 96), (8, 160))
"""(samples, pixels) of the batches."""
AT_PEAK = (("resnet50", 8, 96), ("vit_small_patch16_224", 8, 96))
"""The networks and batches of which memory is measured."""
ROUNDS = {"least": 3, "most": 6}
BUDGET = 5.0
"""Seconds for each step of a case, in all its rounds."""
SLOW = 5.0
"""Seconds of a step that runs once; a ratio of ten and more needs no interval."""
LONGEST = 200
"""Characters of a reason."""


def cases(only: str = "") -> list[Case]:
    """Return the network and batch of this name, else those whose names contain it."""
    every = [Case(model, batch, size) for batch, size in SIZES for model in MODELS]
    return [case for case in every if case.key == only] or [case for case in every if only in case.key]


class Prepared(NamedTuple):
    """The steps of a case.

    Attributes:
        steps: that run, by name.
        first: seconds of the first run of each, which warms it up.
        reasons: why the others do not run.
    """

    steps: dict[str, Step]
    first: dict[str, float]
    reasons: dict[str, str]


def prepared(case: Case) -> Prepared:
    """Return the steps of a case, each run once."""
    torch.set_num_threads(case.threads)
    model, (images, labels) = case.network(), case.data()
    ready = Prepared({}, {}, {})
    for name, peer in PEERS.items():
        if peer.version() is None:
            ready.reasons[name] = f"{peer.package} is not installed"
            continue
        try:
            step = peer.step(model, images, labels)
            ready.first[name] = seconds(step).wall
        except Exception as error:  # of any tool, so of any kind
            ready.reasons[name] = reason(error)
        else:
            ready.steps[name] = step
    return ready


def reason(error: Exception) -> str:
    """Return why a step does not run, in one line."""
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words[:LONGEST]}{'…' if len(words) > LONGEST else ''}"


def counts(first: Mapping[str, float], budget: float) -> dict[str, int]:
    """Return in how many rounds each step runs, by the seconds of its first run."""
    most = {name: min(ROUNDS["most"], int(budget / time)) for name, time in first.items()}
    return {name: max(1 if first[name] > SLOW else ROUNDS["least"], count) for name, count in most.items()}


def measure(case: Case, budget: float = BUDGET) -> dict[str, Any]:
    """Return a row: by step, the ratios to its plain step with intervals, or the reason that it does not run."""
    ready = prepared(case)
    count = counts(ready.first, budget)
    plain: dict[str, dict[str, float]] = {}
    results: dict[str, Any] = {name: {"reason": text} for name, text in ready.reasons.items()}
    with load() as busy:
        for base in (UNCHANGED, GROUPED):
            steps = {name: step for name, step in ready.steps.items() if PEERS[name].base == base}
            times = rounds(steps, base, {name: count[name] for name in steps})
            plain[base] = medians(times[base])
            results |= {name: ratios(times[name], times[base]) for name in steps}
    return {
        "model": case.model,
        "batch": case.batch,
        "size": case.size,
        "threads": case.threads,
        "plain": plain,
        "steps": {
            name: {"version": peer.version(), **results[name]}
            for name, peer in PEERS.items()
            if name not in plain
        },
        "others": busy["others"],
    }


def peak(case: Case, name: str) -> int:
    """Return the peak resident bytes of this process after a few steps.

    The tools are imported for the plain steps too, so that a tool counts only what it needs in a step.
    """
    torch.set_num_threads(case.threads)
    for module in ("torchlens", "backpack", "opacus", "cka", "graphyco"):
        try:
            importlib.import_module(module)
        except ImportError:
            continue
    run = PEERS[name].step_of(case.network(), *case.data())
    for _ in range(STEPS_AT_PEAK):
        run()
    return peak_bytes()


def peaks(case: Case, together: int = 2) -> dict[str, Any]:
    """Return a row: peak bytes by step, each in its own process, some at the same time; or the reason for none."""
    command = ["benchmarks.peers", "--only", case.key, "--peak"]

    def measured(name: str) -> int | str:
        if PEERS[name].version() is None:
            return f"{PEERS[name].package} is not installed"
        try:
            return peak_of([*command, name])
        except RuntimeError as error:
            return str(error)[:LONGEST]

    with ThreadPoolExecutor(together) as pool:
        values = dict(zip(PEERS, pool.map(measured, PEERS), strict=True))
    return {"model": case.model, "batch": case.batch, "size": case.size, "bytes": values}


def run(only: str = "", budget: float = BUDGET, store: Store | None = None) -> None:
    """Measure and save the cases whose names contain this."""
    store = store or Store("peers", [case.key for case in cases()])
    for case in cases(only):
        row = measure(case, budget)
        store.save(case.key, row)
        print(summary(row), flush=True)


def run_memory(only: str = "", store: Store | None = None) -> None:
    """Measure and save the peak memory of the cases whose names contain this."""
    at_peak = [case for case in cases() if (case.model, case.batch, case.size) in AT_PEAK]
    store = store or Store("peers_memory", [case.key for case in at_peak])
    for case in at_peak:
        if only in case.key:
            store.save(case.key, peaks(case))
            print(json.dumps(store.rows[case.key]), flush=True)


def summary(row: Mapping[str, Any]) -> str:
    """Return the lines of a row for the screen."""
    lines = [f"{row['model']} {row['batch']}x{row['size']}, others {row['others']:.0%}"]
    for name, step in row["steps"].items():
        value = step.get("reason") or (
            f"{step['processor']['median']:.2f} [{step['processor']['low']:.2f}, {step['processor']['high']:.2f}]"
            f" of {step['processor']['pairs']}, wall {step['wall']['median']:.2f}"
        )
        lines.append(f"  {name}: {value}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the cases and save them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only", default="", help="measure the cases whose names contain this, as 'resnet50 8x96'"
    )
    parser.add_argument("--budget", type=float, default=BUDGET, help="seconds for each step of a case")
    parser.add_argument("--memory", action="store_true", help="measure peak memory only")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    if options.peak:
        print(peak(cases(options.only)[0], options.peak))
    elif options.memory:
        run_memory(options.only)
    else:
        run(options.only, options.budget)


if __name__ == "__main__":
    sys.exit(main())
