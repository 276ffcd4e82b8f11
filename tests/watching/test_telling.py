"""Alarms are shown once when they occur, on stderr or in a notebook, and never on stdout."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import torch
from torch import nn
import gradlens as gl
class Dead(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 2)
    def forward(self, x):
        return self.last(torch.relu(self.first(x) - 1e6))
model = Dead()
with gl.watch(model, every=1{options}) as watching:
    for _ in range(5):
        model(torch.randn(8, 4)).sum().backward()
print("data", len(watching.alarms))
"""
LINE = "alarm: step 2: first, stage head: the gradient is exactly zero in 3 measured steps"


def program(options: str = "") -> list[str]:
    return [sys.executable, "-c", PROGRAM.replace("{options}", options)]


def test_a_script_has_one_line_per_alarm_on_stderr_and_its_data_on_stdout() -> None:
    done = subprocess.run(program(), capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "data 1\n"
    assert done.stderr.splitlines() == [LINE]


@pytest.mark.parametrize("options", [", quiet=True", ", on_alarm=lambda alarm: None"])
def test_nothing_is_shown_if_it_is_not_wanted_or_the_loop_takes_the_alarms(options: str) -> None:
    done = subprocess.run(program(options), capture_output=True, text=True, cwd=ROOT, check=True)
    assert (done.stdout, done.stderr) == ("data 1\n", "")


def test_a_terminal_has_a_coloured_line() -> None:
    pty = pytest.importorskip("pty", reason="terminals of POSIX")
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "200"}
    done = subprocess.run(
        program(), stdout=subprocess.PIPE, stderr=theirs, text=True, cwd=ROOT, check=True, env=environment
    )
    os.close(theirs)
    shown = os.read(ours, 10_000).decode()
    os.close(ours)
    assert done.stdout == "data 1\n"
    assert shown.startswith("\x1b[1;31malarm: \x1b[0mstep 2: first")
    assert shown.count("\n") == 1


def test_a_closed_stderr_does_not_stop_the_training() -> None:
    command = ["bash", "-c", 'exec "$@" 2>&-', "bash", *program()]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, check=True)
    assert done.stdout == "data 1\n"


def test_a_notebook_shows_the_line_below_the_cell() -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    source = PROGRAM.replace("{options}", "")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings of the kernel's client
        nbclient.NotebookClient(notebook, timeout=120).execute()
    shown, printed = notebook.cells[0].outputs
    assert shown["data"] == {"text/plain": LINE}
    assert printed["text"] == "data 1\n"
