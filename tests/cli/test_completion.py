"""Tab: what is offered for networks, runs and figures, in a real bash too, and that it is quick."""

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
from gradlens.models import model_names as loaded_names
from gradlens.results import Result
from gradlens_cli.app import gradlens
from gradlens_cli.completion import model_names


def offered(*words: str) -> list[str]:
    """What completes the last word, as any shell is told."""
    *before, incomplete = words
    shell = ShellComplete(gradlens, {}, "gradlens", "_GRADLENS_COMPLETE")
    return [item.value for item in shell.get_completions(before, incomplete) if item.type == "plain"]


@pytest.fixture
def runs(tmp_path: Path, compared: Result, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two runs in ``runs`` and one elsewhere."""
    monkeypatch.chdir(tmp_path)
    for folder in ("runs/first", "runs/deep/second", "other/third"):
        compared.save(folder)
        (Path(folder) / "figures").mkdir()
        for name in ("flow", "duplication"):
            (Path(folder) / "figures" / f"{name}.svg").touch()
    return tmp_path


def test_names_read_from_the_sources_are_those_of_the_libraries() -> None:
    assert model_names() == sorted(loaded_names())
    assert set(STRATEGIES) == set(TRANSITIONS)


@pytest.mark.parametrize(
    "command", [("inspect",), ("paths",), ("strategies",), ("compare",), ("compare", "a", "b")]
)
def test_networks_are_offered_wherever_one_is_asked_for(command: tuple[str, ...]) -> None:
    assert {"cspresnet50", "cspresnext50"} <= set(offered(*command, "cspres"))
    assert offered(*command, "torchvision:resnet15") == ["torchvision:resnet152"]
    assert offered(*command, "resnet50@fusion") == ["resnet50@fusion_first", "resnet50@fusion_last"]
    assert offered(*command, "resnet50@csp,part") == [
        "resnet50@csp,partial=split",
        "resnet50@csp,partial=project",
    ]
    assert offered(*command, "resnet50@csp,gamma=0.25,st") == ["resnet50@csp,gamma=0.25,stem=cifar"]


def test_darknet_files_are_offered_behind_their_prefix(runs: Path) -> None:
    Path("cfg").mkdir()
    for name in ("cfg/a.cfg", "cfg/a.weights", "b.cfg"):
        Path(name).touch()
    assert offered("inspect", "darknet:b") == ["darknet:b.cfg"]
    assert offered("inspect", "darknet:cfg/") == ["darknet:cfg/a.cfg"]
    assert offered("inspect", "darknet:nowhere/") == []


@pytest.mark.parametrize("command", ["figure", "report", "open"])
def test_runs_are_offered_from_runs_and_from_the_folder_that_is_typed(command: str, runs: Path) -> None:
    assert offered(command, "runs/") == ["runs/deep/second", "runs/first"]
    assert offered(command, "") == ["runs/deep/second", "runs/first"]
    assert offered(command, "other/th") == ["other/third"]


def test_figures_and_networks_of_the_run_are_offered(runs: Path) -> None:
    assert offered("figure", "runs/first", "") == ["duplication", "flow"]
    assert offered("figure", "runs/first", "fl") == ["flow"]
    assert offered("figure", "runs/first", "flow", "--network", "csp") == ["cspresnet50"]
    assert offered("figure", "runs/first", "flow", "--format", "s") == ["svg"]
    assert offered("figure", "nowhere", "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script(shell: str) -> None:
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


def test_completion_loads_nothing_heavy_and_is_quick() -> None:
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
