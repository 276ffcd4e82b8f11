"""The processes of ``DistributedDataParallel``: each measures its samples, and the first combines the numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import torch.distributed
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from gradlens.errors import GradlensError
from gradlens.hooks.modes import original
from gradlens.hooks.passes import Broken, Pass
from gradlens.recording.births import Birth

PATIENCE = timedelta(minutes=10)
"""Time after which a process that does not answer is given up."""


class Processes:
    """Exchanges what the processes of one training have measured, over a process group of its own on the CPU.

    A group of its own keeps the order of the collectives of the training. It uses gloo, also if the training uses NCCL.

    Args:
        group: that of the training.

    Attributes:
        rank: of this process in the group.
        lost: why the others cannot be reached; empty while they can.
    """

    def __init__(self, group: Any) -> None:
        self._ranks = torch.distributed.get_process_group_ranks(group)
        self.rank = torch.distributed.get_rank(group)
        self._own: Any = None
        self.lost = ""

    @property
    def first(self) -> bool:
        """Whether this is the process that combines the numbers and writes them."""
        return self.rank == 0

    def open(self) -> None:
        """Make the process group; all processes of the training have to."""
        self._own = torch.distributed.new_group(
            self._ranks, timeout=PATIENCE, backend="gloo", use_local_synchronization=True
        )

    def close(self) -> None:
        """Leave the process group."""
        own, self._own = self._own, None
        if own is not None and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group(own)

    def agree(self, step: int, problem: str) -> str:
        """Return why the processes do not measure a step; empty if all of them can.

        Args:
            step: that this process is about to measure.
            problem: why it cannot; empty if it can.
        """
        told: list[tuple[int, str]] = [(step, "")] * len(self._ranks)
        self._exchange(lambda: torch.distributed.all_gather_object(told, (step, problem), group=self._own))
        if self.lost:
            return self.lost
        steps = sorted({other for other, _ in told})
        if len(steps) > 1:
            return f"the processes are not at the same step, but at the steps {', '.join(map(str, steps))}"
        return _joined([text for _, text in told])

    def combine(self, finished: Pass) -> Pass | None:
        """Return what a backward pass left in all processes, in the first one; None in the others.

        Args:
            finished: what it left in this one.
        """
        passes: list[Any] | None = [None] * len(self._ranks) if self.first else None
        self._exchange(
            lambda: torch.distributed.gather_object(finished, passes, dst=self._ranks[0], group=self._own)
        )
        if self.lost:
            return replace(finished, recording=None, problem=self.lost, broken=None)
        return None if passes is None else combined(passes)

    def _exchange(self, collective: Callable[[], object]) -> None:
        """Run a collective; after one that fails, none is tried again."""
        if self.lost:
            return
        try:
            collective()
        except RuntimeError as error:  # a process has ended, or does not answer
            reason = str(error).strip().splitlines()[0]
            self.lost = f"the other processes do not answer, and nothing more is measured ({reason})"


def processes_of(model: nn.Module) -> Processes | None:
    """Return the processes of a model in ``DistributedDataParallel``; None if there is one only."""
    inner = original(model)
    if not isinstance(inner, DistributedDataParallel) or inner.process_group is None:
        return None
    return (
        Processes(inner.process_group) if torch.distributed.get_world_size(inner.process_group) > 1 else None
    )


def combined(passes: Sequence[Pass]) -> Pass:
    """Return one backward pass of all processes; their batches are the batches of one recording.

    Args:
        passes: what the pass left in each process, by rank.
    """
    first = passes[0]
    broken = _broken(passes)
    problem = _joined([finished.problem for finished in passes])
    if broken is not None or problem:
        return replace(first, recording=None, problem=problem, broken=broken, birth=_birth(passes))
    recordings = [
        replace(
            finished.recording, replicates=tuple((seed, rank) for seed, _ in finished.recording.replicates)
        )
        for rank, finished in enumerate(passes)
        if finished.recording is not None
    ]
    try:
        merged = recordings[0].merge(*recordings[1:])
    except GradlensError as error:
        return replace(first, recording=None, problem=f"the numbers of the processes do not combine: {error}")
    return replace(first, recording=merged, largest=_largest([finished.largest for finished in passes]))


def _joined(problems: Sequence[str]) -> str:
    """Return the problems of the processes in words, equal ones once."""
    ranks: dict[str, list[int]] = {}
    for rank, text in enumerate(problems):
        ranks.setdefault(text, []).append(rank)
    ranks.pop("", None)
    return "; ".join(
        f"{text} (process {', '.join(map(str, those))} of {len(problems)})" for text, those in ranks.items()
    )


def _broken(passes: Sequence[Pass]) -> Broken | None:
    """Return where a gradient is not finite; the samples of a process follow those of the one before."""
    found = next((finished.broken for finished in passes if finished.broken is not None), None)
    if found is None:
        return None
    starts = _starts(passes, found.n)
    samples = [
        start + sample
        for start, finished in zip(starts, passes, strict=False)
        if finished.broken is not None
        for sample in finished.broken.samples
    ]
    return found._replace(samples=tuple(samples), n=starts[-1])


def _birth(passes: Sequence[Pass]) -> Birth | None:
    """Return where the first value that is not finite was born, in the first process that has one."""
    for rank, finished in enumerate(passes):
        if finished.birth is not None:
            starts = _starts(passes, finished.birth.n)
            samples = tuple(starts[rank] + sample for sample in finished.birth.samples)
            return replace(finished.birth, samples=samples, n=starts[-1])
    return None


def _starts(passes: Sequence[Pass], n: int) -> list[int]:
    """Return the number of the first sample of each process, and that of all samples; ``n`` where it is not known."""
    starts = [0]
    for finished in passes:
        known = finished.broken or finished.recording
        starts.append(starts[-1] + (n if known is None else known.n))
    return starts


def _largest(tables: Sequence[Mapping[int, float]]) -> dict[int, float]:
    """Return the largest value of each probe."""
    values: dict[int, float] = {}
    for table in tables:
        for number, value in table.items():
            values[number] = max(value, values.get(number, value))
    return values
