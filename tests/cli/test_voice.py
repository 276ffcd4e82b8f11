"""--quiet and --verbose: messages of a command in addition to its result."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result as Ran

from gradlens.errors import GradlensError
from gradlens.results import Result
from gradlens_cli.voice import Diary, Voice

Run = Callable[..., Ran]


@pytest.fixture(autouse=True)
def _no_figures(pages: None) -> None:
    """The tests of this file draw no figures."""


@pytest.fixture
def warning_study(study: Any, compared: Result) -> Any:
    """A study that reports progress and gives a warning of a library."""

    def measured(progress: Any) -> Result:
        for done, step in enumerate(("seed 0: a", "seed 0: b"), 1):
            progress(step, done, 2)
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("old\nway", UserWarning, stacklevel=1)
        return compared

    study.answer = measured
    return study


def test_quiet_prints_only_the_path_of_the_report(run: Run, warning_study: Any) -> None:
    ran = run("compare", "a", "b", "--out", "r", "--quiet")
    assert (ran.exit_code, ran.stdout, ran.stderr) == (0, f"{Path('r/report.html')}\n", "")


def test_quiet_with_json_prints_only_the_json(run: Run, warning_study: Any) -> None:
    ran = run("compare", "a", "b", "-q", "--json")
    assert json.loads(ran.stdout)["finding"] == "B copies less."
    assert ran.stderr == ""


def test_quiet_still_prints_errors(run: Run, study: Any) -> None:
    def fail(progress: Any) -> Result:
        raise GradlensError("no such model")

    study.answer = fail
    ran = run("compare", "a", "b", "-q")
    assert (ran.exit_code, ran.stdout, ran.stderr) == (1, "", "error: no such model\n")


def test_quiet_still_prints_the_numbers_if_the_report_fails(
    run: Run, warning_study: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(result: Result, folder: Path, *_: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gradlens.report.write", full)
    ran = run("compare", "a", "b", "-q")
    assert ran.exit_code == 1
    assert "0.79 | 0.68" in ran.stdout


def test_warnings_of_libraries_are_printed_as_one_line_by_default(run: Run, warning_study: Any) -> None:
    ran = run("compare", "a", "b", "--out", "r")
    assert "note: UserWarning: old way\n" in ran.stderr
    assert "measured in" not in ran.stderr


def test_verbose_prints_each_step_and_its_time(run: Run, warning_study: Any) -> None:
    ran = run("compare", "a", "b", "--out", "r", "--verbose")
    assert "0.79 | 0.68" in ran.stdout
    messages = ran.stderr
    for message in ("note: compare: a=a b=b", "seeds=3", "note: seed 0: a: 0.0 s", "note: seed 0: b: 0.0 s",
                 "note: measured in 0.", "note: 1 tables written and drawn in 0.", "note: gradlens "):  # fmt: skip
        assert message in messages
    assert "test_voice.py:" in messages  # the line of the warning


@pytest.mark.parametrize(
    "command", [("compare", "a", "b"), ("inspect", "a"), ("paths", "a"), ("strategies", "a")]
)
def test_quiet_and_verbose_exclude_each_other_in_all_measuring_commands(
    run: Run, study: Any, command: tuple[str, ...]
) -> None:
    ran = run(*command, "-q", "-v")
    assert ran.exit_code == 2
    assert "exclude each other" in ran.stderr
    assert study.calls == []


def test_times_of_steps_follow_the_clock(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    progress = Diary(Voice.VERBOSE, clock=lambda: now[0]).watching(lambda step, done, total: None)
    for after, step in ((0, "a"), (2, "a"), (5, "b"), (9, "b")):
        now[0] = after
        progress(step, after, 9)
    assert capsys.readouterr().err.splitlines() == ["note: a: 2.0 s", "note: b: 7.0 s"]
