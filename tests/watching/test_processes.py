"""A training in several processes: each measures its samples, and the first one combines the numbers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from oracles import several_processes
from oracles.several_processes import Net, batches, train

import gradlens as gl
from gradlens.hooks.passes import Broken, Pass
from gradlens.watching.logs import read_rows
from gradlens.watching.processes import combined
from gradlens.watching.rows import rows_of

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(
    not torch.distributed.is_gloo_available(), reason="this torch has no gloo, which connects the processes"
)
Seen = list[dict[str, Any]]


def torchrun(folder: Path, *kinds: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.run(
        [*command, several_processes.__file__, str(folder), *kinds],
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Seen]:
    """The folder of two processes that trained, and what each of them saw."""
    folder = tmp_path_factory.mktemp("processes")
    ended = torchrun(folder, "usual", "sharded")
    assert not ended.returncode, ended.stderr
    return folder, [torch.load(folder / f"process_{rank}.pt") for rank in range(2)]


@pytest.mark.slow
def test_weights_are_the_same_to_the_bit_and_only_the_first_process_writes(
    trained: tuple[Path, Seen],
) -> None:
    folder, seen = trained
    rows = read_rows(folder / "usual")
    assert [each["usual"]["same"] for each in seen] == [True, True]
    assert [each["usual"]["problems"] for each in seen] == [{}, {}]
    assert sorted({row.step for row in rows}) == [0, 2]
    assert [each["usual"]["rows"] for each in seen] == [len(rows), 0]
    assert [each["usual"]["resumed"] for each in seen] == [[2], []]


@pytest.mark.slow
def test_the_numbers_are_those_of_one_process_with_the_global_batch(trained: tuple[Path, Seen]) -> None:
    joined = [
        tuple(map(torch.cat, zip(*parts, strict=True))) for parts in zip(batches(0), batches(1), strict=True)
    ]
    model = Net()
    with gl.watch(model, every=2) as watching:
        train(model, joined)  # type: ignore[arg-type]
    one = {(row.step, row.series): row.value for row in watching.rows}
    several = {(row.step, row.series): row.value for row in read_rows(trained[0] / "usual")}
    assert one.keys() == several.keys()
    similarities = {
        "duplication",
        "duplication_given_loss",
        "mean_similarity",
    }  # of the batches, as in a capture
    others = {key: value for key, value in one.items() if key[1].quantity not in similarities}
    assert {key: several[key] for key in others} == pytest.approx(others, rel=1e-6)

    recording = gl.capture(Net(), [batches(0)[0], batches(1)[0]], costs=False)
    of_capture = {
        row.series: row.value for row in rows_of(recording, 0, 0, {}) if row.quantity in similarities
    }
    assert len(of_capture) == 3
    assert {series: several[0, series] for series in of_capture} == pytest.approx(of_capture, rel=1e-9)


@pytest.mark.slow
def test_a_problem_of_one_process_is_told_and_stops_none(trained: tuple[Path, Seen]) -> None:
    first, second = (each["usual"]["problems of others"] for each in trained[1])
    assert "batches of 6 and 5 samples" in first["uneven"][0]
    assert list(first["uneven"]) == [0]
    assert "(inputs): NaN was here before the step, in sample 7 of 12" in first["broken"][2]
    assert second["uneven"] == second["broken"] == {}
    assert first["refused"] == second["refused"]
    assert "the inputs of the model show no samples" in first["refused"][0]
    assert "process 1 of 2" in first["refused"][0]


@pytest.mark.slow
def test_a_model_that_is_split_among_the_processes_is_refused(trained: tuple[Path, Seen]) -> None:
    for each in trained[1]:
        assert "fully_shard splits the parameters among processes" in each["sharded"]["error"]


@pytest.mark.slow
def test_a_process_that_ends_does_not_let_the_other_wait(tmp_path: Path) -> None:
    ended = torchrun(tmp_path, "dying")
    assert ended.returncode
    assert "exitcode  : 3" in ended.stderr
    assert {row.step for row in read_rows(tmp_path / "dying")} == {0}


def test_passes_of_processes_with_different_problems_are_joined() -> None:
    good = Pass(0, None, {}, problem="")
    other = Pass(0, None, {}, problem="cannot")
    assert combined([good, other]).problem == "cannot (process 1 of 2)"
    assert combined([other, other]).problem == "cannot (process 0, 1 of 2)"
    nan = Pass(0, None, {}, problem="nan", broken=Broken("1", "conv", (0, 2), 4))
    assert combined([nan, nan]).broken == Broken("1", "conv", (0, 2, 4, 6), 8)
