"""Runs of Weights & Biases and MLflow have every scalar of a watched training, also of a resumed one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from oracles import wandb_files
from oracles.extras import needs
from torch.nn import functional
from watching.loops import batches, network

import gradlens as gl
from gradlens.watching.rows import Row
from gradlens.watching.scalars import scalars_of
from gradlens.watching.watching import WatchProblem

pytestmark = pytest.mark.extra


def train(log: Any, steps: int, state: dict[str, Any] | None = None, **options: Any) -> gl.Watching:
    model = network()
    with gl.watch(model, every=2, to=log, keep=100, **options) as watching:
        if state is not None:
            watching.load_state_dict(state)
        for images, targets in batches(steps):
            functional.cross_entropy(model(images), targets).backward()
    return watching


def expected(rows: list[Row], **options: Any) -> dict[int, dict[str, float]]:
    """Return the scalars by step."""
    steps = sorted({row.step for row in rows})
    return {step: dict(scalars_of([row for row in rows if row.step == step], **options)) for step in steps}


def twice(log: Any) -> list[Row]:
    """Train, and resume the training at step 4; return the rows that a run must have."""
    first = train(log, 7)
    second = train(log, 6, {**first.state_dict(), "step": 4})
    assert {row.step for row in first.rows} == {0, 2, 4, 6}
    assert {row.step for row in second.rows} == {4, 6, 8}
    return first.rows + [row for row in second.rows if row.step > 6]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Any]:
    """An offline run, without the threads that watch the machine and the screen."""
    needs("wandb")
    import wandb

    quiet = wandb.Settings(console="off", silent=True, x_disable_stats=True, x_disable_meta=True)
    run = wandb.init(project="p", mode="offline", dir=tmp_path, settings=quiet)
    yield run
    run.finish()


def logged(run: Any, tmp_path: Path) -> list[dict[str, Any]]:
    run.finish()
    (file,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    return wandb_files.history(file)


def test_weights_and_biases_has_every_scalar_on_its_own_axis(run: Any, tmp_path: Path) -> None:
    rows = twice(gl.WandbLog(places=True))
    run.log({"loss": 1.0})
    *lines, last = logged(run, tmp_path)
    assert last["loss"] == 1.0
    own = {"_runtime", "_step", "_timestamp", "gradlens/step"}
    read = {line["gradlens/step"]: {tag: line[tag] for tag in line.keys() - own} for line in lines}
    assert read == {step: pytest.approx(values) for step, values in expected(rows, places=True).items()}
    assert [line["gradlens/step"] for line in lines] == [0, 2, 4, 6, 8]


@pytest.mark.parametrize("numbered", [False, True], ids=["", "with steps"])
@pytest.mark.parametrize("passes", [1, 2])
def test_a_loop_that_logs_its_own_metrics_keeps_every_row(
    run: Any, numbered: bool, passes: int, tmp_path: Path
) -> None:
    log = gl.WandbLog(run)
    for step in range(6):
        for index in range(passes):
            log.write(step, [Row(step, index, "4", "", "", "duplication", 0.1 * step + index)])
        if step != 2:
            run.log({"loss": float(step)}, step=step if numbered else None)
    log.close()
    lines = logged(run, tmp_path)
    assert [line["loss"] for line in lines if "loss" in line] == [0.0, 1.0, 3.0, 4.0, 5.0]
    assert [line["_step"] for line in lines] == sorted({line["_step"] for line in lines})
    for index, root in enumerate(["gradlens", "gradlens/backward 1"][:passes]):
        read = [
            (line["gradlens/step"], line[tag]) for line in lines if (tag := f"{root}/4/duplication") in line
        ]
        assert read == [(step, pytest.approx(0.1 * step + index)) for step in range(6)]


def test_a_run_that_ends_before_the_watch_has_every_row(run: Any, tmp_path: Path) -> None:
    log = gl.WandbLog()
    log.write(0, [Row(0, 0, "4", "", "", "duplication", 0.5)])
    lines = logged(run, tmp_path)
    log.close()
    assert [line["gradlens/4/duplication"] for line in lines] == [0.5]


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The client of a store of files."""
    needs("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    import mlflow

    return mlflow.MlflowClient()


def test_mlflow_has_every_scalar(client: Any) -> None:
    import mlflow

    with mlflow.start_run() as run:
        rows = twice(gl.MlflowLog())
    read: dict[int, dict[str, float]] = {}
    for tag in client.get_run(run.info.run_id).data.metrics:
        for metric in client.get_metric_history(run.info.run_id, tag):
            assert tag not in read.setdefault(metric.step, {})
            read[metric.step][tag] = metric.value
    assert read == {step: pytest.approx(values) for step, values in expected(rows).items()}


def test_a_named_run_of_mlflow_is_written_and_left_open(client: Any) -> None:
    run = client.create_run("0")
    log = gl.MlflowLog(run.info.run_id)
    log.write(3, [Row(3, 1, "4 (α)", "", "", "duplication", 0.5)])
    log.close()
    data = client.get_run(run.info.run_id)
    assert data.data.metrics == {"gradlens/backward 1/4 _α_/duplication": 0.5}
    assert data.info.status == "RUNNING"


@pytest.mark.usefixtures("client")
def test_without_a_run_the_training_goes_on_and_says_so() -> None:
    needs("wandb")
    for log, text in ((gl.MlflowLog(), "MLflow"), (gl.WandbLog(), "Weights & Biases")):
        with pytest.warns(WatchProblem, match=f"could not write .* no run of {text} is active"):
            watching = train(log, 3)
        assert {row.step for row in watching.rows} == {0, 2}
