"""All cells (seed × network) of a study, on the same samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gradlens.catalogue.datasets import defaults_of
from gradlens.data import Batches
from gradlens.models import warm_up
from gradlens.models.sgd import recent_loss
from gradlens.progress import Progress, progress_callback
from gradlens.randomness import seeded
from gradlens.recording import Recording
from gradlens.studies.adapting import adapted
from gradlens.studies.cell import (
    Built,
    Subject,
    build_network,
    measure,
    samples_of,
    spare_batches,
)
from gradlens.studies.misfits import explain_misfit, few_samples, try_network
from gradlens.studies.options import Study
from gradlens.studies.steps import step_for
from gradlens.studies.subjects import unvaried
from gradlens.words.samples import left_out_boxes, smaller_defaults

SHOWN = 3
"""Largest number of skipped files that a warning names."""


class Cells:
    """All recordings of a study, seed by seed; finished ones are kept after Ctrl-C.

    Args:
        study: the options.
        networks: the networks to measure.
        progress: called with (what, done, total) after every warm-up step and every batch; by default a
            line in a notebook.
    """

    def __init__(self, study: Study, networks: Sequence[Subject], progress: Progress | bool | None) -> None:
        self.study, self._networks, self._requested = study, networks, progress
        self._progress: Progress | None = None
        self._total = study.seeds * len(networks) * (study.warmup_steps + study.batches)
        self._done = 0
        self._fixed = unvaried(study, networks)
        self._data: list[Mapping[str, object]] = []
        self._built: dict[Subject, Built] = {}
        self.partial = False
        self.finished = ""

    @property
    def meta(self) -> dict[str, object]:
        """Identity of the data of each seed, and whether the run was interrupted."""
        return {"data_identity": self._data} | ({"partial": True} if self.partial else {})

    @property
    def warnings(self) -> list[str]:
        """Warnings about the data."""
        return [
            *skipped_images(self._data),
            *same_for_all_seeds(self._fixed),
            *notes_on_boxes(self.study, self._data),
        ]

    def run(self) -> list[Recording]:
        """Measure all cells, and return one recording per network, all with the same replicates.

        Raises:
            KeyboardInterrupt: interrupted before all networks had finished a batch of the first seed.
        """
        rows: list[list[Recording]] = []
        try:
            with progress_callback(self._requested) as self._progress:
                self._run_seeds(rows)
        except KeyboardInterrupt:
            self.partial = True
        complete = [_aligned(row) for row in rows if len(row) == len(self._networks)]
        if not complete:
            raise KeyboardInterrupt
        del self._data[len(complete) :]
        done = sum(len(row[0].replicates) for row in complete)
        self.finished = f"{done} of {self.study.seeds * self.study.batches} batches"
        return [_merged(recordings) for recordings in zip(*complete, strict=True)]

    def _run_seeds(self, rows: list[list[Recording]]) -> None:
        for seed in range(self.study.seeds):
            rows.append([])
            self._run_seed(seed, rows[-1])
            if self.partial:
                return

    def _run_seed(self, seed: int, row: list[Recording]) -> None:
        data = self._try_networks() if seed == 0 else None  # errors are raised before any measurement
        data = data or samples_of(self.study, seed)
        self._data.append(dict(data.identity))
        for network in self._networks:
            recording = self._run_cell(seed, network, data)
            row.append(recording)
            if recording.provenance.partial:
                self.partial = True
                return

    def _try_networks(self) -> Batches | None:
        """Build all networks and run each on a few samples; return the data of the first seed if all of it was read."""
        few = few_samples(self.study)
        adaptations = {network: adapted(self.study, network) for network in self._networks}
        self._built = {network: build_network(self.study, network, few, 0) for network in self._networks}
        for network, built in self._built.items():
            try_network(adaptations[network], built.model, network.name, few)
        return few if self.study.supply.batches is not None else None

    def _run_cell(self, seed: int, network: Subject, data: Batches) -> Recording:
        study = adapted(self.study, network)
        what = f"seed {seed}: {network.label}"

        def warm_up_step(_: int) -> None:
            self._advance(what)

        def batch(remark: str, done: int, total: int) -> None:
            if done:
                self._advance(what)
            else:
                self._show(f"{what}: {remark}")

        built = (
            self._built.pop(network) if network in self._built else build_network(study, network, data, seed)
        )
        model = built.model
        with explain_misfit(network.name, data, model):
            losses: list[float] = []
            if study.warmup_steps:
                others = spare_batches(study, seed, data, study.warmup_steps, study.batches)
                with seeded(seed):
                    losses = warm_up(
                        model,
                        others,
                        steps=study.warmup_steps,
                        until=study.warmup_loss,
                        loss=study.supply.loss,
                        step=step_for(study.supply, data),
                        progress=warm_up_step,
                    )
                self._done += study.warmup_steps - len(losses)
            recording = measure(study, model, network, data, seed, keep_partial=True, progress=batch)
        return built.described(recording).with_meta(**_warmed(study, losses))

    def _advance(self, what: str) -> None:
        self._done += 1
        self._show(what)

    def _show(self, what: str) -> None:
        if self._progress is not None:
            self._progress(what, self._done, self._total)


def notes_on_boxes(study: Study, identities: Sequence[Mapping[str, object]]) -> list[str]:
    """Return notes on data with boxes: defaults that are smaller than usual, and boxes that were left out."""
    usual = defaults_of(study.data) if study.supply.batches is None else {}
    used = {name: value for name, value in usual.items() if getattr(study, name) == value}
    return [*smaller_defaults(used), *left_out_boxes(identities)]


def skipped_images(identities: Sequence[Mapping[str, object]]) -> list[str]:
    """Return a warning about images that could not be read; empty if all could be read."""
    lists = [identity.get("skipped") for identity in identities]
    files = list(
        dict.fromkeys(str(file) for names in lists if isinstance(names, (list, tuple)) for file in names)
    )
    if not files:
        return []
    more = ", ..." if len(files) > SHOWN else ""
    return [
        f"{len(files)} images or folders could not be read and were skipped: {', '.join(files[:SHOWN])}{more}"
    ]


def same_for_all_seeds(labels: Sequence[str]) -> list[str]:
    """Return a warning about networks whose weights and batches no seed varies; empty without one."""
    if not labels:
        return []
    return [
        f"{', '.join(labels)}: the same weights and batches for every seed, so intervals of these values have no "
        "width, and those of differences are over the seeds of the other networks only"
    ]


def _warmed(study: Study, losses: Sequence[float]) -> dict[str, object]:
    """Return how the warm-up of one seed went, as provenance."""
    if not losses:
        return {}
    ends = {"warmup_losses": [[losses[0], recent_loss(losses)]]}
    taken = {"warmup_loss": study.warmup_loss, "warmup_steps_taken": [len(losses)]}
    return ends | (taken if study.warmup_loss else {})


def _merged(recordings: Sequence[Recording]) -> Recording:
    """Merge the recordings of all seeds, with the losses of their warm-ups."""
    first, *others = recordings
    lists = {
        name: [entry for recording in recordings for entry in getattr(recording.provenance, name)]
        for name in ("warmup_losses", "warmup_steps_taken")
    }
    return first.merge(*others, any_size=True).with_meta(
        **{name: values for name, values in lists.items() if values}
    )


def _aligned(row: list[Recording]) -> list[Recording]:
    """Keep the replicates that every network of a seed has finished."""
    common = min(len(recording.replicates) for recording in row)
    return [recording.take(range(common)) for recording in row]
