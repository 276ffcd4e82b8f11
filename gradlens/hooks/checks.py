"""Checks of a capture: batch size, loss, sites, graph, and the exactness of every sum.

Every check raises a GradlensError that names the batch or the site and the remedy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gradlens.errors import GradlensError, close_matches
from gradlens.grams.accumulator import BatchGrams
from gradlens.grams.agreement import TOLERANCE as SUM_TOLERANCE
from gradlens.grams.sums import TOLERANCE
from gradlens.graph.nodes import Graph
from gradlens.graph.owners import Owner
from gradlens.graph.plan import Plan
from gradlens.graph.recurrences import recurrences
from gradlens.hooks.finiteness import first_not_finite
from gradlens.hooks.samples import batch_size
from gradlens.losses import Losses, losses_of
from gradlens.metrics.hsic import FEWEST
from gradlens.recording.watch import SITES, Watch

WITHOUT_DOUBLE = ("mps",)
"""Types of devices without float64: Apple's Metal."""
ONE_SAMPLE = (
    "the batches are single samples, as a data set yields them; give DataLoader(dataset, batch_size=32, "
    "drop_last=True)"
)


def checked_size(index: int, batch: object, watch: Watch) -> int:
    """Return the number of samples of a batch.

    Raises:
        GradlensError: the number is unknown or below ``FEWEST``.
    """
    n = watch.samples or batch_size(batch)
    if not n:
        raise GradlensError(
            f"cannot find the samples in batch {index}, a {type(batch).__name__}; pass the number of samples per "
            "batch: capture(..., samples=N)"
        )
    if n < FEWEST and is_one_sample(batch):
        raise GradlensError(ONE_SAMPLE)
    if n < FEWEST:
        raise GradlensError(
            f"batch {index} has {n} samples; gradients are compared over samples and the unbiased "
            f"HSIC needs at least {FEWEST} (and BatchNorm in train mode at least 2): give batches of {FEWEST} or more"
            + ("; a DataLoader leaves out a smaller last batch with drop_last=True" if index else "")
        )
    return n


def is_one_sample(batch: object) -> bool:
    """Return whether a batch is one sample and its target, a number."""
    if not isinstance(batch, (tuple, list)) or len(batch) != 2 or not isinstance(batch[0], Tensor):
        return False
    target = batch[1]
    return target.dim() == 0 if isinstance(target, Tensor) else isinstance(target, (int, float))


def check_model(model: nn.Module) -> None:
    """Raise if a model can neither be captured nor watched.

    Raises:
        GradlensError: a part is a program that cannot be read, or on a device without float64.
    """
    check_readable(model)
    check_device(model)


def check_readable(model: nn.Module) -> None:
    """Raise if a part of the model that learns, or has no mode, is a program of TorchScript or ``torch.export``."""
    for path, module in model.named_modules():
        name = path or "the model"
        if isinstance(module, torch.jit.ScriptModule):
            frozen = not hasattr(module, "training")
            if frozen or any(parameter.requires_grad for parameter in module.parameters()):
                kind = "scripted or traced" + (", then frozen" if frozen else "")
                raise GradlensError(
                    f"{name} is a TorchScript module ({kind}), which hides the layers of its operations; capture the "
                    "module that it was made from"
                )
        elif isinstance(module, torch.fx.GraphModule) and "train" in vars(module):
            raise GradlensError(  # torch.export replaces the method train by one that raises
                f"{name} is a program of torch.export, whose mode is fixed and whose operations belong to no module; "
                "capture the module that was exported"
            )


def check_device(model: nn.Module) -> None:
    """Raise if a tensor of the model is on a device without float64, in which sums are checked."""
    for name, tensor in chain(model.named_parameters(), model.named_buffers()):
        if tensor.device.type in WITHOUT_DOUBLE:
            raise GradlensError(
                f"{name} is on {tensor.device}, which has no float64, and sums of gradients are checked in float64; "
                'move the model and the batches to the CPU: model.to("cpu")'
            )


def check_same_size(index: int, n: int, first: int) -> None:
    """Raise if the number of samples differs from the first batch."""
    if n != first:
        last = "; a DataLoader leaves out a smaller last batch with drop_last=True" if n < first else ""
        raise GradlensError(
            f"batch {index} has {n} samples, the first {first}; use batches of equal size{last}"
        )


def checked_losses(index: int, model: nn.Module, run: Callable[[], object]) -> Losses:
    """Run a step and return its losses.

    The value of a single loss on an accelerator is not waited for: it is checked after the pass (``loss_error``).

    Raises:
        GradlensError: a loss is not a scalar, is not finite, or no graph is recorded.
    """
    losses = losses_of(run())
    for name, loss in {
        **{f" {name!r}": part for name, part in losses.parts.items()},
        "": losses.total,
    }.items():
        if not (loss.is_cpu or losses.parts):
            continue
        value = loss.item()
        if not math.isfinite(value):
            raise loss_error(index, name, value, model, run)
        if name and value and not loss.requires_grad and losses.total.requires_grad:
            raise GradlensError(
                f"batch {index}: the loss{name} is {value:.4g} but requires no gradient: it is detached, or computed "
                "under torch.no_grad; return only losses to train by"
            )
    if losses.total.is_inference() or not torch.is_grad_enabled():
        raise GradlensError("no graph is recorded in torch.inference_mode(); call capture outside of it")
    return losses


def loss_error(
    index: int, name: str, value: float, model: nn.Module, run: Callable[[], object]
) -> GradlensError:
    """Return the error of a loss that is not finite; the step is run again to find the module."""
    return GradlensError(f"batch {index}: the loss{name} is {value}{first_not_finite(model, run)}")


def check_same_losses(index: int, losses: Sequence[str], first: Sequence[str]) -> None:
    """Raise if a batch has other losses than the first."""
    if set(losses) != set(first):
        raise GradlensError(
            f"batch {index} has the losses {', '.join(losses) or '(one)'}, the first batch "
            f"{', '.join(first) or '(one)'}; return the same losses for each batch, zero where a "
            "batch has nothing for one of them"
        )


def check_sums(plan: Plan, errors: NDArray[np.float64], eps: float) -> None:
    """Raise if the gradients of the losses do not add up to the gradient of their sum.

    Args:
        plan: what is watched.
        errors: relative error by probe, ``[p]``.
        eps: relative precision of the gradients.
    """
    worst = int(np.argmax(errors)) if len(errors) else 0
    if len(errors) and errors[worst] > max(SUM_TOLERANCE, 4 * eps):
        raise GradlensError(
            f"the gradients of the losses do not add up to that of their sum at {plan.probes[worst].name} (relative "
            f"error {errors[worst]:.1e}). A hook or a backward function that is not linear in the gradient, as one "
            "that clips it, would explain this; leave it out of the measured step, or use by_loss=False"
        )


def check_sites(plan: Plan, watch: Watch) -> None:
    """Raise if the glob of modules selects nothing to watch."""
    if plan.signals or plan.groups or watch.modules is None:
        return
    modules = sorted({owner.module for owner in plan.owners if owner.module})
    raise GradlensError(
        f"no watched module matches {watch.modules!r}; there are {', '.join(modules[:6])}, … "
        f"({len(modules)} in all), or use {', '.join(SITES)}" + close_matches(watch.modules, modules)
    )


def check_same_graph(
    index: int, graph: Graph, plan: Plan, owners: Callable[[Graph], Sequence[Owner]]
) -> None:
    """Raise if the graph of a batch differs from the graph of the first.

    Args:
        index: number of the batch.
        graph: its graph.
        plan: what is watched in the first batch.
        owners: returns the owner of each node.
    """
    first = plan.graph
    if graph.structure == first.structure:
        return
    lengths = [steps.last for steps in recurrences(graph, owners(graph)).series]
    known = [probe.last for probe in plan.series.values()]
    if known and max(lengths, default=0) != max(known):
        raise GradlensError(
            f"the recurrence has {max(known)} steps in the first batch and {max(lengths, default=1)} in batch {index}; "
            "the steps of all batches are put together, so use sequences of one length: pad them, or capture each "
            "length alone"
        )
    pairs = zip(first.nodes, graph.nodes, strict=False)
    changes = [
        f"{old.operation} became {new.operation}" for old, new in pairs if old.operation != new.operation
    ]
    change = changes[0] if changes else f"{len(first.nodes)} operations became {len(graph.nodes)}"
    raise GradlensError(
        f"batch {index}: the graph changed ({change}); recordings of layers that are switched "
        "on and off at random, or of states that keep the graph of an earlier batch, cannot be averaged: capture in "
        "eval mode, one batch at a time, or detach the state"
    )


def same_shapes(graph: Graph, first: Graph) -> bool:
    """Return whether the tensors of two graphs of one structure have equal shapes, and move their rows equally."""
    return all(
        old.shapes == new.shapes and old.detail == new.detail
        for old, new in zip(first.nodes, graph.nodes, strict=True)
    )


def same_trained(graph: Graph, first: Graph) -> bool:
    """Return whether the operations of two graphs of one structure read the same trained parameters."""
    return all(
        (old.parameter, old.roots, old.reads) == (new.parameter, new.roots, new.reads)
        for old, new in zip(first.nodes, graph.nodes, strict=True)
    )


def check_same_sites(index: int, plan: Plan, first: Plan) -> None:
    """Raise if the sites of a batch of other shapes differ from those of the first; stages depend on sizes."""
    groups, known = ([replace(group, stage="") for group in p.groups] for p in (plan, first))
    if plan.taps != first.taps or plan.signals != first.signals or groups != known:
        raise GradlensError(
            f"batch {index}: its tensors have other shapes than those of the first batch, and so other sites; capture "
            "batches of one shape together"
        )


def check_exact(plan: Plan, value: BatchGrams, dry_errors: dict[int, float]) -> None:
    """Raise if the contributions at a group do not add up to its gradient, in this pass or the dry pass."""
    errors = dict(value.errors)
    for group, dry in dry_errors.items():
        errors[group] = max(errors.get(group, 0.0), 0.0 if math.isnan(dry) else dry)
    for group, error in errors.items():
        if error > value.tolerances.get(group, TOLERANCE):
            raise GradlensError(
                f"the contributions at {plan.groups[group].site} do not add up to its gradient "
                f"(relative error {error:.1e}); all other numbers would be wrong. A hook on that tensor, or its node, "
                "that changes the gradient (register_hook, register_prehook) would explain this; leave it out of the "
                "measured step"
            )
