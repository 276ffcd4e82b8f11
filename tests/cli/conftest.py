"""Results of a comparison and an inspection, and stubs of the library that the command line calls."""

from __future__ import annotations

import errno
import math
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner
from click.testing import Result as Ran

from gradlens.catalogue import names
from gradlens.results import Result, Table
from gradlens_cli.app import gradlens

METRICS = (
    "rarefied_duplication",
    "rarefied_duplication_direction",
    "rarefied_duplication_given_loss",
    "branch_correlation",
    "flow_slope",
    "dead_signals",
    "flops",
    "parameters",
    "structural_duplication",
)
"""The quantities of a saved run; quantities that are added to the catalogue later are not in it."""
CELL = {"a": 0.79, "b": 0.68, "difference": -0.11, "low": -0.15, "high": -0.07}


def comparison_row(stage: str) -> dict[str, Any]:
    row: dict[str, Any] = {"stage": stage}
    for metric in METRICS:
        row |= {f"{metric}_{part}": value for part, value in CELL.items()}
    counts = {"a": 4.1e9, "b": 2.3e9, "difference": -1.8e9, "low": math.nan, "high": math.nan}
    row |= {f"flops_{part}": value for part, value in counts.items()}
    for metric in names("comparison", fixed=True):
        row |= {f"{metric}_low": math.nan, f"{metric}_high": math.nan}
    return row | {f"flow_slope_{part}": math.nan for part in CELL}


@pytest.fixture
def compared() -> Result:
    frame = pd.DataFrame([comparison_row(stage) for stage in ("4", "8", "whole")])
    table = Table("comparison", frame, "One row per stage.")
    return Result(
        {"comparison": table}, {"a": "resnet50", "b": "cspresnet50"}, "B copies less.", ("only 3 seeds",)
    )


@pytest.fixture
def inspected() -> Result:
    metrics = [metric for metric in METRICS if metric != "structural_duplication"]  # older runs lack it
    row = {
        "stage": "whole",
        "signals": 53,
        **dict.fromkeys(metrics, 0.5),
        "flops": 4.1e9,
        "parameters": 23.5e6,
    }
    frame = pd.DataFrame([row | {"stage": "4", "branch_correlation": math.nan}, row])
    return Result({"summary": Table("summary", frame, "One row per stage.")}, {"a": "resnet50"}, "It copies.")


class Study:
    """Stub of the functions of ``gradlens.studies.studies``: it records its calls and returns ``answer``."""

    def __init__(self) -> None:
        self.calls: list[tuple[tuple[str, ...], dict[str, Any]]] = []
        self.answer: Callable[..., Result] | None = None

    def __call__(self, *models: str, **options: Any) -> Result:
        self.calls.append((models, options))
        assert self.answer is not None
        return self.answer(options["progress"])


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch, compared: Result, inspected: Result) -> Study:
    stub, module = Study(), ModuleType("gradlens.studies.studies")
    stub.answer = lambda progress: compared
    module.compare = module.inspect = stub  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gradlens.studies.studies", module)
    for command in ("compare", "inspect"):  # the networks of the stub have no names in a library
        monkeypatch.setattr(f"gradlens_cli.{command}.check_request", lambda *request: None)
    return stub


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace ``gradlens.report.write`` with a stub that quickly writes a page with one figure."""

    def write(result: Result, folder: Path, run: str | None, wording: Callable[[str], str]) -> Path:
        result.save(folder)
        (folder / "figures").mkdir()
        (folder / "figures" / "one.svg").write_text("new figure")
        (folder / "report.html").write_text(result.finding)
        return folder / "report.html"

    monkeypatch.setattr("gradlens.report.write", write)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """Run ``gradlens`` with some arguments in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(gradlens, [str(word) for word in words])


@pytest.fixture
def forbid(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, str, str], None]:
    """Make a function fail for all paths through a folder of this name; permission bits do not stop root."""

    def forbid_paths(module: Any, call: str, name: str) -> None:
        real = getattr(module, call)

        def checked(path: Any, *args: Any, **options: Any) -> Any:
            if not isinstance(path, int) and name in Path(path).parts:
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return real(path, *args, **options)

        monkeypatch.setattr(module, call, checked)

    return forbid_paths
