"""The step of a network by name: that of the library from which it comes, unless the caller gives one."""

from __future__ import annotations

from dataclasses import replace

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
    return study if losses is None else replace(study, supply=replace(supply, step=losses))
