"""Running the cells (seed × network) of a study on the same samples."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from gradlens.catalogue import TABLES
from gradlens.data import Batches, load_data
from gradlens.errors import GradlensError, ModelNote
from gradlens.hooks import capture
from gradlens.models import load_model, warm_up
from gradlens.models.spec import NetworkSpec
from gradlens.progress import Progress, progress_callback
from gradlens.randomness import seeded
from gradlens.recording import Recording

SHOWN = 3
"""Skipped files that a warning names."""
REPEATS = 5
"""Timed steps where throughput is measured."""


@dataclass(frozen=True)
class Study:
    """What is asked of each network: the options of ``compare`` and ``inspect``.

    Attributes:
        data: ``digits``, ``random`` or a folder of images.
        image_size: height and width in pixels.
        batch_size: samples a batch, at least 4.
        batches: batches a seed.
        seeds: how many; a seed sets the weights and the choice of samples.
        sites: ``signals``, ``forks``, ``all`` or a glob of module paths.
        pairs: ``sketch`` or ``exact``.
        mode: ``train`` or ``eval``.
        space: ``activations`` or ``weights``; of one network or a comparison also ``both``.
        warmup_steps: SGD steps on other samples before the measurement.
        zero_init: leave zero-initialised normalisation weights at zero.
        pretrained: weights of the zoo the model comes from.
        skip_bad: leave out images that cannot be read.
        throughput: measure images a second, on the first seed.
        null: also the permutation null of duplication and the split-half ceiling of similarity.
        cca: also SVCCA and PWCCA of every two signals.
    """

    data: str = "digits"
    image_size: int = 64
    batch_size: int = 32
    batches: int = 4
    seeds: int = 3
    sites: str = "signals"
    pairs: str = "sketch"
    mode: str = "train"
    space: str = "activations"
    warmup_steps: int = 0
    zero_init: bool = True
    pretrained: bool = False
    skip_bad: bool = False
    throughput: bool = True
    null: bool = False
    cca: bool = False

    @property
    def extra(self) -> list[str]:
        """Tables on request."""
        return [entry.name for entry in TABLES if entry.option and getattr(self, entry.option)]

    def __post_init__(self) -> None:
        for name, least in (("seeds", 1), ("batches", 1), ("warmup_steps", 0)):
            if getattr(self, name) < least:
                raise GradlensError(f"{name}={getattr(self, name)}; use at least {least}")


@dataclass(frozen=True)
class Subject:
    """A network to measure, its label in tables, and its file of weights or None."""

    spec: NetworkSpec
    label: str
    checkpoint: Any = None

    @property
    def name(self) -> str:
        """Name of the network."""
        return str(self.spec)


def subjects(names: Sequence[str], checkpoints: Sequence[Any]) -> list[Subject]:
    """Networks with distinct labels: those of one name are told apart by their weights' files, or by place."""
    labels = list(names)
    for name in {name for name in names if names.count(name) > 1}:
        places = [place for place, other in enumerate(names) if other == name]
        tags = [str(checkpoints[place] or place + 1) for place in places]
        if len(set(tags)) < len(tags):
            tags = [f"{tag}, {place + 1}" for tag, place in zip(tags, places, strict=True)]
        for place, tag in zip(places, tags, strict=True):
            labels[place] = f"{name} [{tag}]"
    specs = map(NetworkSpec.parse, names)
    return [Subject(*parts) for parts in zip(specs, labels, checkpoints, strict=True)]


class Cells:
    """All recordings of a study, network by network; finished ones survive Ctrl-C.

    Args:
        study: the options.
        networks: what to measure.
        progress: called with (what, done, total) after every warm-up step and every batch; by default a
            line in a notebook.
    """

    def __init__(self, study: Study, networks: Sequence[Subject], progress: Progress | bool | None) -> None:
        self._study, self._networks, self._wanted = study, networks, progress
        self._progress: Progress | None = None
        self._total = study.seeds * len(networks) * (study.warmup_steps + study.batches)
        self._done = 0
        self._data: list[dict[str, Any]] = []
        self.partial = False

    @property
    def meta(self) -> dict[str, Any]:
        """Identity of the data of each seed, and whether the run was cut short."""
        return {"data_identity": self._data} | ({"partial": True} if self.partial else {})

    @property
    def warnings(self) -> list[str]:
        """What was passed over in the data."""
        return skipped_images(self._data)

    def run(self) -> list[Recording]:
        """One recording a network, of the same replicates.

        Raises:
            KeyboardInterrupt: before every network had finished a batch of the first seed.
        """
        finished: list[list[Recording]] = []
        try:
            with progress_callback(self._wanted) as self._progress:
                self._seeds(finished)
        except KeyboardInterrupt:
            self.partial = True
        whole = [_aligned(row) for row in finished if len(row) == len(self._networks)]
        if not whole:
            raise KeyboardInterrupt
        del self._data[len(whole) :]
        return [first.merge(*others) for first, *others in zip(*whole, strict=True)]

    def _seeds(self, finished: list[list[Recording]]) -> None:
        for seed in range(self._study.seeds):
            finished.append([])
            self._seed(seed, finished[-1])
            if self.partial:
                return

    def _seed(self, seed: int, row: list[Recording]) -> None:
        data = samples_of(self._study, seed)
        self._data.append(dict(data.identity))
        for network in self._networks:
            recording = self._cell(seed, network, data)
            row.append(recording)
            if recording.provenance.partial:
                self.partial = True
                return

    def _cell(self, seed: int, network: Subject, data: Batches) -> Recording:
        study = self._study
        what = f"seed {seed}: {network.label}"

        def advance(*step: Any) -> None:
            """A warm-up step (its number), or a batch (what, done, total); nothing done yet is a remark."""
            remark = step[0] if len(step) == 3 and step[1] == 0 else ""
            self._done += not remark
            if self._progress is not None:
                self._progress(f"{what}: {remark}" if remark else what, self._done, self._total)

        model, notes = fresh(study, network, data, seed)
        with fits(network.name, data):
            if study.warmup_steps:
                others = spare_batches(study, seed, data, study.warmup_steps, study.batches)
                with seeded(seed):
                    warm_up(model, others, steps=study.warmup_steps, progress=advance)
            found = measured(study, model, network, data, seed, keep_partial=True, progress=advance)
        return found.with_meta(notes=notes)


def skipped_images(identities: Sequence[Mapping[str, Any]]) -> list[str]:
    """A warning that names the images which could not be read, none where all could be."""
    files = list(dict.fromkeys(file for identity in identities for file in identity.get("skipped", ())))
    if not files:
        return []
    more = ", ..." if len(files) > SHOWN else ""
    return [f"{len(files)} images could not be read and were skipped: {', '.join(files[:SHOWN])}{more}"]


def samples_of(study: Study, seed: int, **changes: Any) -> Batches:
    """The batches of one seed; ``changes`` are arguments of ``load_data``."""
    request = {"batch_size": study.batch_size, "batches": study.batches, "image_size": study.image_size}
    data = load_data(study.data, **{**request, "seed": seed, "skip_bad": study.skip_bad, **changes})
    if data.num_classes < 2:
        raise GradlensError(
            f"{study.data} has one class; the cross entropy is 0 then and there is no gradient: give two classes"
        )
    return data


def spare_batches(study: Study, seed: int, data: Batches, wanted: int, start: int) -> Batches:
    """Up to ``wanted`` batches behind the first ``start`` of a seed's order: none of them is measured.

    Raises:
        GradlensError: the data has no batch left there.
    """
    total = data.identity["total"]
    left = wanted if total is None else int(total) // study.batch_size - start
    if left < 1:
        raise GradlensError(
            f"{total} samples leave none to warm up on beside {start} batches of {study.batch_size}; lower "
            "--batches or --batch-size"
        )
    return samples_of(study, seed, batches=min(wanted, left), start=start)


def fresh(study: Study, network: Subject, data: Batches, seed: int) -> tuple[nn.Module, list[str]]:
    """The network with the weights of this seed, built for the data, and what is to be told of it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ModelNote)
        model = load_model(
            network.spec,
            num_classes=data.num_classes,
            in_chans=data.in_chans,
            image_size=study.image_size,
            pretrained=study.pretrained,
            checkpoint=network.checkpoint,
            zero_init=study.zero_init,
            seed=seed,
        )
    for other in caught:
        if not issubclass(other.category, ModelNote):
            warnings.warn_explicit(other.message, other.category, other.filename, other.lineno)
    return model, [str(note.message) for note in caught if issubclass(note.category, ModelNote)]


def measured(
    study: Study,
    model: nn.Module,
    network: Subject,
    data: Batches,
    seed: int,
    *,
    keep_partial: bool = False,
    progress: Progress | None = None,
) -> Recording:
    """One capture as the study asks for; costs and speed are those of the first seed."""
    return capture(
        model,
        data,
        sites=study.sites,
        pairs=study.pairs,
        mode=study.mode,
        space=study.space,
        halves=study.null and study.space == "activations",
        seed=seed,
        costs=seed == 0,
        throughput=REPEATS if study.throughput and seed == 0 else 0,
        keep_partial=keep_partial,
        progress=progress,
        meta={
            "network": network.label,
            "name": network.name,
            "zero_init": study.zero_init,
            "warmup_steps": study.warmup_steps,
            "checkpoint": None if network.checkpoint is None else str(network.checkpoint),
        },
    )


class fits:  # noqa: N801  # reads as a statement: with fits(name, data)
    """Turns what torch says of images that do not fit a network into one sentence."""

    def __init__(self, name: str, data: Batches) -> None:
        self._name, self._data = name, data

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, (RuntimeError, ValueError, IndexError, AssertionError, TypeError)):
            size, channels = self._data.image_size, self._data.in_chans
            said = (str(error).strip().splitlines() or [type(error).__name__])[0]
            advice = "an image too small for the network needs a larger --image-size"
            if "out of bounds" in said:
                advice = "the network has fewer classes than the data"
            raise GradlensError(
                f"{self._name} fails on {channels} x {size} x {size} images of {self._data.num_classes} classes: "
                f"{said} ({advice})"
            ) from error


def _aligned(row: list[Recording]) -> list[Recording]:
    """The replicates that every network of a seed has finished."""
    common = min(len(recording.replicates) for recording in row)
    return [recording.take(range(common)) for recording in row]
