"""Assemble the recording from the finished batches of a capture."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from gradlens.grams.accumulator import BatchGrams
from gradlens.grams.agreement import BatchLosses
from gradlens.graph import ops
from gradlens.hooks.planned import Planned
from gradlens.hooks.watcher import Watched
from gradlens.recording import Recording
from gradlens.recording.by_loss import ByLoss, LossGrams
from gradlens.recording.costs import Costs
from gradlens.recording.watch import Watch
from gradlens.version import VERSION

MANY = 6
"""Largest number of losses whose cost is not noted."""


def assembled(
    state: Planned,
    batches: Sequence[Watched],
    watch: Watch,
    costs: Costs | None,
    throughput: Mapping[str, list[float]],
    meta: Mapping[str, object],
) -> Recording:
    """Return the recording of finished batches.

    Args:
        state: what all batches share.
        batches: statistics of each batch, at least one.
        watch: what was watched, and how.
        costs: costs of one step, or None.
        throughput: images per second by pass.
        meta: the provenance.
    """
    grams = [batch.grams for batch in batches]
    labels = [batch.labels for batch in batches if batch.labels is not None]
    return Recording(
        plan=state.plan,
        grams=np.stack([batch.grams for batch in grams], axis=1),
        halves=_stacked([batch.halves for batch in grams if batch.halves is not None]),
        inner={group: _inner(grams, group) for group in grams[0].inner},
        projected_errors=_errors(grams),
        dry_errors=state.dry_errors,
        labels=np.stack(labels) if len(labels) == len(batches) else None,
        replicates=tuple((watch.seed, index) for index in range(len(batches))),
        costs=costs,
        throughput=throughput,
        meta=meta,
        carried=_carried(grams),
        by_loss=_by_loss([batch.by_loss for batch in batches if batch.by_loss is not None]),
    )


def _by_loss(batches: Sequence[BatchLosses]) -> ByLoss | None:
    """Return the statistics of several losses; None for one loss."""
    if not batches:
        return None
    return ByLoss(
        parts={name: _part([batch.parts[name] for batch in batches]) for name in batches[0].parts},
        values=np.stack([batch.values for batch in batches], axis=1),
        products=np.stack([batch.products for batch in batches], axis=2),
        mean_products=np.stack([batch.mean_products for batch in batches], axis=2),
        errors=np.stack([batch.errors for batch in batches], axis=1),
    )


def _part(batches: Sequence[BatchGrams]) -> LossGrams:
    """Return the statistics of one loss; a fork that it does not reach in a batch has inner products of zero."""
    return LossGrams(
        grams=np.stack([batch.grams for batch in batches], axis=1),
        inner={
            group: np.stack([batch.inner.get(group, np.zeros_like(shape)) for batch in batches])
            for group, shape in {
                key: value for batch in batches for key, value in batch.inner.items()
            }.items()
        },
        projected_errors=_errors(batches),
        carried=_carried(batches),
        halves=_stacked([batch.halves for batch in batches if batch.halves is not None]),
    )


def _errors(batches: Sequence[BatchGrams]) -> dict[int, NDArray[np.float64]]:
    groups = dict.fromkeys(group for batch in batches for group in batch.errors)
    return {group: np.array([batch.errors.get(group, 0.0) for batch in batches]) for group in groups}


def _carried(batches: Sequence[BatchGrams]) -> dict[int, NDArray[np.float64]]:
    """Return the energies carried by the steps that all batches have."""
    steps = [step for step in batches[0].carried if all(step in batch.carried for batch in batches)]
    return {step: np.stack([batch.carried[step] for batch in batches]) for step in steps}


def _notes(model: nn.Module, state: Planned, watch: Watch) -> list[str]:
    """Return remarks on what the numbers do not contain, and on layers that count several times."""
    notes = []
    if state.hooked:
        notes.append(
            f"a hook changes the gradient at {', '.join(state.hooked)}: contributions are measured before the hook, "
            "accumulated gradients after it, and their sum is not checked there"
        )
    if state.fused:
        notes.append(
            f"{', '.join(state.fused)}: run step by step, not in torch's fused kernel, so that the steps can be seen; "
            "the values agree up to rounding, a pass takes longer (an LSTM on a CPU 2 to 3 times as long), and the "
            "costs are those of the single steps"
        )
    if state.other_draws:
        notes.append(
            f"{', '.join(state.other_draws)}: the dropout between the layers draws other random numbers than in "
            "torch's fused kernel"
        )
    split = _complex_convolutions(model, state)
    if split:
        notes.append(
            "torch computes a complex convolution as three real ones, so each counts as three signals: "
            + ", ".join(split)
        )
    count = len(state.losses)
    if watch.by_loss and count > MANY:
        notes.append(
            f"{count} losses take {count + 1} watched backward passes per batch and {count * (count - 1) // 2} for "
            "their pairs; add losses of one kind up, or use by_loss=False"
        )
    return notes


def _complex_convolutions(model: nn.Module, state: Planned) -> list[str]:
    """Return the modules whose convolutions read a complex weight."""
    weights = {name for name, parameter in model.named_parameters() if parameter.is_complex()}
    nodes = state.plan.graph.nodes
    probes = [state.plan.probes[number] for number in state.plan.signals]
    return list(
        dict.fromkeys(
            probe.module
            for probe in probes
            if nodes[probe.node].operation in ops.CONVOLUTIONS
            and weights.intersection(nodes[probe.node].roots)
        )
    )


def _inner(batches: Sequence[BatchGrams], group: int) -> NDArray[np.float64]:
    """Return the inner products of a group ``[s, b, b, n]``; NaN for a batch in which its samples are not told."""
    unknown = np.full_like(batches[0].inner[group], np.nan)
    return np.stack([batch.inner.get(group, unknown) for batch in batches])


def meta_of(model: nn.Module, watch: Watch, state: Planned) -> dict[str, object]:
    """Return the provenance of a capture: versions, mode and options."""
    norms = sum("BatchNorm" in type(module).__name__ for module in model.modules())
    return {
        "gradlens": VERSION,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "threads": torch.get_num_threads(),
        "model_class": str(vars(model).get("gradlens_name") or type(model).__name__),
        "own_batches": True,
        "mode": watch.mode,
        "training": model.training,
        "batch_norms": norms,
        "reduction": watch.reduction,
        "sites": watch.sites,
        "pairs": watch.pairs,
        "space": watch.space,
        "not_measured": state.not_measured,
        "unseen_layers": state.unseen_layers,
        "unreached_layers": state.unreached_layers,
        "frozen_layers": state.frozen_layers,
        "frozen_inside": state.frozen_inside,
        "partly_seen": state.partly_seen,
        "dry_samples": state.dry_samples,
        "notes": _notes(model, state, watch),
    }


def _stacked(halves: Sequence[NDArray[np.float64]]) -> NDArray[np.float64] | None:
    """Return the halves of all batches ``[l, s, n, n]``, or None if they were not kept."""
    return np.stack(halves, axis=1) if halves else None
