"""The one line to write for a network or a batch that is not one input, one output and one target.

The line is Python, between backquotes: a ``step=`` or a ``loss=`` with a lambda.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor, nn

from gradlens.hooks.returning import returned_tensors
from gradlens.signatures import needed_inputs, parameters_of

CROSS_ENTROPY = "torch.nn.functional.cross_entropy"
TARGETS = ("labels", "label", "targets", "target", "y", "classes", "class")
LOGITS = ("logits", "out", "output", "prediction", "pred", "scores")


def step_line(model: nn.Module, batch: object) -> str:
    """Return a step for a batch that is not (inputs, targets), or a model of several inputs."""
    inputs = needed_inputs(model)
    if isinstance(batch, Mapping):
        arguments, target = _from_mapping(model, inputs, batch)
        if target is None:
            return f"`step=lambda model, batch: model({arguments}).loss`"
    elif isinstance(batch, Sequence) and len(batch) == 2:
        arguments, target = _from_pair(batch[0], len(inputs)), "batch[1]"
    elif isinstance(batch, Sequence) and len(batch) > 2:
        count = min(len(inputs) or 1, len(batch) - 1)
        arguments = ", ".join(f"batch[{index}]" for index in range(count))
        target = f"batch[{count}]"
    elif is_dataclass(batch):
        arguments, target = _from_fields(inputs, [field.name for field in fields(batch)])
    else:
        return "`step=lambda model, batch: model(batch).mean()`"
    return f"`step=lambda model, batch: {CROSS_ENTROPY}(model({arguments}), {target})`"


def detector_line(batch: object) -> str:
    """Return a step for a detector, which takes lists of images and of targets, and returns its losses in train mode.

    For images with one class each, the box of an object is the whole image.
    """
    targets = batch[1] if isinstance(batch, (list, tuple)) and len(batch) == 2 else None
    if not isinstance(targets, Tensor):
        return "`step=lambda model, batch: sum(model(*batch).values())`"
    box = "torch.tensor([[0.0, 0.0, *image.shape[:0:-1]]])"
    return (
        f'`step=lambda model, batch: sum(model(list(batch[0]), [{{"boxes": {box}, "labels": label[None] + 1}} for '
        "image, label in zip(*batch)]).values())`"
    )


def unmet_parameter(model: nn.Module, error: Exception) -> str:
    """Return a parameter of the model's forward that may be left out, and that an error asks for; else empty."""
    words = set(re.findall(r"\w+", str(error)))
    optional = [item.name for item in parameters_of(model).values() if item.default is None]
    return next((name for name in optional if name in words and name.startswith("target")), "")


def loss_line(output: object) -> str:
    """Return a loss for an output that is not logits."""
    if isinstance(output, Tensor):
        if output.dim() == 0:
            return "`loss=lambda output, target: output`"
        return "`loss=lambda output, target: output.flatten(1).square().mean()`"
    if isinstance(output, (list, tuple)) and len(output) > 1 and all(map(returned_tensors, output)):
        heads = {_logits(item, "head") for item in output}
        if len(heads) == 1:
            return f"`loss=lambda output, target: sum({CROSS_ENTROPY}({heads.pop()}, target) for head in output)`"
    return f"`loss=lambda output, target: {CROSS_ENTROPY}({_logits(output, 'output')}, target)`"


def _logits(output: object, name: str) -> str:
    """Return the expression for the logits in an output: the entry that is named so, or else the first tensor."""
    if isinstance(output, Tensor):
        return name
    if isinstance(output, (list, tuple)) and not hasattr(output, "_fields"):
        index = next((i for i, item in enumerate(output) if returned_tensors(item)), 0)
        return _logits(output[index], f"{name}[{index}]") if output else f"{name}[0]"
    entries = _entries(output)
    written = '{}["{}"]' if isinstance(output, Mapping) else "{}.{}"
    tensors = [str(key) for key, value in entries.items() if isinstance(value, Tensor)]
    chosen = next((key for key in LOGITS if key in tensors), tensors[0] if tensors else "")
    if chosen or not entries:
        return written.format(name, chosen or "logits")
    key, value = next(
        ((k, v) for k, v in entries.items() if returned_tensors(v)), next(iter(entries.items()))
    )
    return _logits(value, written.format(name, key))


def _entries(output: Any) -> Mapping[Any, Any]:
    if isinstance(output, Mapping):
        return output
    if hasattr(output, "_fields"):
        return {name: getattr(output, name) for name in output._fields}
    return vars(output) if hasattr(output, "__dict__") else {}


def _from_mapping(
    model: nn.Module, inputs: Sequence[str], batch: Mapping[object, object]
) -> tuple[str, str | None]:
    """Return the arguments of the model and the target; the target is None if the model computes its loss."""
    names = [name for name in batch if isinstance(name, str)]
    parameters = parameters_of(model)
    target = next((name for name in TARGETS if name in names), names[-1] if names else "target")
    if target in parameters:
        return "**batch", None
    shared = [name for name in names if name in parameters and name != target]
    if shared:
        return ", ".join(f'{name}=batch["{name}"]' for name in shared), f'batch["{target}"]'
    others = [name for name in names if name != target][: max(len(inputs), 1)] or ["inputs"]
    return ", ".join(f'batch["{name}"]' for name in others), f'batch["{target}"]'


def _from_fields(inputs: Sequence[str], names: Sequence[str]) -> tuple[str, str]:
    """Return the arguments of the model and the target from the fields of a dataclass."""
    target = next((name for name in TARGETS if name in names), names[-1] if names else "target")
    others = [name for name in names if name != target]
    shared = [name for name in inputs if name in others] or others[: max(len(inputs), 1)] or ["inputs"]
    return ", ".join(f"batch.{name}" for name in shared), f"batch.{target}"


def _from_pair(inputs: object, count: int) -> str:
    if isinstance(inputs, Mapping):
        return "**batch[0]"
    if isinstance(inputs, (list, tuple)):
        return "*batch[0]"
    return ", ".join(["batch[0]"] * max(count, 1))
