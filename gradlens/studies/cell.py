"""One cell of a study: one network on the samples of one seed."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from torch import nn

from gradlens.catalogue.datasets import CLASSIFICATION
from gradlens.data import Batches, load_data
from gradlens.data.checks import single_class
from gradlens.errors import GradlensError, ModelNote
from gradlens.hooks import capture
from gradlens.models import lift_zero_init, load_model, zero_gains
from gradlens.models.checkpoint import head_classes
from gradlens.models.shape import InputShape
from gradlens.models.spec import NetworkSpec
from gradlens.models.supplied import Factory, copied, supplied_model
from gradlens.progress import Progress
from gradlens.recording import Recording
from gradlens.studies.options import Study
from gradlens.studies.steps import step_for

REPEATS = 5
"""Timed steps if throughput is measured."""
DARKNET_WEIGHTS = ".weights"

Weights = str | Path | None
"""A file of weights, or None for fresh ones."""


@dataclass(frozen=True)
class Subject:
    """A network to measure.

    Attributes:
        spec: its name and transition strategy.
        label: its name in tables.
        checkpoint: its file of weights, or None.
        supplied: the module or factory of a network that has no name for ``load_model``, or None.
    """

    spec: NetworkSpec
    label: str
    checkpoint: Weights = None
    supplied: nn.Module | Factory | None = None

    @property
    def name(self) -> str:
        """Name of the network."""
        return str(self.spec)

    @property
    def stored(self) -> bool:
        """Whether its weights are the same for every seed."""
        return self.checkpoint is not None or isinstance(self.supplied, nn.Module)


class Built(NamedTuple):
    """A network with its initial weights.

    Attributes:
        model: the network.
        notes: remarks on how it was made.
        zero_gains: names of the gains that its library initialises with zero.
    """

    model: nn.Module
    notes: list[str]
    zero_gains: list[str]

    def described(self, recording: Recording) -> Recording:
        """Return a recording of the network with these remarks in its ``meta``."""
        notes = [*self.notes, *recording.provenance.notes]
        return recording.with_meta(notes=notes, zero_gains=self.zero_gains)


def samples_of(study: Study, seed: int, *, batches: int | None = None, start: int = 0) -> Batches:
    """Load the batches of one seed.

    Args:
        study: the options.
        seed: determines the order of samples.
        batches: number of batches; None takes the number that the study measures.
        start: number of batches to skip at the start of the order.

    Raises:
        GradlensError: the data has a single class.
    """
    count = study.batches if batches is None else batches
    if study.supply.batches is not None:
        supplied: Batches = study.supply.batches.batches(seed, count, start)
        return supplied
    data = load_data(
        study.data,
        batch_size=study.batch_size,
        batches=count,
        image_size=study.image_size,
        seed=seed,
        skip_bad=study.skip_bad,
        start=start,
        num_classes=study.num_classes,
    )
    if data.num_classes < 2 and data.task == CLASSIFICATION:
        raise single_class(study.data)
    return data


def spare_batches(study: Study, seed: int, data: Batches, count: int, start: int) -> Batches:
    """Load up to ``count`` batches after the first ``start`` in the order of a seed, for warm-up or training.

    Raises:
        GradlensError: no batch is left.
    """
    total = data.identity["total"]
    if study.supply.batches is not None:
        left = count if total is None else max(int(total) // max(study.batch_size, 1) - start, 1)
        supplied: Batches = study.supply.batches.batches(seed, min(count, left), start)
        return supplied
    left = count if total is None else int(total) // study.batch_size - start
    if left < 1:
        raise GradlensError(
            f"{total} samples leave none for warm-up or training after {start} batches of {study.batch_size}; lower "
            "batches= or batch_size="
        )
    return samples_of(study, seed, batches=min(count, left), start=start)


def build_network(study: Study, network: Subject, data: Batches, seed: int) -> Built:
    """Build a network for the data, with the initial weights of the seed; loaded weights are never changed."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ModelNote)
        model = _built(study, network, data, seed)
    for warning in caught:
        if not issubclass(warning.category, ModelNote):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    notes = [str(note.message) for note in caught if issubclass(note.category, ModelNote)]
    gains = [] if study.pretrained or network.stored else zero_gains(model)
    if gains and not study.zero_init:
        lift_zero_init(model)
    return Built(model, list(dict.fromkeys(notes)), gains)


def _built(study: Study, network: Subject, data: Batches, seed: int) -> nn.Module:
    """Return the network of a seed, with the head of its file of weights, else one for the classes of the data."""
    if 0 < study.num_classes < data.num_classes:
        raise GradlensError(
            f"num_classes={study.num_classes} is less than the {data.num_classes} classes of the data; use "
            f"num_classes={data.num_classes} or more"
        )
    if network.checkpoint is None or study.num_classes or not data.num_classes:
        return _of_classes(study, network, data, seed, study.num_classes or data.num_classes or None)
    if str(network.checkpoint).endswith(DARKNET_WEIGHTS):  # its head is taken over layer by layer
        return _of_classes(study, network, data, seed, data.num_classes)
    without = replace(study, pretrained=False), replace(network, checkpoint=None)
    fresh = _of_classes(*without, data, seed, data.num_classes)
    classes = head_classes(fresh, network.checkpoint, data.num_classes)
    if classes is None:
        return _of_classes(study, network, data, seed, data.num_classes)
    if classes < data.num_classes:
        raise GradlensError(
            f"the head of {network.checkpoint} has {classes} classes, the data {data.num_classes}; use data with at "
            "most as many"
        )
    warnings.warn(
        f"the head has the {classes} classes of {Path(network.checkpoint).name}, of which the data use "
        f"{data.num_classes}",
        ModelNote,
        stacklevel=2,
    )
    return _of_classes(study, network, data, seed, classes)


def _of_classes(study: Study, network: Subject, data: Batches, seed: int, classes: int | None) -> nn.Module:
    stages = [path.strip() for path in study.stages.split(",") if path.strip()] or None
    if network.supplied is not None:
        batches = study.supply.batches
        model = supplied_model(
            network.supplied,
            network.spec.csp,
            InputShape(classes, data.in_chans, study.image_size),
            seed=seed,
            image=study.image_size if batches is None or batches.image is None else batches.image,
            zero_init=True,
            checkpoint=network.checkpoint,
            stages=stages,
        )
        return copied(model) if study.warmup_steps and model is network.supplied else model
    return load_model(
        network.spec,
        num_classes=classes,
        in_chans=data.in_chans,
        image_size=study.image_size,
        pretrained=study.pretrained,
        checkpoint=network.checkpoint,
        zero_init=True,
        seed=seed,
        stages=stages if network.spec.csp is not None or network.spec.twin is not None else None,
    )


def measure(
    study: Study,
    model: nn.Module,
    network: Subject,
    data: Batches,
    seed: int,
    *,
    keep_partial: bool = False,
    progress: Progress | None = None,
) -> Recording:
    """Capture one network on one seed; only the first seed measures costs and speed."""
    halves = study.null and not study.watch.of_weights
    step = step_for(study.supply, data)
    return capture(
        model,
        data,
        replace(study.watch, seed=seed, halves=halves),
        costs=seed == 0,
        throughput=REPEATS if study.throughput and seed == 0 else 0,
        keep_partial=keep_partial,
        progress=progress,
        loss=study.supply.loss,
        step=step,
        meta={
            "network": network.label,
            "name": network.name,
            "own_batches": study.supply.batches is not None,
            "zero_init": None if isinstance(network.supplied, nn.Module) else study.zero_init,
            "warmup_steps": study.warmup_steps,
            "stored_weights": network.stored or study.pretrained,
            "checkpoint": None if network.checkpoint is None else str(network.checkpoint),
        },
    )
