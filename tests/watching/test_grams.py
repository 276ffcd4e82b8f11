"""Recordings of the measured steps as files: complete, readable, and only of this training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from watching.loops import STEPS, network, plain, two_losses

import gradlens as gl
from gradlens.watching.watching import WatchProblem


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_each_measured_pass_has_a_file_in_the_folder_of_the_log(tmp_path: Path) -> None:
    model = network()
    with gl.watch(model, every=2, to=gl.CsvLog(tmp_path), keep="grams", quiet=True) as watching:
        two_losses(model)
    assert names(tmp_path / "grams") == [
        f"step-{step:08d}-{backward:04d}.safetensors" for step in range(0, STEPS, 2) for backward in (0, 1)
    ]
    assert len(watching.history) == 8  # also in memory
    step, last = watching.history[-1]
    read = gl.Recording.load(tmp_path / "grams" / f"step-{step:08d}-0001.safetensors")
    assert np.array_equal(read.grams, last.grams, equal_nan=True)
    assert not gl.analyze(read, tables=["duplication"])["duplication"].frame.empty
    assert gl.load(tmp_path).meta["measured steps"] == 4


def test_a_path_is_the_folder(tmp_path: Path) -> None:
    model = network()
    with gl.watch(model, every=4, keep=tmp_path / "mine", quiet=True):
        plain(model)
    assert names(tmp_path / "mine") == ["step-00000000-0000.safetensors", "step-00000004-0000.safetensors"]


def test_files_of_an_earlier_training_are_replaced_unless_it_is_resumed(tmp_path: Path) -> None:
    model = network()
    for every in (2, 4):
        with gl.watch(model, every=every, keep=tmp_path, quiet=True):
            plain(model)
    assert len(names(tmp_path)) == 2
    (tmp_path / "step-notes.safetensors").write_text("mine")
    watching = gl.watch(model, every=4, keep=tmp_path, quiet=True)
    watching.load_state_dict({"format": 1, "step": 3})
    assert [name[:13] for name in names(tmp_path)] == ["step-00000000", "step-notes.sa"]
    with watching:
        plain(model)
    assert [name[:13] for name in names(tmp_path)] == [
        "step-00000000",
        "step-00000004",
        "step-00000008",
        "step-notes.sa",
    ]


@pytest.mark.parametrize(
    ("keep", "text"),
    [
        ("grams", r"keep='grams' writes into the folder of a log; add to=gl.CsvLog"),
        ("flow", r"keep='flow' is not a number of backward passes; give 0 or more, such as 8, or 'grams'"),
        (-1, r"keep=-1 is not"),
        (True, r"keep=True is not"),
    ],
)
def test_another_value_is_refused_in_one_line(keep: object, text: str) -> None:
    with pytest.raises(gl.GradlensError, match=text):
        gl.watch(network(), keep=keep)


def test_a_folder_that_cannot_be_written_is_a_problem_and_the_training_goes_on(tmp_path: Path) -> None:
    (tmp_path / "grams").write_text("a file")
    model = network()
    with (
        pytest.warns(WatchProblem, match="Grams could not write"),
        gl.watch(model, every=4, to=gl.CsvLog(tmp_path), keep="grams", quiet=True) as watching,
    ):
        plain(model)
    assert sorted(watching.problems) == [0, 4]
    assert gl.load(tmp_path).meta["measured steps"] == 2
