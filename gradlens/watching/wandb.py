"""The rows of a watched training as metrics of Weights & Biases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradlens.errors import GradlensError
from gradlens.libraries import library
from gradlens.watching.rows import Row
from gradlens.watching.scalars import ROOT, scalars_of

STEP = f"{ROOT}/step"
"""The metric that is the horizontal axis of the others."""


class WandbLog:
    """Logs the numbers of stages to a run of Weights & Biases, as the metrics ``gradlens/<stage>/<quantity>``.

    They are those of ``TensorBoardLog``. Their axis is the metric ``gradlens/step``, because the steps of the run are
    those of what the loop logs. The numbers join the row that the loop logs next; if it has logged nothing until the
    next measured step, they are a row of their own. If the training is killed, rows are lost that wandb has not written
    to its file; a ``CsvLog`` beside this one keeps them.

    A resumed training needs a resumed run: ``wandb.init(id=..., resume="must")``. Nothing can be removed from a run, so
    steps that it has already are not logged again. An offline run cannot be resumed; the training then continues in a
    new run.

    Args:
        run: what ``wandb.init`` returned; the run that is active at the first measured step if None. It is not
            finished.
        places: also log the numbers of each layer, fork and branch.

    Raises:
        GradlensError: wandb is not installed.
    """

    def __init__(self, run: Any = None, *, places: bool = False) -> None:
        self._wandb = library("WandbLog", "wandb", otherwise="use CsvLog")
        self._run, self._places = run, places
        self._axis_of: Any = None
        self._pending: tuple[int, int] | None = None  # step of the training, and of the run
        self._resumed, self._first = False, 0

    def write(self, step: int, rows: Sequence[Row]) -> None:
        """Log the numbers of a step.

        Raises:
            GradlensError: no run is active.
        """
        run = self._active()
        if self._resumed:
            self._first, self._resumed = int(run.summary.get(STEP, -1)) + 1, False
        if step < self._first:
            return
        if self._pending is not None and self._pending[0] != step:
            self.close()
        run.log({STEP: step, **dict(scalars_of(rows, places=self._places))}, commit=False)
        self._pending = step, run.step

    def resume(self, step: int) -> None:
        """Leave out the steps that the run has already."""
        self.close()
        self._resumed = True

    def close(self) -> None:
        """End the row that the numbers are in, unless the loop has; the run goes on."""
        pending, run, self._pending = self._pending, self._axis_of, None
        if pending is not None and not getattr(run, "_is_finished", False) and run.step == pending[1]:
            run.log({}, commit=True)

    def _active(self) -> Any:
        run = self._run if self._run is not None else self._wandb.run
        if run is None:
            raise GradlensError(
                "no run of Weights & Biases is active; begin one with wandb.init before the training"
            )
        if run is not self._axis_of:
            run.define_metric(STEP, hidden=True)
            run.define_metric(f"{ROOT}/*", step_metric=STEP)
            self._axis_of = run
        return run
