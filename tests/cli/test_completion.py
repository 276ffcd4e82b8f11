"""Tab completion of networks, runs and figures, also in a real bash, and its speed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from gradlens.catalogue.transitions import STRATEGIES
from gradlens.models import TRANSITIONS
from gradlens.results import Result
from gradlens_cli.app import gradlens


def completions(*words: str) -> list[str]:
    """Return the completions of the last word, as the shell receives them."""
    *before, incomplete = words
    shell = ShellComplete(gradlens, {}, "gradlens", "_GRADLENS_COMPLETE")
    return [item.value for item in shell.get_completions(before, incomplete) if item.type == "plain"]


@pytest.fixture
def runs(tmp_path: Path, compared: Result, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two runs in ``runs`` and one outside of it."""
    monkeypatch.chdir(tmp_path)
    for folder in ("runs/first", "runs/deep/second", "other/third"):
        compared.save(folder)
        (Path(folder) / "figures").mkdir()
        for name in ("flow", "duplication"):
            (Path(folder) / "figures" / f"{name}.svg").touch()
    return tmp_path


def test_strategies_in_completions_are_those_of_the_registry() -> None:
    assert set(STRATEGIES) == set(TRANSITIONS)


@pytest.mark.parametrize(
    "command", [("inspect",), ("paths",), ("strategies",), ("compare",), ("compare", "a", "b")]
)
def test_networks_are_completed_in_all_commands_that_read_one(command: tuple[str, ...]) -> None:
    assert {"cspresnet50", "cspresnext50"} <= set(completions(*command, "cspres"))
    assert completions(*command, "torchvision:resnet15") == ["torchvision:resnet152"]
    assert completions(*command, "resnet50@fusion") == ["resnet50@fusion_first", "resnet50@fusion_last"]
    assert completions(*command, "resnet50@csp,part") == [
        "resnet50@csp,partial=split",
        "resnet50@csp,partial=project",
    ]
    assert completions(*command, "resnet50@csp,gamma=0.25,st") == ["resnet50@csp,gamma=0.25,stem=cifar"]


def test_darknet_files_are_completed_after_their_prefix(runs: Path) -> None:
    Path("cfg").mkdir()
    for name in ("cfg/a.cfg", "cfg/a.weights", "b.cfg"):
        Path(name).touch()
    assert completions("inspect", "darknet:b") == ["darknet:b.cfg"]
    assert completions("inspect", "darknet:cfg/") == ["darknet:cfg/a.cfg"]
    assert completions("inspect", "darknet:nowhere/") == []


@pytest.mark.parametrize("command", ["figure", "report", "open"])
def test_runs_are_completed_from_the_folder_runs_and_from_a_typed_folder(command: str, runs: Path) -> None:
    assert completions(command, "runs/") == ["runs/deep/second", "runs/first"]
    assert completions(command, "") == ["runs/deep/second", "runs/first"]
    assert completions(command, "other/th") == ["other/third"]


def test_figures_and_networks_of_a_run_are_completed(runs: Path) -> None:
    assert completions("figure", "runs/first", "") == ["duplication", "flow"]
    assert completions("figure", "runs/first", "fl") == ["flow"]
    assert completions("figure", "runs/first", "flow", "--network", "csp") == ["cspresnet50"]
    assert completions("figure", "runs/first", "flow", "--format", "s") == ["svg"]
    assert completions("figure", "nowhere", "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_completion_script(shell: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "gradlens"],
        env={**os.environ, "_GRADLENS_COMPLETE": f"{shell}_source"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "_gradlens_completion" in ran.stdout
    assert f"{shell}_complete" in ran.stdout


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("line", "replies"),
    [
        ("gradlens compare resnet50 cspresnet50", ["cspresnet50", "cspresnet50d", "cspresnet50w"]),
        ("gradlens inspect torchvision:resnet15", ["resnet152"]),
        ("gradlens inspect resnet50@no", ["none", "no_fusion"]),
        ("gradlens inspect resnet50@csp,partial=s", ["split"]),
        ("gradlens figure runs/fir", ["runs/first"]),
        ("gradlens figure runs/first d", ["duplication"]),
        ("gradlens figure runs/first flow --network ", ["resnet50", "cspresnet50"]),
    ],
)
def test_bash_completes_words_with_colons_and_at_signs(line: str, replies: list[str], runs: Path) -> None:
    (runs / "bin").mkdir()
    command = runs / "bin" / "gradlens"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m gradlens "$@"\n')
    command.chmod(0o755)
    script = (
        f'PATH="{runs / "bin"}:$PATH"; source <(_GRADLENS_COMPLETE=bash_source gradlens);'
        'COMP_LINE="$1"; COMP_POINT=${#1}; _gradlens_completion gradlens; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    ran = subprocess.run(
        ["bash", "-c", script, "bash", line], capture_output=True, text=True, check=True, cwd=runs
    )
    assert ran.stdout.splitlines() == replies


def test_completion_is_quick_and_loads_no_heavy_libraries() -> None:
    code = (
        "import sys\n"
        "from click.shell_completion import ShellComplete\n"
        "from gradlens_cli.app import gradlens\n"
        "shell = ShellComplete(gradlens, {}, 'gradlens', 'X')\n"
        "assert shell.get_completions(['compare', 'resnet50'], 'csp')\n"
        "assert not {'torch', 'timm', 'torchvision', 'numpy', 'pandas', 'matplotlib'} & set(sys.modules)"
    )
    times = []
    for _ in range(3):  # the machine may be busy once
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    assert min(times) < 2
