"""--quiet and --verbose: what a command says beside its result."""

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
def _drawn(pages: None) -> None:
    """No test here draws figures."""


@pytest.fixture
def talking(study: Any, compared: Result) -> Any:
    """A measurement with progress and a library that warns."""

    def measured(progress: Any) -> Result:
        for done, what in enumerate(("seed 0: a", "seed 0: b"), 1):
            progress(what, done, 2)
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("old\nway", UserWarning, stacklevel=1)
        return compared

    study.answer = measured
    return study


def test_quiet_says_the_path_of_the_report_alone(run: Run, talking: Any) -> None:
    ran = run("compare", "a", "b", "--out", "r", "--quiet")
    assert (ran.exit_code, ran.stdout, ran.stderr) == (0, f"{Path('r/report.html')}\n", "")


def test_quiet_with_json_is_the_json_alone(run: Run, talking: Any) -> None:
    ran = run("compare", "a", "b", "-q", "--json")
    assert json.loads(ran.stdout)["finding"] == "B copies less."
    assert ran.stderr == ""


def test_quiet_still_says_errors(run: Run, study: Any) -> None:
    def fail(progress: Any) -> Result:
        raise GradlensError("no such model")

    study.answer = fail
    ran = run("compare", "a", "b", "-q")
    assert (ran.exit_code, ran.stdout, ran.stderr) == (1, "", "error: no such model\n")


def test_quiet_still_prints_the_numbers_where_nothing_could_be_written(
    run: Run, talking: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(result: Result, folder: Path, *_: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gradlens.report.write", full)
    ran = run("compare", "a", "b", "-q")
    assert ran.exit_code == 1
    assert "0.79 | 0.68" in ran.stdout


def test_the_usual_voice_says_a_librarys_warning_in_a_line(run: Run, talking: Any) -> None:
    ran = run("compare", "a", "b", "--out", "r")
    assert "note: UserWarning: old way\n" in ran.stderr
    assert "measured in" not in ran.stderr


def test_verbose_says_what_is_done_and_how_long_it_took(run: Run, talking: Any) -> None:
    ran = run("compare", "a", "b", "--out", "r", "--verbose")
    assert "0.79 | 0.68" in ran.stdout
    told = ran.stderr
    for said in ("note: compare: a=a b=b", "seeds=3", "note: seed 0: a: 0.0 s", "note: seed 0: b: 0.0 s",
                 "note: measured in 0.", "note: 1 tables written and drawn in 0.", "note: gradlens "):  # fmt: skip
        assert said in told
    assert "test_voice.py:" in told  # where the library warned


@pytest.mark.parametrize(
    "command", [("compare", "a", "b"), ("inspect", "a"), ("paths", "a"), ("strategies", "a")]
)
def test_every_measuring_command_has_both_and_not_at_once(
    run: Run, study: Any, command: tuple[str, ...]
) -> None:
    ran = run(*command, "-q", "-v")
    assert ran.exit_code == 2
    assert "exclude each other" in ran.stderr
    assert study.asked == []


def test_steps_are_timed_by_the_clock(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    progress = Diary(Voice.VERBOSE, clock=lambda: now[0]).watching(lambda what, done, total: None)
    for after, what in ((0, "a"), (2, "a"), (5, "b"), (9, "b")):
        now[0] = after
        progress(what, after, 9)
    assert capsys.readouterr().err.splitlines() == ["note: a: 2.0 s", "note: b: 7.0 s"]
