"""Numbers that a loop logs beside the flow: their rows, and what cannot be written."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from oracles.extras import needs
from torch.nn import functional
from watching.loops import batches, network

import gradlens as gl
from gradlens.watching.logs import CsvLog, ParquetLog, read_rows
from gradlens.watching.rows import Row
from gradlens.watching.watching import Watching, WatchProblem


def loop(watching: Watching, model: torch.nn.Module) -> list[float]:
    """Train, log the loss of every step, and return the losses."""
    losses = []
    with watching:
        for images, targets in batches():
            loss = functional.cross_entropy(model(images), targets)
            loss.backward()
            watching.log(loss=loss, half=0.5)
            losses.append(loss.item())
    return losses


def values(rows: list[Row], name: str) -> dict[int, float]:
    return {row.step: row.value for row in rows if row.quantity == name}


@pytest.mark.parametrize(
    "kind",
    [pytest.param(CsvLog, id="csv"), pytest.param(ParquetLog, id="parquet", marks=pytest.mark.extra)],
)
def test_a_logged_number_belongs_to_the_step_that_has_begun(
    kind: type[CsvLog | ParquetLog], tmp_path: Path
) -> None:
    if kind is ParquetLog:
        needs("pyarrow")
    model = network()
    watching = gl.watch(model, every=3, to=kind(tmp_path), quiet=True)
    losses = loop(watching, model)
    for rows in (read_rows(tmp_path), watching.rows):
        assert values(rows, "loss") == pytest.approx(dict(enumerate(losses)))
        assert set(values(rows, "half").values()) == {0.5}
        assert values(rows, "finite") == {0: 1.0, 3: 1.0, 6: 1.0}
    assert len(list(tmp_path.glob("*"))) == (1 if kind is CsvLog else 4)  # no file per logged number


def test_a_resumed_training_drops_what_was_logged_later(tmp_path: Path) -> None:
    model = network()
    loop(gl.watch(model, every=3, to=CsvLog(tmp_path), quiet=True), model)
    watching = gl.watch(model, every=3, to=CsvLog(tmp_path), quiet=True)
    watching.load_state_dict({"format": 1, "step": 5})
    assert sorted(values(read_rows(tmp_path), "loss")) == [0, 1, 2, 3, 4]
    watching = gl.watch(model, every=3, quiet=True)
    loop(watching, model)
    watching.load_state_dict({"format": 1, "step": 5})
    assert sorted(values(watching.rows, "loss")) == [0, 1, 2, 3, 4]


def test_a_number_that_is_cut_off_at_the_end_of_the_file_is_left_out(tmp_path: Path) -> None:
    model = network()
    watching = gl.watch(model, every=3, to=CsvLog(tmp_path), quiet=True)
    loop(watching, model)
    file = tmp_path / "rows.csv"
    file.write_bytes(file.read_bytes()[:-3])
    rows = read_rows(tmp_path)
    assert (rows[-1].step, rows[-1].quantity) == (7, "loss")


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ({"rms": 1.0}, "rms is a name of gradlens"),
        ({"step": 1.0}, "step is a name of gradlens"),
        ({"loss": "low"}, "a str is not a single number"),
        ({"loss": torch.ones(2)}, "a Tensor is not a single number"),
        ({"loss": None}, "a NoneType is not a single number"),
    ],
)
def test_what_is_no_number_is_a_problem_and_the_training_goes_on(
    numbers: dict[str, object], text: str
) -> None:
    model = network()
    with gl.watch(model, quiet=True) as watching:
        with pytest.warns(WatchProblem, match=r"log\(.*" + text):
            watching.log(**numbers)
        watching.log(**numbers)  # warnings are errors here; the second one is in watching.problems
    assert watching.rows == []


def test_a_number_that_is_not_finite_is_logged() -> None:
    model = network()
    with gl.watch(model, quiet=True) as watching:
        watching.log(loss=math.nan)
    assert math.isnan(values(watching.rows, "loss")[0])


def test_logging_after_the_block_is_a_problem() -> None:
    model = network()
    watching = gl.watch(model, quiet=True)
    loop(watching, model)
    with pytest.warns(WatchProblem, match="outside of the with block"):
        watching.log(accuracy=0.9)


def test_logging_does_not_count_as_a_row_of_a_pass_that_is_held(tmp_path: Path) -> None:
    """The log holds the list of rows that it was given; what is logged later is not written twice."""
    model = network()

    class Holding:
        def __init__(self) -> None:
            self.held: list[list[object]] = []

        def write(self, step: int, rows: list[object]) -> None:
            self.held.append(rows)

        def resume(self, step: int) -> None: ...
        def close(self) -> None: ...

    log = Holding()
    loop(gl.watch(model, every=3, to=log, quiet=True), model)
    assert sum(row.quantity == "loss" for rows in log.held for row in rows) == 8
