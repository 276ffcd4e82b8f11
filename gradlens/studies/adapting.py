"""The step of a network by name: that of the library from which it comes, unless the caller gives one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from gradlens.hooks.detection import check_targets, is_detector
from gradlens.models.checking import check_task
from gradlens.models.sgd import Step
from gradlens.studies.cell import Subject
from gradlens.studies.options import Study


def adapted(study: Study, network: Subject) -> Study:
    """Return a study with the step that a network by name needs, if the caller gives neither a step nor a loss.

    Raises:
        GradlensError: the network is not made for the targets of the data.
    """
    supply = study.supply
    if network.supplied is not None or supply.step is not None or supply.loss is not None:
        return study
    if supply.batches is None:
        check_task(network.spec, study.data)
    losses = network.spec.source.adapter.losses()
    return study if losses is None else replace(study, supply=replace(supply, step=_checked(losses)))


def _checked(losses: Step) -> Step:
    """Return a step that first checks the targets of detectors of torchvision, whose own errors are of tensors."""

    def step(model: nn.Module, batch: Any) -> Tensor | Mapping[str, Tensor]:
        if is_detector(model):
            check_targets(model, batch)
        return losses(model, batch)

    return step
