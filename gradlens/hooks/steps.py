"""The step whose backward pass is recorded, and the labels in its batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from gradlens.detection import detector_losses, is_detector
from gradlens.devices import beside
from gradlens.errors import GradlensError, callers_errors
from gradlens.hooks.checks import ONE_SAMPLE, is_one_sample
from gradlens.hooks.remedies import detector_line, loss_line, step_line, unmet_parameter
from gradlens.losses import Returned, contents
from gradlens.randomness import seed_all
from gradlens.signatures import needed_inputs
from gradlens.standard import classification_losses, own_loss, segmentation_losses, takes_batch

Loss = Callable[[Any, Any], Tensor]
Step = Callable[[nn.Module, Any], Returned]
"""Returns the loss, or several losses by name, whose sum is the loss."""
Pair = tuple[Any, Any]
"""Inputs of the model and targets of the loss."""


def errors_of(step: Step, model: nn.Module) -> AbstractContextManager[None]:
    """Raise exceptions of the caller's step, loss or model in the block as theirs."""
    supervised = getattr(step, "__module__", "") == __name__
    return callers_errors("loss" if supervised else "step", model)


def step_of(loss: Loss | None, step: Step | None, losses: Mapping[str, Loss] | None = None) -> Step:
    """Return ``step``, or a step that computes ``loss`` or several losses for a batch of (inputs, targets).

    Raises:
        GradlensError: two of them are passed, or ``losses`` is no mapping of functions.
    """
    if sum(option is not None for option in (loss, step, losses)) > 1:
        raise GradlensError(
            "give loss=, losses= or step=, not both: a step computes its own loss, or several in a mapping"
        )
    if step is not None:
        return step
    criterion = loss or functional.cross_entropy if losses is None else _several(losses)
    usual = criterion is functional.cross_entropy

    def supervised(model: nn.Module, batch: object) -> Returned:
        if usual and is_detector(model) and model.training and not _has_classes(batch):
            return detector_losses(model, batch)
        if usual and takes_batch(model, batch):
            loss = own_loss(model, cast(Mapping[str, Any], batch))
            if loss is not None:
                return loss.squeeze()
        inputs, targets = _pair(model, batch)
        if isinstance(inputs, Tensor):
            inputs, targets = beside(model, (inputs, targets))
        output = _output(model, inputs, batch)
        if not usual:
            return criterion(output, targets)
        standard = classification_losses(output, targets) or segmentation_losses(output, targets)
        return _cross_entropy(output, targets) if standard is None else standard

    return supervised


def _several(losses: Mapping[str, Loss]) -> Callable[[Any, Any], Returned]:
    """Return a function of (output, target) that computes all losses by name."""
    if not isinstance(losses, Mapping) or not losses or not all(map(callable, losses.values())):
        raise GradlensError(
            "losses= is no mapping of functions; give losses={'cls': f, 'box': g}, each a function of (output, target) "
            "that returns a scalar; by_loss=False measures only their sum"
        )
    named = {str(name): loss for name, loss in losses.items()}
    return lambda output, target: {name: loss(output, target) for name, loss in named.items()}


def _has_classes(batch: object) -> bool:
    """Return whether a batch is images with one class each."""
    return isinstance(batch, (tuple, list)) and len(batch) == 2 and isinstance(batch[1], Tensor)


def _output(model: nn.Module, inputs: object, batch: object) -> Any:
    """Run the model.

    Raises:
        GradlensError: it asks for targets, or returns what a detector returns in eval mode, which has no loss.
    """
    try:
        output = model(inputs)
    except (AssertionError, TypeError, ValueError) as error:
        missing = unmet_parameter(model, error)
        if not missing:
            raise
        raise GradlensError(
            f"{type(model).__name__} takes {missing} in train mode and returns its losses, as a detector does; give "
            f"{detector_line(batch)}"
        ) from error
    if isinstance(output, list) and output and isinstance(output[0], Mapping) and "boxes" in output[0]:
        line = f" and give {detector_line(batch)}" if _has_classes(batch) else ""
        raise GradlensError(
            f"{type(model).__name__} returns boxes in eval mode, as a detector does, and its losses in train mode "
            f"only; use mode='train'{line}"
        )
    return output


def _pair(model: nn.Module, batch: object) -> Pair:
    """Return the inputs and the targets of a batch for a model of one input.

    Raises:
        GradlensError: the batch has another form, or the model takes several inputs.
    """
    needed = needed_inputs(model)
    several = len(needed) > 1
    pair = isinstance(batch, (tuple, list)) and len(batch) == 2
    if is_one_sample(batch):
        raise GradlensError(ONE_SAMPLE)
    if isinstance(batch, Tensor):
        raise GradlensError(
            "a batch is a tensor, not (inputs, targets); give a list of batches, [(inputs, targets), ...], or if there "
            f"are no targets, {step_line(model, batch)}"
        )
    if not pair:
        kind = f"{type(batch).__name__}{contents(batch)}"
        raise GradlensError(f"a batch is a {kind}, not (inputs, targets); give {step_line(model, batch)}")
    inputs, targets = cast(Pair, batch)
    if several:
        raise GradlensError(
            f"{type(model).__name__} takes {len(needed)} inputs ({', '.join(needed)}), and a batch is (inputs, "
            f"targets); give {step_line(model, batch)}"
        )
    return inputs, targets


def _cross_entropy(output: object, targets: object) -> Tensor:
    """Return the cross entropy of logits and classes.

    Raises:
        GradlensError: the output is not one tensor, or does not fit the targets.
    """
    if not isinstance(output, Tensor):
        raise GradlensError(
            f"the model returns a {type(output).__name__}{contents(output)}, not a tensor of logits; give "
            f"{loss_line(output)}"
        )
    line = _line_of_numbers(output, targets)
    if line:
        raise GradlensError(
            f"the targets are numbers of shape {list(targets.shape)}, not classes or probabilities of the "  # type: ignore[attr-defined]
            f"{output.shape[1] if output.dim() > 1 else 1} logits; give {line}"
        )
    try:
        return functional.cross_entropy(output, targets)  # type: ignore[arg-type]
    except (RuntimeError, ValueError, TypeError) as error:
        shape = list(targets.shape) if isinstance(targets, Tensor) else type(targets).__name__
        raise GradlensError(
            f"cross entropy does not fit an output of shape {list(output.shape)} and targets {shape} "
            f"({' '.join(str(error).split())[:120]}); give {loss_line(output)}, or another loss of yours"
        ) from error


def _line_of_numbers(output: Tensor, targets: object) -> str:
    """Return the loss to give if cross entropy of these targets has a value without a meaning; else empty."""
    if not isinstance(targets, Tensor) or output.shape != targets.shape or not targets.is_floating_point():
        return ""
    sums = targets.detach().sum(1) if targets.dim() > 1 else targets.detach()
    several = output.dim() > 1 and output.shape[1] > 1
    if several and bool((targets >= 0).all()) and torch.allclose(sums, torch.ones_like(sums), atol=1e-3):
        return ""
    binary = bool(((targets >= 0) & (targets <= 1)).all())
    name = "binary_cross_entropy_with_logits" if binary else "mse_loss"
    return f"`loss=lambda output, target: torch.nn.functional.{name}(output, target)`"


def seed_draws(seed: int, batch: int) -> None:
    """Seed dropout and similar draws by seed and batch, the same in each capture; ``preserved`` restores the states."""
    seed_all((seed * 1_000_003 + batch) % (1 << 63))


def labels_of(batch: object, n: int) -> Tensor | None:
    """Return the integer class of each sample, ``[n]`` on its device, if a batch is (inputs, targets); else None."""
    if not isinstance(batch, (tuple, list)) or len(batch) != 2 or not isinstance(batch[1], Tensor):
        return None
    targets = batch[1]
    if targets.shape != (n,) or targets.is_floating_point():
        return None
    return targets.detach()
