"""compare and inspect: options, printed and written results, exit codes."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result as Ran

from gradlens.errors import GradlensError
from gradlens.results import Result, load

Run = Callable[..., Ran]

DEFAULTS: dict[str, Any] = {
    "data": "digits",
    "image_size": None,  # the default depends on the data
    "batch_size": None,
    "batches": 4,
    "input": "",
    "step": "",
    "loss": "",
    "num_classes": 0,
    "stages": "",
    "seeds": 3,
    "sites": "signals",
    "pairs": "sketch",
    "mode": "train",
    "space": "activations",
    "by_loss": True,
    "warmup_steps": 0,
    "warmup_loss": 0.0,
    "zero_init": False,
    "pretrained": False,
    "skip_bad": False,
    "throughput": True,
    "null": False,
    "cca": False,
}


@pytest.fixture(autouse=True)
def _no_figures(pages: None) -> None:
    """The tests of this file draw no figures."""


def last_call(study: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
    models, options = study.calls[-1]
    return models, {key: value for key, value in options.items() if key != "progress"}


def test_defaults_of_compare(run: Run, study: Any) -> None:
    assert run("compare", "a", "b").exit_code == 0
    assert last_call(study) == (("a", "b"), {**DEFAULTS, "checkpoint": (None, None), "labels": {}})


def test_defaults_of_inspect(run: Run, study: Any, inspected: Result) -> None:
    study.answer = lambda progress: inspected
    assert run("inspect", "a").exit_code == 0
    assert last_call(study) == (("a",), {**DEFAULTS, "checkpoint": None})


def test_all_options_are_passed(run: Run, study: Any) -> None:
    line = (
        "--data random --image-size 32 --batch-size 8 --batches 2 --seeds 1 --sites layer* --pairs exact --mode eval"
        " --space weights --warmup-steps 3 --warmup-loss 1.5 --zero-init --pretrained --skip-bad --no-throughput"
        " --null --cca --checkpoint-a w.pt --input tokens --step s.py:f --loss l.py:f --num-classes 7 --stages a,b"
    )
    words = shlex.split(line)
    assert run("compare", "a", "b", *words).exit_code == 0
    expected = {
        "data": "random", "image_size": 32, "batch_size": 8, "batches": 2, "seeds": 1, "sites": "layer*",
        "pairs": "exact", "mode": "eval", "space": "weights", "warmup_steps": 3, "warmup_loss": 1.5, "zero_init": True,
        "pretrained": True, "input": "tokens", "step": "s.py:f", "loss": "l.py:f", "num_classes": 7, "stages": "a,b",
        "skip_bad": True, "throughput": False, "null": True, "cca": True, "checkpoint": (Path("w.pt"), None),
        "labels": {}, "by_loss": True,
    }  # fmt: skip
    assert last_call(study)[1] == expected


def test_more_than_two_networks_and_their_weights_are_passed(run: Run, study: Any) -> None:
    words = ("--checkpoint-a", "a.pt", "--checkpoint", "c=c.pt", "--out", "r")
    assert run("compare", "x", "y", "z", *words).exit_code == 0
    models, options = last_call(study)
    assert models == ("x", "y", "z")
    assert options["checkpoint"] == (Path("a.pt"), None, Path("c.pt"))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("c.pt", "such as C=weights.pt"),
        ("cc=c.pt", "such as C=weights.pt"),
        ("C=", "such as C=weights.pt"),
        ("C=c.pt", "there are 2 networks only"),
        ("A=c.pt", "network A has two files"),
    ],
)
def test_weights_for_an_unknown_network_are_wrong_usage(
    run: Run, study: Any, value: str, message: str
) -> None:
    ran = run("compare", "x", "y", "--checkpoint-a", "a.pt", "--checkpoint", value)
    assert ran.exit_code == 2
    assert message in ran.stderr
    assert study.calls == []


def test_the_summary_is_on_stdout_and_messages_on_stderr(run: Run, study: Any) -> None:
    ran = run("compare", "resnet50", "cspresnet50", "--out", "r")
    assert "resnet50 | cspresnet50" in ran.stdout
    assert ran.stdout.startswith("B copies less.\n\nstage  duplication")
    assert "0.79 | 0.68  -0.11 ± 0.04" in ran.stdout
    assert max(map(len, ran.stdout.splitlines())) <= 120
    assert ran.stderr.splitlines() == ["warning: only 3 seeds", f"report: {Path('r/report.html')}"]


@pytest.mark.parametrize(
    ("words", "seeds", "noted"),
    [
        (("compare", "a", "b"), 2, True),
        (("compare", "a", "b", "c"), 3, True),
        (("compare", "a", "b"), 5, False),
        (("compare", "a", "b"), 1, False),
        (("inspect", "a"), 2, False),
    ],
)
def test_a_run_that_cannot_pass_its_correction_says_so_before_it_starts(
    run: Run, study: Any, words: tuple[str, ...], seeds: int, noted: bool
) -> None:
    def fails(progress: Any) -> Result:
        progress("seed 0", 0, 2)
        progress("seed 0", 1, 2)
        raise GradlensError("not measured")

    study.answer = fails
    *lines, last = run(*words, "--seeds", seeds).stderr.splitlines()
    assert last == "error: not measured"
    first = lines[0].startswith(f"note: with {seeds} seeds hardly any difference can hold")
    assert (first, sum("hardly any" in line for line in lines)) == (noted, int(noted))


def test_an_error_before_the_measurement_has_no_note_about_seeds(run: Run, study: Any) -> None:
    def fails(progress: object) -> Result:
        raise GradlensError("no such layer")

    study.answer = fails
    assert run("compare", "a", "b", "--seeds", "2").stderr == "error: no such layer\n"


def test_what_became_of_gains_is_a_note_and_few_seeds_are_named_once(
    run: Run, study: Any, compared: Result
) -> None:
    texts = [
        "gains are set to one; zero_init=True keeps them",
        "with 2 seeds hardly any difference can hold after the correction for 4",
        "slow",
    ]
    study.answer = lambda progress: replace(compared, warnings=tuple(texts))
    lines = run("compare", "a", "b", "--seeds", "5", "--out", "r").stderr.splitlines()
    assert lines[:-1] == ["note: gains are set to one; --zero-init keeps them", "warning: slow"]


def test_a_warning_is_one_line_and_whole_if_verbose(run: Run, study: Any, compared: Result) -> None:
    text = "b: D of 54 signals is biased by up to about 0.02, because batches are small; use batch_size=64. It falls."
    study.answer = lambda progress: replace(compared, warnings=(text,))
    brief = "warning: b: D of 54 signals is biased by up to about 0.02; use --batch-size 64"
    assert brief in run("compare", "a", "b", "--out", "r").stderr.splitlines()
    assert "It falls." in run("compare", "a", "b", "--out", "v", "--verbose").stderr
    assert "It falls." in Path("r/result.json").read_text()


def test_the_run_is_saved_with_its_command_line(run: Run, study: Any) -> None:
    run("compare", "a b", "c", "--out", "r")
    assert load("r").meta["command"] == "gradlens compare 'a b' c --out r"
    assert Path("r/report.html").read_text() == "B copies less."


def test_the_default_folder_is_named_after_the_models(run: Run, study: Any) -> None:
    run("compare", "torchvision:resnet50", "nets/mine.py:build")
    names = [path.name for path in Path("runs").iterdir()]
    assert len(names) == 1
    assert names[0].startswith("compare-torchvision-resnet50-mine-build-20")


def test_json_is_the_only_output_on_stdout(run: Run, study: Any) -> None:
    ran = run("compare", "a", "b", "--json")
    document = json.loads(ran.stdout)
    assert document["finding"] == "B copies less."
    assert document["tables"]["comparison"]["columns"]["flow_slope_a"]["values"] == [None] * 3


def test_an_error_is_one_line_and_exit_code_1(run: Run, study: Any) -> None:
    def fail(progress: Any) -> Result:
        raise GradlensError("no such\nmodel")

    study.answer = fail
    ran = run("compare", "a", "b", "--seeds", 5)
    assert (ran.exit_code, ran.stdout, ran.stderr) == (1, "", "error: no such model\n")
    assert not Path("runs").exists()


def test_an_unexpected_error_is_one_line(run: Run, study: Any) -> None:
    study.answer = lambda progress: 1 / 0
    ran = run("compare", "a", "b", "--seeds", 5)
    assert ran.exit_code == 1
    assert ran.stderr.startswith("error: unexpected ZeroDivisionError")
    assert isinstance(run("--debug", "compare", "a", "b").exception, ZeroDivisionError)


@pytest.mark.parametrize(
    "words",
    [
        ("compare", "a"),
        ("compare", "a", "b", "--pairs", "no"),
        ("compare", "a", "b", "--batches", "0"),
        ("strategies", "a", "--space", "both"),
        ("paths", "a", "--space", "both"),
        ("nothing",),
    ],
)
def test_wrong_usage_is_exit_code_2(run: Run, study: Any, words: tuple[str, ...]) -> None:
    assert run(*words).exit_code == 2
    assert study.calls == []


def test_an_interrupted_run_without_results_writes_nothing(run: Run, study: Any) -> None:
    def interrupted(progress: Any) -> Result:
        raise KeyboardInterrupt

    study.answer = interrupted
    ran = run("compare", "a", "b", "--seeds", 5)
    assert (ran.exit_code, ran.stderr) == (1, "interrupted: nothing was finished\n")
    assert not Path("runs").exists()


def test_an_interrupted_run_keeps_finished_results(run: Run, study: Any, compared: Result) -> None:
    study.answer = lambda progress: compared.with_meta(partial=True)
    ran = run("compare", "a", "b", "--out", "r")
    assert ran.exit_code == 1
    assert "partial" in ran.stderr
    assert load("r").meta["partial"] is True


def test_a_folder_in_use_is_an_error_before_the_measurement(run: Run, study: Any) -> None:
    Path("r").mkdir()
    Path("r/precious").touch()
    ran = run("compare", "a", "b", "--out", "r")
    assert ran.exit_code == 1
    assert "--force" in ran.stderr
    assert study.calls == []


def test_the_numbers_are_printed_even_if_the_report_fails(
    run: Run, study: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(result: Result, folder: Path, *_: object) -> Path:
        (folder / "half").touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gradlens.report.write", full)
    ran = run("compare", "a", "b", "--out", "r")
    assert ran.exit_code == 1
    assert "0.79 | 0.68" in ran.stdout
    assert "No space left on device" in ran.stderr
    assert list(Path().iterdir()) == []


def test_progress_is_printed_in_lines(run: Run, study: Any, compared: Result) -> None:
    def measured(progress: Any) -> Result:
        for done in range(1, 1001):
            progress("resnet50" if done <= 500 else "cspresnet50", done, 1000)
        return compared

    study.answer = measured
    lines = [line for line in run("compare", "a", "b").stderr.splitlines() if "elapsed" in line]
    assert [line.split("  ")[:2] for line in lines] == [
        ["resnet50", "1/1000"],
        ["cspresnet50", "501/1000"],
        ["cspresnet50", "1000/1000"],
    ]


def test_inspect_prints_one_row_per_stage(run: Run, study: Any, inspected: Result) -> None:
    study.answer = lambda progress: inspected
    lines = run("inspect", "resnet50").stdout.splitlines()
    assert lines[:2] == ["It copies.", ""]
    assert lines[2].split()[:3] == ["stage", "duplication", "given"]
    assert lines[4] == "whole  0.50         0.50        4.1 G"
    assert run("inspect", "resnet50", "--all").stdout.splitlines()[4].endswith("4.1 G  23.5 M")
    assert max(map(len, lines)) <= 120


def test_both_spaces_are_offered_if_the_command_can_measure_them(run: Run, study: Any) -> None:
    for command, offered in (("compare", True), ("inspect", True), ("strategies", False)):
        assert ("[activations|weights|both]" in run(command, "--help").stdout) is offered
    assert run("inspect", "a", "--space", "both", "--json").exit_code == 0
    assert study.calls[-1][1]["space"] == "both"


@pytest.mark.parametrize("command", ["compare", "inspect", "report", "models"])
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_the_help_of_a_command_has_an_example(run: Run, command: str, flag: str) -> None:
    ran = run(command, flag)
    assert ran.exit_code == 0
    assert f"  gradlens {command} " in ran.stdout
    if command != "report":
        assert "RUNS that" in ran.stdout
