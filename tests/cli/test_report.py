"""gradlens report: the page of a saved run, in its folder or in another one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result as Ran

from gradlens.results import Result

Run = Callable[..., Ran]


@pytest.fixture
def saved(tmp_path: Path, compared: Result, pages: None) -> Path:
    """A run with an old page, an old figure and a file of the user."""
    folder = compared.save(tmp_path / "saved")
    (folder / "figures").mkdir()
    for name in ("report.html", "figures/one.svg", "notes.txt"):
        (folder / name).write_text("old")
    return folder


def test_the_page_is_rewritten_in_the_folder_of_the_run(run: Run, saved: Path) -> None:
    before = (saved / "result.json").stat().st_ino
    ran = run("report", saved)
    assert (ran.exit_code, ran.stderr) == (0, f"report: {saved / 'report.html'}\n")
    assert (saved / "report.html").read_text() == "B copies less."
    assert (saved / "figures" / "one.svg").read_text() == "new figure"
    assert (saved / "notes.txt").read_text() == "old"
    assert (saved / "result.json").stat().st_ino == before
    assert sorted(path.name for path in saved.iterdir()) == [
        "figures", "notes.txt", "report.html", "result.json", "tables",
    ]  # fmt: skip


def test_writing_to_another_folder_does_not_change_the_run(run: Run, saved: Path) -> None:
    assert run("report", saved, "--out", "other").exit_code == 0
    assert Path("other/report.html").read_text() == "B copies less."
    assert (saved / "report.html").read_text() == "old"
    assert run("report", saved, "--out", "other").exit_code == 1
    assert run("report", saved, "--out", "other", "--force").exit_code == 0


def test_a_failure_keeps_the_old_page(run: Run, saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(result: Result, folder: Path, *_: object) -> Path:
        (folder / "report.html").write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gradlens.report.write", fail)
    ran = run("report", saved)
    assert ran.exit_code == 1
    assert "No space left on device" in ran.stderr
    assert (saved / "report.html").read_text() == "old"
    assert len(list(saved.iterdir())) == 5


def test_a_folder_without_a_run_is_an_error(run: Run, tmp_path: Path) -> None:
    ran = run("report", tmp_path)
    assert ran.exit_code == 1
    assert "contains no saved result" in ran.stderr
    assert "Traceback" not in ran.stderr
