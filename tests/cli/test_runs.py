"""gradlens runs and gradlens open: what lies in a folder, damaged or not, and its page."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import webbrowser
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result as Ran

from gradlens.results import Result
from gradlens.results.documents import FORMAT
from gradlens_cli.app import gradlens
from gradlens_cli.folders import read_run, run_folders, runs_in

Run = Callable[..., Ran]


@pytest.fixture
def several(tmp_path: Path, compared: Result, inspected: Result) -> Path:
    """Two whole runs, one of them deeper, a cut one's staging folder, and runs that are broken."""
    runs = tmp_path / "runs"
    old = compared.with_meta(kind="compare").save(runs / "old")
    new = inspected.with_meta(kind="inspect", partial=True).save(runs / "deep" / "new")
    inspected.save(runs / ".staging")
    for name, text in (
        ("torn", '{"format": 1, "fin'),
        ("list", "[1]"),
        ("later", json.dumps({"format": FORMAT + 1})),
    ):
        (runs / name).mkdir()
        (runs / name / "result.json").write_text(text)
    for place, (folder, seconds) in enumerate(((old, 1000), (new, 2000))):
        os.utime(folder / "result.json", (seconds, seconds))
        (folder / "figures").mkdir()
        (folder / "figures" / "x.png").write_bytes(b"x" * 2048 * (place + 1))
    return runs


def test_runs_are_listed_newest_first_with_their_findings(run: Run, several: Path) -> None:
    ran = run("runs", several)
    assert ran.exit_code == 0
    lines = ran.stdout.splitlines()
    assert lines[0].split() == ["run", "kind", "when", "size"]
    assert lines[1].split()[:2] == [str(several / "deep" / "new"), "inspect"]
    assert lines[2:4] == ["  resnet50 (partial: it was interrupted)", "  It copies."]
    assert lines[4].split()[:2] == [str(several / "old"), "compare"]
    assert lines[5:] == ["  resnet50, cspresnet50", "  B copies less."]


def test_a_finding_is_one_line_cut_to_the_window_and_whole_in_a_pipe(
    run: Run,
    tmp_path: Path,
    compared: Result,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    finding = "B copies less. " * 20 + "Really."
    replace(compared, finding=finding).save(tmp_path / "runs" / "a")
    assert run("runs").stdout.splitlines()[-1] == f"  {finding}"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    gradlens(["runs"], standalone_mode=False)
    *_, last = capsys.readouterr().out.splitlines()
    assert last == "  B copies less. B copies less. B copie…"
    assert len(last) <= 40


def test_damaged_runs_are_named_and_stop_nothing(run: Run, several: Path) -> None:
    told = {line.split(": ")[1]: line for line in run("runs", several).stderr.splitlines()}
    assert set(told) == {str(several / name) for name in ("torn", "list", "later")}
    assert "damaged: " in told[str(several / "torn")]
    assert "no format version" in told[str(several / "list")]
    assert "update gradlens" in told[str(several / "later")]


def test_json_holds_all_of_them(run: Run, several: Path) -> None:
    ran = run("runs", several, "--json")
    found = {Path(entry["folder"]).name: entry for entry in json.loads(ran.stdout)}
    assert set(found) == {"old", "new", "torn", "list", "later"}
    assert found["old"]["networks"] == ["resnet50", "cspresnet50"]
    assert (found["old"]["finding"], found["old"]["problem"]) == ("B copies less.", "")
    size = sum(path.stat().st_size for path in (several / "old").rglob("*") if path.is_file())
    assert found["old"]["size"] == size
    assert found["new"]["partial"] is True
    assert found["old"]["when"].startswith("1970-01-01T")
    assert found["torn"]["problem"]


def test_an_empty_place_says_what_makes_a_run(run: Run, tmp_path: Path) -> None:
    ran = run("runs")
    assert ran.exit_code == 0
    assert "no run in runs; `gradlens inspect MODEL`" in ran.stdout
    assert json.loads(run("runs", "--json").stdout) == []
    missing = run("runs", "nowhere")
    assert (missing.exit_code, missing.stdout) == (1, "")
    assert "there is no folder nowhere" in missing.stderr


def test_a_run_in_a_run_is_listed_and_what_lies_too_deep_left_out(tmp_path: Path, compared: Result) -> None:
    compared.save(tmp_path / "a")
    alone = read_run(tmp_path / "a").size
    compared.save(tmp_path / "a" / "kept")
    compared.save(tmp_path.joinpath(*"123456789"))
    assert list(run_folders(tmp_path)) == [tmp_path / "a", tmp_path / "a" / "kept"]
    assert [found.size for found in runs_in(tmp_path)] == [alone, alone]


@pytest.mark.parametrize("call", ["scandir", "stat"])
def test_a_folder_that_may_not_be_read_is_an_error(
    call: str, run: Run, tmp_path: Path, forbid: Callable[..., None]
) -> None:
    (tmp_path / "locked").mkdir()
    forbid(os, call, "locked")
    ran = run("runs", "locked")
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert ran.stderr == (
        "error: cannot access locked: Permission denied; ask for the right to read it, or give another folder\n"
    )


@pytest.mark.skipif(not Path("/proc/self").exists() or os.geteuid() == 0, reason="root reads every folder")
def test_a_folder_that_may_not_be_read_is_passed_over(tmp_path: Path, compared: Result) -> None:
    compared.save(tmp_path / "a")
    (tmp_path / "b").mkdir(mode=0)
    assert list(run_folders(tmp_path)) == [tmp_path / "a"]


def test_listing_loads_nothing_heavy(several: Path) -> None:
    words = ["runs", str(several)]
    code = (
        f"import sys; from gradlens_cli.app import gradlens; gradlens({words}, standalone_mode=False);"
        "assert not {'torch', 'pandas', 'matplotlib', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses that a browser was asked to open."""
    asked: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: not asked.append(address))
    return asked


def test_a_page_is_opened_and_its_path_printed(run: Run, several: Path, browser: list[str]) -> None:
    page = several / "old" / "report.html"
    page.write_text("drawn before")
    ran = run("open", several / "old")
    assert (ran.exit_code, ran.stdout, ran.stderr) == (0, f"{page}\n", "")
    assert browser == [page.resolve().as_uri()]
    assert page.read_text() == "drawn before"


def test_a_page_that_is_missing_is_drawn_first(
    run: Run, several: Path, browser: list[str], pages: None
) -> None:
    assert run("open", several / "old").exit_code == 0
    assert (several / "old" / "report.html").read_text() == "B copies less."
    assert len(browser) == 1


def test_of_several_the_newest_is_opened(run: Run, several: Path, browser: list[str], pages: None) -> None:
    assert run("open", several).stdout == f"{several / 'deep' / 'new' / 'report.html'}\n"


@pytest.mark.parametrize("fails", [False, True])
def test_without_a_browser_it_says_so(
    fails: bool, run: Run, several: Path, pages: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(address: str) -> bool:
        if fails:
            raise webbrowser.Error("could not locate runnable browser")
        return False

    monkeypatch.setattr(webbrowser, "open", opened)
    ran = run("open", several / "old")
    assert ran.exit_code == 0
    assert ran.stdout.endswith("report.html\n")
    assert "no browser is available" in ran.stderr


def test_a_page_that_cannot_be_drawn_there_says_how_to_have_it(
    run: Run, several: Path, browser: list[str], pages: None, forbid: Callable[..., None]
) -> None:
    forbid(os, "mkdir", "old")
    ran = run("open", several / "old")
    assert (ran.exit_code, ran.stdout, browser) == (1, "", [])
    assert ran.stderr.endswith(
        f"Permission denied; `gradlens report {several / 'old'} --out DIR` draws it elsewhere\n"
    )


@pytest.mark.parametrize(
    ("command", "module", "call"), [("open", os, "stat"), ("open", io, "open"), ("report", io, "open")]
)
def test_a_run_that_may_not_be_read_is_one_line(
    command: str,
    module: Any,
    call: str,
    run: Run,
    several: Path,
    browser: list[str],
    forbid: Callable[..., None],
) -> None:
    forbid(module, call, "old")
    ran = run(command, several / "old")
    assert (ran.exit_code, ran.stdout, browser) == (1, "", [])
    assert "Permission denied; ask for the right to read it" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.parametrize(("name", "told"), [("torn", "is damaged"), ("nowhere", "holds no saved result")])
def test_what_cannot_be_opened_is_one_line(
    name: str, told: str, run: Run, several: Path, browser: list[str]
) -> None:
    ran = run("open", several / name)
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert told in ran.stderr
    assert browser == []
