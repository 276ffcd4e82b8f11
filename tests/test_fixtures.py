"""Runs saved by earlier versions can be opened, and their page and figures can be drawn."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import gradlens as gl
from gradlens.errors import GradlensError
from gradlens.plots import PLOTS
from gradlens.report import figure, save_figure
from gradlens.results.documents import FORMAT
from gradlens_cli.folders import read_run
from tests.fixtures.make import make

FIXTURES = Path(__file__).parent / "fixtures"
SAVED = sorted(FIXTURES.glob("run-format-*"))
LARGEST = 200_000  # bytes of one saved run in the repository

each_run = pytest.mark.parametrize("folder", SAVED, ids=lambda folder: folder.name)


def test_there_is_a_run_of_this_format():
    assert FIXTURES / f"run-format-{FORMAT}" in SAVED


@each_run
def test_a_run_is_small_and_has_the_format_of_its_name(folder):
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < LARGEST
    assert json.loads((folder / "result.json").read_text("utf-8"))["format"] == int(
        folder.name.rpartition("-")[2]
    )


@each_run
def test_a_run_contains_nothing_about_the_machine(folder):
    text = (folder / "result.json").read_text("utf-8")
    assert not re.search(r"[\"' =](/|[A-Za-z]:\\)\w", text)
    assert Path.home().name not in text or Path.home().name == "root"


@each_run
def test_a_run_loads_completely(folder):
    result = gl.load(folder)
    assert (result.meta["kind"], result.meta["seeds"]) == ("compare", [0, 1])
    assert result.finding.endswith(".")
    for name in (
        "comparison",
        "duplication",
        "correlation",
        "branches",
        "flow",
        "cost",
        "exactness",
        "cross",
    ):
        assert len(result[name].frame) > 0
    assert read_run(folder).networks == ("networks.py:adds", "networks.py:joins")


@each_run
def test_all_figures_of_a_run_can_be_drawn(folder, tmp_path):
    """As PDF of the newest format only: the fonts, which take half of the time, do not depend on the run."""
    result = gl.load(folder)
    suffix = "pdf" if folder == SAVED[-1] else "svg"
    names = [name for name in PLOTS if name in result.tables]
    assert len(names) >= 11
    for name in names:
        path = save_figure(figure(result, name, style="paper"), tmp_path / f"{name}.{suffix}", style="paper")
        assert path.stat().st_size > 2000


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """A folder with the saved runs, whose pages one process has written that cannot import torch."""
    runs = tmp_path_factory.mktemp("runs")
    copies = [str(shutil.copytree(folder, runs / folder.name)) for folder in SAVED]
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from gradlens_cli.app import gradlens\n"
        "for run in sys.argv[1:]: gradlens(['report', run], standalone_mode=False)"
    )
    subprocess.run([sys.executable, "-c", code, *copies], check=True, capture_output=True)
    return runs


@each_run
def test_the_page_of_a_run_is_written_without_torch(folder, reported):
    run = reported / folder.name
    page = (run / "report.html").read_text("utf-8")
    assert all(sentence in page for sentence in gl.load(run).finding.removesuffix(".").split(". "))
    assert {path.stem for path in (run / "figures").glob("*.svg")} == set(PLOTS) & set(gl.load(run).tables)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": FORMAT + 1}, "update gradlens"),
        ({"format": FORMAT - 100}, "run the command again"),
        ({"format": None}, "has no format version"),
    ],
)
def test_the_error_for_another_format_states_what_to_do(change, message, tmp_path):
    text = (FIXTURES / f"run-format-{FORMAT}" / "result.json").read_text("utf-8")
    (tmp_path / "result.json").write_text(json.dumps({**json.loads(text), **change}))
    with pytest.raises(GradlensError, match=rf"result\.json cannot be opened: .*{message}"):
        gl.load(tmp_path)


@pytest.mark.slow
def test_a_new_run_has_all_tables_and_columns_of_the_saved_one(tmp_path):
    """Removing a table or column needs a new format and an upgrade."""
    make(tmp_path / "new")
    new, saved = gl.load(tmp_path / "new"), gl.load(FIXTURES / f"run-format-{FORMAT}")
    assert set(saved.tables) <= set(new.tables)
    for name, table in saved.tables.items():
        assert set(table.frame.columns) <= set(new[name].frame.columns), name
