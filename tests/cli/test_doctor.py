"""gradlens doctor: installed packages, what works, and the advice if something does not."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import Result as Ran

from gradlens_cli import doctor
from gradlens_cli.packages import NEEDS, Need, fits, package
from gradlens_cli.trials import TRIALS, trials

Run = Callable[..., Ran]
ROOT = Path(__file__).parents[2]


def test_all_required_parts_work_in_this_environment(run: Run) -> None:
    ran = run("doctor")
    assert ran.exit_code == 0, ran.stdout
    assert ran.stdout.rstrip().endswith("all required parts work")
    assert (
        f"torch            {importlib.metadata.version('torch')}".split()
        == re.search(r"^torch .*", ran.stdout, re.M)[0].split()[:2]
    )  # type: ignore[index]
    for name in TRIALS:
        assert re.search(rf"^{re.escape(name)} +works ", ran.stdout, re.M)


def test_the_listed_packages_equal_those_of_the_distribution() -> None:
    tomllib = pytest.importorskip("tomllib")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    listed = {(text, "") for text in project["dependencies"]}
    for extra in ("notebook", "test"):
        listed |= {(text, extra) for text in project["optional-dependencies"][extra] if "[" not in text}
    assert {(need.name + need.versions, need.extra) for need in NEEDS} == listed


def test_json_contains_the_same_facts(run: Run) -> None:
    document = json.loads(run("doctor", "--json").stdout)
    assert document["packages"]["torch"]["version"] == importlib.metadata.version("torch")
    assert document["packages"]["pytest"]["extra"] == "test"
    assert document["torch"]["problem"] is None
    assert document["torch"]["devices"][0].endswith(f"threads: {torch.get_num_threads()}")
    assert set(document["tried"]) == set(TRIALS)
    assert document["broken"] == []


def test_without_torch_it_reports_what_still_works() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from gradlens_cli.app import gradlens; gradlens(['doctor'] + sys.argv[1:])"
    )
    ran = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (1, "")
    assert "nothing can be measured" in ran.stdout
    assert "BROKEN: torch is installed but cannot be imported (ModuleNotFoundError" in ran.stdout
    as_json = subprocess.run(
        [sys.executable, "-c", code, "--json"], check=False, capture_output=True, text=True
    )
    assert as_json.returncode == 1
    assert json.loads(as_json.stdout)["tried"] == {}


def broken_hook(self: Any, hook: Any) -> None:
    raise RuntimeError("no hooks\nhere")


@pytest.mark.parametrize(
    ("owner", "name", "value", "trial"),
    [
        ("torch._C._autograd", "_get_sequence_nr", lambda: 7, "Node._sequence_nr"),
        ("torch.utils.flop_counter.FlopCounterMode", "get_total_flops", lambda self: 24, "flop_counter"),
        ("torch.autograd.graph", "saved_tensors_hooks", broken_hook, "saved_tensors_hooks"),
    ],
)
def test_a_changed_part_of_torch_is_detected(
    owner: str, name: str, value: Any, trial: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{owner}.{name}", value)
    assert trial in {result.name for result in trials() if result.problem}


def test_a_failed_trial_is_exit_code_1_with_advice(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise AttributeError("no such\nthing")

    monkeypatch.setitem(TRIALS, "Node.register_hook", ("the contribution of every branch", fails))
    ran = run("doctor")
    assert ran.exit_code == 1
    assert re.search(r"^Node.register_hook +BROKEN ", ran.stdout, re.M)
    assert (
        "torch lacks Node.register_hook, needed for the contribution of every branch: AttributeError: no such thing;"
        in (ran.stdout)
    )


@pytest.mark.parametrize(
    ("need", "problem", "broken"),
    [
        (Need("no-such-package-here", ">=1", "x"), "missing", True),
        (Need("no-such-package-here", ">=1", "x", "test"), "missing", False),
        (Need("click", ">=1000", "x"), "needs >=1000", True),
        (Need("click", ">=1,<2", "x"), "needs >=1,<2", True),
        (Need("click", ">=1", "x"), "", False),
    ],
)
def test_a_missing_or_wrong_package_is_broken_unless_it_is_optional(
    need: Need, problem: str, broken: bool
) -> None:
    installed = package(need)
    assert (installed.problem, installed.broken) == (problem, broken)


def test_a_missing_optional_package_is_reported_without_an_error(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "NEEDS", (*NEEDS, Need("no-such-package-here", ">=2", "dancing", "test")))
    ran = run("doctor")
    assert ran.exit_code == 0
    assert "optional, for dancing (extra test): python -m pip install 'no-such-package-here>=2'" in ran.stdout


@pytest.mark.parametrize(
    ("version", "requirement", "expected"),
    [("2.4.0", ">=2.4", True), ("2.3.9", ">=2.4", False), ("2.10", ">=2.4", True), ("3", ">=1,<3", False),
     ("3.0.0rc1", "<3", False), ("2.14.1+cu130", ">=2.4", True)],
)  # fmt: skip
def test_versions_are_compared_as_numbers(version: str, requirement: str, expected: bool) -> None:
    assert fits(version, requirement) is expected


def test_paths_of_caches_follow_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    paths = doctor.locations()
    assert paths["weights of timm"] == f"{tmp_path / 'hub'} (created when needed)"
    assert paths["network"].startswith("used")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert doctor.locations()["network"] == "not used: HF_HUB_OFFLINE is set"
