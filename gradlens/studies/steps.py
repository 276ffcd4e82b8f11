"""The step of a network in a study: that of the caller, else that of the library from which the network comes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from gradlens.models.checking import check_task
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
    return study if losses is None else replace(study, supply=replace(supply, step=_summed(losses)))


def _summed(losses: Callable[[nn.Module, Any], Tensor | Mapping[str, Tensor]]) -> Callable[..., Tensor]:
    """Return a step that returns the sum of the losses."""

    def step(model: nn.Module, batch: Any) -> Tensor:
        value = losses(model, batch)
        if isinstance(value, Tensor):
            return value
        first, *others = value.values()
        return sum(others, start=first)

    return step
