"""Run a grid of cells (seeds by variants of one network), untrained or measured during training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from gradlens.catalogue.datasets import DETECTION
from gradlens.data import Batches
from gradlens.data.batches import Batch, fingerprint
from gradlens.errors import GradlensError
from gradlens.progress import Progress, progress_callback
from gradlens.randomness import seeded
from gradlens.studies.adapting import adapted
from gradlens.studies.cell import (
    Subject,
    build_network,
    measure,
    samples_of,
    spare_batches,
)
from gradlens.studies.misfits import explain_misfit, try_network
from gradlens.studies.options import Study, Training
from gradlens.studies.scoring import Score, score
from gradlens.studies.steps import step_for
from gradlens.studies.store import Snapshot, Store
from gradlens.studies.training import train
from gradlens.version import VERSION

HELD_OUT = 512
"""Number of held-out samples, limited to a third of the samples that are not measured."""
HELD_OUT_SCENES = 128
"""The same for a detector, which takes long to score."""
UNLIMITED = 64
"""Number of batches for training if the data is unlimited."""
NO_SCORE = Score(float("nan"))


@dataclass(frozen=True)
class Row:
    """The snapshots of all variants on one seed."""

    seed: int
    cells: tuple[list[Snapshot], ...]


class Grid:
    """All cells of a run, seed by seed; with a folder, finished cells are kept if the process is killed.

    Args:
        study: options of the measurement; its ``warmup_steps`` are not used.
        training: options of the training.
        variants: the variants of the network.
        folder: folder for finished cells; None keeps them in memory only.
        progress: called with (step, done, total), counted in measured batches and training steps; by default
            a line in a notebook.
    """

    def __init__(
        self,
        study: Study,
        training: Training,
        variants: Sequence[Subject],
        folder: Path | None = None,
        progress: Progress | bool | None = None,
    ) -> None:
        self.study, self.training, self.variants = study, training, variants
        options = {k: v for k, v in study.flat().items() if k not in ("seeds", "throughput")}
        self._folder = folder
        self._request = {
            **options,
            **{f"train {k}": v for k, v in asdict(training).items()},
            "gradlens": VERSION,
        }
        self.store = Store(None, {})
        self.identities: list[dict[str, object]] = []
        self.partial = False
        self._requested_progress = progress
        self._progress: Progress | None = None
        self._done = 0
        self._total = 0

    def run(self) -> list[Row]:
        """Measure all cells, and return the finished seeds.

        Raises:
            KeyboardInterrupt: interrupted before all variants of the first seed were finished.
        """
        rows: list[Row] = []
        self._open(samples_of(self.study, 0))
        try:
            with progress_callback(self._requested_progress) as self._progress:
                for seed in range(self.study.seeds):
                    data = samples_of(self.study, seed)
                    cells = tuple(self._cell(seed, variant, data) for variant in self.variants)
                    rows.append(Row(seed, cells))
                    self.identities.append(dict(data.identity))
        except KeyboardInterrupt:
            self.partial = True
            if not rows:
                raise
        return rows

    def _open(self, data: Batches) -> None:
        """Find the finished cells, and try each variant once, so that errors are raised before any measurement.

        Raises:
            GradlensError: a variant cannot be built, or the cells belong to another run.
        """
        file = self._digest(data) if self._folder is not None else ""
        request = {**self._request, "samples": data.identity["sha256"], "file": file}
        self.store = Store(self._folder, request)
        cells = [(seed, variant) for seed in range(self.study.seeds) for variant in self.variants]
        missing = [cell for cell in cells if self.store.get(_name(*cell)) is None]
        self._total = len(missing) * self._cell_size
        for variant in dict.fromkeys(variant for _, variant in missing):
            built = build_network(self.study, variant, data, 0)
            try_network(adapted(self.study, variant), built.model, variant.name, data)

    def _digest(self, data: Batches) -> str:
        """Return what identifies the network and the code of the caller, "" if all comes from libraries."""
        network = self.variants[0]
        files = [self.study.step, self.study.loss]
        if network.supplied is None:
            files.append(network.spec.source.file)
            weights = []
        else:
            weights = [build_network(self.study, network, data, 0)[0].state_dict()]
        paths = [Path(file.rpartition(":")[0] or file) for file in files if file]
        texts = [path.read_bytes() for path in paths if path.is_file()]
        return fingerprint([*(text.hex() for text in texts), *weights]) if texts or weights else ""

    @property
    def _cell_size(self) -> int:
        return self.training.steps + len(self.training.stops()) * self.study.batches

    def _cell(self, seed: int, variant: Subject, data: Batches) -> list[Snapshot]:
        name = _name(seed, variant)
        snapshots = self.store.get(name)
        if snapshots is None:
            end = self._done + self._cell_size
            snapshots = self._measure(seed, variant, data)
            self.store.put(name, snapshots)
            self._done = end
        self._report(f"seed {seed}: {variant.label}")
        return [
            replace(snapshot, recording=snapshot.recording.with_meta(network=variant.label))
            for snapshot in snapshots
        ]

    def _measure(self, seed: int, variant: Subject, data: Batches) -> list[Snapshot]:
        training, study = self.training, adapted(self.study, variant)
        built = build_network(study, variant, data, seed)
        model = built.model
        held_out, rest = self._others(seed, data)
        loss_step = step_for(study.supply, data)
        stops, snapshots = set(training.stops()), list[Snapshot]()
        dropout = seeded(seed if training.steps else None)
        with explain_misfit(variant.name, data, model), dropout:
            losses = train(model, rest, training, seed, loss=study.supply.loss, step=loss_step)
            for step, train_loss in losses:
                if step:
                    self._done += 1
                if step == 1:
                    snapshots[0] = replace(snapshots[0], train_loss=train_loss)
                name = f"seed {seed}: {variant.label}" + self._next_stop(step)
                self._report(name)
                if step in stops:
                    timed = replace(study, throughput=study.throughput and step == 0)
                    recording = measure(timed, model, variant, data, seed, progress=self._counted(name))
                    result = score(model, held_out, loss_step) if held_out else NO_SCORE
                    snapshots.append(Snapshot(step, built.described(recording), train_loss, *result))
        return snapshots

    def _next_stop(self, step: int) -> str:
        """Return the next measurement, not the step: plain progress prints a line whenever the name changes."""
        if not self.training.steps:
            return ""
        following = next((stop for stop in self.training.stops() if stop >= step), step)
        return f", step {following} of {self.training.steps}"

    def _others(self, seed: int, data: Batches) -> tuple[Sequence[Batch], Sequence[Batch]]:
        """Return disjoint batches for scoring and for training, disjoint from the measured batches."""
        training, study = self.training, self.study
        if not training.steps:
            return (), ()
        total = data.identity["total"]
        spare = UNLIMITED if total is None else int(total) // study.batch_size - study.batches
        most = HELD_OUT_SCENES if data.task == DETECTION else HELD_OUT
        held = min(most // study.batch_size + 1, spare // 3) if training.evaluate else 0
        if training.evaluate and not held:
            raise GradlensError(
                f"{total} samples are too few for held-out samples; lower batches={study.batches} or "
                f"batch_size={study.batch_size}"
            )
        first = study.batches + held
        scored = samples_of(study, seed, batches=held, start=study.batches) if held else ()
        count = training.steps if total is not None else min(training.steps, UNLIMITED)
        return scored, spare_batches(study, seed, data, count, first)

    def _counted(self, name: str) -> Progress:
        before = self._done

        def progress(remark: str, done: int, total: int) -> None:
            self._done = before + done
            self._report(name if done else f"{name}: {remark}")

        return progress

    def _report(self, name: str) -> None:
        if self._progress is not None:
            self._progress(name, self._done, max(self._total, self._done, 1))


def _name(seed: int, variant: Subject) -> str:
    return f"{variant.name} seed {seed}"
