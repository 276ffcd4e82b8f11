"""The usual loss of outputs that libraries have made standards.

Auxiliary classifiers count 0.3 in GoogLeNet (Szegedy et al. 2015, section 5) and 0.4 in Inception v3, as in its
TensorFlow release and PyTorch's tutorial. The auxiliary output of a segmentation network counts 0.5, and class 255 is
no class, as in torchvision's reference training. Detectors of torchvision and networks of transformers compute their
losses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from gradlens.devices import beside
from gradlens.signatures import parameters_of

Losses = Mapping[str, Tensor]
"""Losses by name; their sum is the loss."""
AUXILIARY = {"GoogLeNetOutputs": 0.3, "InceptionOutputs": 0.4}
"""Weight of each auxiliary classifier by type of the output."""
SEGMENTATION_AUXILIARY = 0.5
NO_CLASS = 255


def classification_losses(output: object, targets: Tensor) -> Losses | None:
    """Return the losses of an output with auxiliary classifiers; None for any other output."""
    weight = AUXILIARY.get(type(output).__name__)
    if weight is None or not isinstance(output, tuple):
        return None
    fields: dict[str, Tensor | None] = output._asdict()  # type: ignore[attr-defined]
    return {
        name: (1.0 if name == "logits" else weight) * functional.cross_entropy(value, targets)
        for name, value in fields.items()
        if value is not None
    }


def segmentation_losses(output: object, targets: object) -> Losses | None:
    """Return the losses of a segmentation network on maps of classes ``[n, h, w]``; None for any other output."""
    if not isinstance(output, Mapping) or "out" not in output or not set(output) <= {"out", "aux"}:
        return None
    maps = isinstance(targets, Tensor) and targets.dim() == 3 and not targets.is_floating_point()
    if not maps or output["out"].dim() != 4 or output["out"].shape[2:] != targets.shape[1:]:  # type: ignore[attr-defined]
        return None
    weights = {"out": 1.0, "aux": SEGMENTATION_AUXILIARY}
    return {
        name: weights[name] * functional.cross_entropy(value, targets, ignore_index=NO_CLASS)  # type: ignore[arg-type]
        for name, value in output.items()
    }


def takes_batch(model: nn.Module, batch: object) -> bool:
    """Return whether a batch is a mapping with labels, all of whose entries are parameters of the model's forward."""
    if not isinstance(batch, Mapping):
        return False
    parameters = parameters_of(model)
    labels = any(str(name).endswith(("labels", "label_ids", "_positions")) for name in batch)
    return labels and all(name in parameters for name in batch)


def own_loss(model: nn.Module, batch: Mapping[str, Any]) -> Tensor | None:
    """Return the loss that a model computes from a batch with labels; None if it returns none."""
    output = model(**beside(model, dict(batch)))
    loss = output.get("loss") if isinstance(output, Mapping) else getattr(output, "loss", None)
    return loss if isinstance(loss, Tensor) and loss.numel() == 1 else None
