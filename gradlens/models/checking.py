"""Check the name of a network, its files and its task before torch is loaded."""

from __future__ import annotations

from pathlib import Path

from gradlens.catalogue.datasets import CLASSIFICATION, DATASETS, DETECTION, SEGMENTATION, data_set
from gradlens.errors import GradlensError
from gradlens.models.files import check_weights
from gradlens.models.sources.adapter import ANY, KINDS, TARGETS
from gradlens.models.spec import NetworkSpec

COCO = "coco:"
"""Start of the name of data in a COCO file, which have boxes; all other data that are not listed have classes."""
ACCEPTED = {SEGMENTATION: (DETECTION,)}
"""Other tasks whose data a network takes: scenes have masks."""


def check_network(
    network: NetworkSpec, checkpoint: str | Path | None = None, pretrained: bool = False
) -> None:
    """Check the name of a network and its files without running or loading any of them.

    Raises:
        GradlensError: the name is unknown, a file does not exist or cannot be read, a Python file has an error of
            syntax or no such function, a package is missing, or pretrained weights are requested that cannot exist.
    """
    source = network.source
    if pretrained and checkpoint is not None:
        raise GradlensError("pretrained weights and a checkpoint exclude each other; give one of them")
    if pretrained and network.changes:
        raise GradlensError(f"there are no pretrained weights of {network}; leave out pretrained=True")
    if pretrained and not source.adapter.weights:
        raise GradlensError(
            f"there are no pretrained weights for {source.name}; give a file of weights as checkpoint=FILE"
        )
    source.adapter.require(source.name)
    source.adapter.names.check(source.name)
    if checkpoint is not None:
        check_weights(Path(checkpoint))


def check_task(network: NetworkSpec, data: str) -> None:
    """Check that a network by name is made for the targets of the data by name.

    Raises:
        GradlensError: it is not.
    """
    wanted = network.source.adapter.task
    known = data_set(data)
    others = DETECTION if data.startswith(COCO) else CLASSIFICATION
    task = DATASETS[known].task if known else others
    if wanted == ANY or _fits(wanted, task):
        return
    names = [name for name, entry in DATASETS.items() if _fits(wanted, entry.task)]
    use = f"use data={' or '.join(map(repr, names))}" if names else "give batches of your own as data="
    raise GradlensError(f"{network} is {KINDS[wanted]}, and data={data!r} has {TARGETS[task]}; {use}")


def _fits(wanted: str, task: str) -> bool:
    """Return whether networks of one task learn from the data of another."""
    return task == wanted or task in ACCEPTED.get(wanted, ())
