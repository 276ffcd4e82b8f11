"""What a recurrence carries back from its last step: a backward pass without what the loss reads of earlier steps.

With a loss at each step, or a mean over the steps, every step has a gradient of its own, and the size of the whole
gradient does not show whether a recurrence forgets. In this pass the gradient enters a recurrence at its last step.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node as AutogradNode

from gradlens.grams.gram import sample_energies
from gradlens.graph.nodes import Slot, TensorKey
from gradlens.graph.plan import Plan
from gradlens.hooks.recorder import cut_off, one_by_one, watch


def carried_energies(
    plan: Plan,
    n: int,
    loss: Tensor,
    nodes: list[AutogradNode],
    learning: Sequence[nn.Parameter],
    retain: bool = False,
) -> dict[int, Tensor]:
    """Run the backward pass of a retained graph without the exits of its recurrences.

    Args:
        plan: what is watched.
        n: samples.
        loss: scalar.
        nodes: live nodes by index; emptied, because they keep the graph alive.
        learning: the trainable parameters.
        retain: whether further passes follow.

    Returns:
        By probe of a step, the squared norm of the gradient of each sample ``[n]``; empty if the graph does not allow a
        second pass, as with some functions written in Python.
    """
    energies: dict[int, Tensor] = {}

    def receive(number: int, gradient: Tensor) -> None:
        energies[number] = sample_energies(
            gradient, plan.probes[number].rows, plan.probes[number].outer or 1, n
        )

    with watch(nodes, _steps(plan), one_by_one(receive)), cut_off(nodes, plan.exits):
        nodes.clear()
        try:
            torch.autograd.grad(loss, learning, allow_unused=True, retain_graph=retain)
        except RuntimeError:
            return {}
    return energies


def _steps(plan: Plan) -> dict[int, Slot | TensorKey]:
    return {
        step: plan.taps[step]
        for series in plan.series.values()
        if series.carried and series.sampled
        for step in series.steps
    }
