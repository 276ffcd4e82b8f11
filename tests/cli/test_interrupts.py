"""Ctrl-C at every moment of a command: a real signal to a real process, whose network waits where it is sent."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from commands import Command

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="Windows sends no such signal")]

PATIENCE = 240  # seconds; a slow machine takes long to import torch
OPTIONS = (
    *("--data", "random", "--image-size", "16", "--batch-size", "4", "--batches", "2", "--seeds", "2"),
    *("--no-throughput", "--out", "run"),
)
NETWORKS = '''
import time
from pathlib import Path
from torch import nn

CALLS = []


def wait(moment):
    """Tell the test that the moment has come, and wait for the signal."""
    if Path("moment").read_text() == moment:
        Path("reached").touch()
        time.sleep(300)


class Net(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, padding=1)
        self.layer1 = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1))
        self.fc = nn.Linear(6, num_classes)

    def forward(self, x):
        CALLS.append(0)
        wait(f"call {len(CALLS)}")
        return self.fc(self.layer1(self.first(x).tanh()).tanh().mean((2, 3)))


def build(num_classes):
    with open("builds", "a") as builds:  # the file is run anew for each network
        builds.write(".")
    wait(f"build {Path('builds').stat().st_size}")
    return Net(num_classes)


wait("import")
'''
DRAWING = """
import pathlib, time
import gradlens.report
def write(*_):
    pathlib.Path("reached").touch()
    time.sleep(300)
if pathlib.Path("moment").read_text() == "drawing":
    gradlens.report.write = write
if pathlib.Path("moment").read_text() == "never":
    gradlens.report.write = lambda result, folder, *_: folder  # its page is not looked at
if pathlib.Path("moment").read_text() == "tables":
    from gradlens.analyzers import ANALYZERS
    ANALYZERS["flow"] = write
"""


class Interrupted(Command):
    """A running command that is interrupted at a moment."""

    def reaches(self, moment: str = "reached") -> None:
        end = time.monotonic() + PATIENCE
        while not Path(moment).exists():
            assert self.process.is_alive(), self.end()
            assert time.monotonic() < end
            time.sleep(0.05)
        Path(moment).unlink()

    def interrupt(self, answer: str = "") -> None:
        """Send the signal, and wait for the answer: two signals at once would be one."""
        self.signal(signal.SIGINT)
        while answer and answer not in (line := self.stderr.readline()):
            assert line, "the command ended without the answer"

    def end(self, patience: float = PATIENCE) -> tuple[int, str, str]:
        status, stdout, stderr = super().end(patience)
        assert "Traceback" not in stderr
        return status, stdout, stderr


@contextmanager
def running(moment: str, *words: str) -> Iterator[Interrupted]:
    Path("moment").write_text(moment)
    Path("nets.py").write_text(NETWORKS)
    with closing(Interrupted(DRAWING, [*words, *OPTIONS])) as command:
        yield command


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


ANSWER = "interrupted: stopping; finished cells are saved; again to drop them"


@pytest.mark.parametrize("moment", ["import", "call 1", "call 3"])
def test_before_a_batch_is_finished_the_command_ends_and_writes_nothing(moment: str) -> None:
    with running(moment, "compare", "nets.py:build", "nets.py:build") as command:
        command.reaches()
        command.interrupt()
        status, stdout, stderr = command.end()
    assert status == 1
    assert stdout == ""
    assert ANSWER in stderr
    assert stderr.rstrip().endswith("interrupted: nothing was finished")
    assert not Path("run").exists()


def test_a_warm_up_is_interrupted() -> None:
    with running("call 2", "inspect", "nets.py:build", "--warmup-steps", "5") as command:
        command.reaches()
        command.interrupt()
        status, _, stderr = command.end()
    assert status == 1
    assert stderr.rstrip().endswith("interrupted: nothing was finished")


def test_finished_batches_make_a_partial_result_that_says_so() -> None:
    with running("call 4", "inspect", "nets.py:build") as command:
        command.reaches()
        command.interrupt()
        status, stdout, stderr = command.end()
    assert status == 1
    assert ANSWER in stderr
    assert stdout.startswith("partial: ")
    document = json.loads(Path("run/result.json").read_text("utf-8"))
    assert document["meta"]["partial"] is True
    assert document["finding"].startswith("Partial (1 of 4 batches, then interrupted): ")
    assert "Partial (1 of 4 batches" in Path("run/report.html").read_text("utf-8")


def test_a_second_ctrl_c_leaves_without_the_page() -> None:
    with running("drawing", "inspect", "nets.py:build") as command:
        command.reaches()
        command.interrupt("again to leave without its page")
        command.interrupt()
        status, stdout, stderr = command.end()
    assert "`gradlens report run` draws it" in stderr
    assert status == 1
    assert Path("run/result.json").exists()
    assert not Path("run/report.html").exists()
    assert "stage" in stdout


def test_a_second_ctrl_c_while_the_tables_are_computed_leaves_what_was_finished() -> None:
    with running("tables", "compare", "nets.py:build", "nets.py:build") as command:
        command.reaches()
        command.interrupt("again to leave without its page")
        command.interrupt("leaving with what was finished")
        status, stdout, stderr = command.end()
    assert status == 1
    assert stdout.startswith("partial: ")
    assert "`gradlens report run` draws it" in stderr
    document = json.loads(Path("run/result.json").read_text("utf-8"))
    assert document["meta"]["partial"] is True
    assert "comparison" in document["tables"]
    assert "flow" not in document["tables"]


def test_finished_cells_of_strategies_are_used_again() -> None:
    words = ("strategies", "nets.py:build", "--strategies", "none", "--no-controls")
    with running("build 3", *words) as command:
        command.reaches()
        command.interrupt()
        status, stdout, stderr = command.end()
    assert status == 1
    assert stdout.startswith("partial: ")
    assert "continue with --resume --out run" in stderr
    with running("never", *words, "--resume", "--force") as command:
        status, stdout, _ = command.end()
    assert status == 0
    assert not stdout.startswith("partial: ")
