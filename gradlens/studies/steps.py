"""The step of a study: that of the caller, or the usual one for the task of the data."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from gradlens.catalogue.datasets import DETECTION
from gradlens.data import Batches
from gradlens.detection import detector_losses
from gradlens.errors import GradlensError
from gradlens.models.sgd import Step
from gradlens.signatures import parameters_of
from gradlens.studies.objects import Supply


def step_for(supply: Supply, data: Batches) -> Step | None:
    """Return the step that trains and measures a network on data; None for cross entropy, or the caller's loss."""
    if supply.step is not None or supply.loss is not None or data.task != DETECTION:
        return supply.step
    return detection_step


def detection_step(model: nn.Module, batch: object) -> Mapping[str, Tensor]:
    """Return the losses of a detector by name, as torchvision's detectors return them in train mode.

    Args:
        model: called with the list of images and the list of targets.
        batch: (images, targets).

    Raises:
        GradlensError: the network takes no targets, they do not fit it, or it returns no losses.
    """
    if len(parameters_of(model)) < 2:
        raise GradlensError(
            f"{type(model).__name__} takes no targets, so it is no detector, and these data are scenes with boxes; "
            "name a detector, such as torchvision:fcos_resnet50_fpn, or use data with one class per image"
        )
    return detector_losses(model, batch)
