"""The rows of a watched training as metrics of MLflow."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from gradlens.analyzers.signals import WHOLE
from gradlens.errors import GradlensError
from gradlens.libraries import library
from gradlens.watching.rows import Row
from gradlens.watching.scalars import ROOT, scalars_of

FORBIDDEN = re.compile(r"[^\w/. :-]")
"""Characters that a name of MLflow cannot have."""
ALWAYS = f"{ROOT}/{WHOLE}/finite"
"""A metric that each measured step has."""


class MlflowLog:
    """Logs the numbers of stages to a run of MLflow, as the metrics ``gradlens/<stage>/<quantity>``.

    They are those of ``TensorBoardLog``; a character that MLflow does not allow is written as ``_``. Each measured
    backward pass is one request.

    A resumed training needs the run that it continues: ``mlflow.start_run(run_id=...)``. Metrics cannot be removed from
    a run, so steps that it has already are not logged again.

    Args:
        run_id: of the run; that of the run that is active at the first measured step if None. It is not ended.

    Raises:
        GradlensError: mlflow is not installed.
    """

    def __init__(self, run_id: str | None = None) -> None:
        self._mlflow = library("MlflowLog", "mlflow", otherwise="use CsvLog")
        self._run_id = run_id
        self._resumed, self._first = False, 0

    def write(self, step: int, rows: Sequence[Row]) -> None:
        """Log the numbers of a step in one request.

        Raises:
            GradlensError: no run is active.
        """
        client, run_id = self._mlflow.MlflowClient(), self._active()
        if self._resumed:
            logged = client.get_metric_history(run_id, ALWAYS)
            self._first, self._resumed = max((metric.step + 1 for metric in logged), default=0), False
        if step < self._first:
            return
        now, metric = int(1000 * time.time()), self._mlflow.entities.Metric
        scalars = {FORBIDDEN.sub("_", tag): value for tag, value in scalars_of(rows)}
        client.log_batch(run_id, metrics=[metric(tag, value, now, step) for tag, value in scalars.items()])

    def resume(self, step: int) -> None:
        """Leave out the steps that the run has already."""
        self._resumed = True

    def close(self) -> None:
        """Do nothing; the run is that of the user."""

    def _active(self) -> str:
        if self._run_id is not None:
            return self._run_id
        run = self._mlflow.active_run()
        if run is None:
            raise GradlensError(
                "no run of MLflow is active; begin one with mlflow.start_run before the training"
            )
        return str(run.info.run_id)
