"""A virtual environment without torch: saved runs can be read and drawn there."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gradlens.version import VERSION

ROOT = Path(__file__).parents[2]
SAVED = ROOT / "tests" / "fixtures" / "run-format-1"
ROOTS = ("numpy", "scipy", "pandas", "matplotlib", "networkx", "safetensors", "jinja2", "click", "rich")
Program = Callable[..., subprocess.CompletedProcess[str]]


def distributions(names: tuple[str, ...]) -> dict[str, importlib.metadata.Distribution]:
    """Return distributions and all their installed dependencies by normalised name."""
    installed: dict[str, importlib.metadata.Distribution] = {}
    pending = list(names)
    while pending:
        name = re.sub(r"[-_.]+", "-", pending.pop()).lower()
        if name in installed:
            continue
        try:
            installed[name] = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # required on other platforms only
        needs = [need for need in installed[name].requires or () if "extra ==" not in need]
        pending += [re.match(r"[\w.-]+", need)[0] for need in needs]  # type: ignore[index]
    return installed


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """Run ``python -m gradlens`` in an environment with links to these distributions and to the sources."""
    folder = tmp_path_factory.mktemp("torchless")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    (packages := folder / "packages").mkdir()
    for distribution in distributions(ROOTS).values():
        for file in distribution.files or ():
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not (packages / top).exists():
                (packages / top).symlink_to(Path(str(distribution.locate_file(top))))
    (packages / "gradlens").symlink_to(ROOT / "gradlens")
    (packages / "gradlens_cli").symlink_to(ROOT / "cli")
    python = folder / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    (Path(site) / "links.pth").write_text(f"{packages}\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}

    def run(*words: object, module: str = "gradlens") -> subprocess.CompletedProcess[str]:
        command = [str(python), "-B", "-m", module, *map(str, words)]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=folder, env=environment
        )

    return run


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return shutil.copytree(SAVED, tmp_path / "runs" / "first")


@pytest.mark.slow
def test_saved_runs_are_read_and_drawn_without_torch(program: Program, saved: Path, tmp_path: Path) -> None:
    absent = program("import torch", module="timeit")
    assert absent.returncode != 0
    assert "No module named 'torch'" in absent.stderr
    assert program("--version").stdout == f"gradlens, version {VERSION}\n"

    report = program("report", saved)
    assert (report.returncode, report.stderr) == (0, f"report: {saved / 'report.html'}\n")
    assert len(list((saved / "figures").glob("*.svg"))) >= 11

    figure = program("figure", saved, "duplication", "--columns", "1", "--out", tmp_path / "d.pdf")
    assert (figure.returncode, figure.stderr) == (0, "")
    assert (tmp_path / "d.pdf").read_bytes().startswith(b"%PDF-")

    runs = program("runs", saved.parent, "--json")
    assert runs.returncode == 0
    assert json.loads(runs.stdout)[0]["networks"] == ["networks.py:adds", "networks.py:joins"]


@pytest.mark.slow
def test_commands_that_need_torch_report_that_it_is_missing(program: Program) -> None:
    doctor = program("doctor")
    assert doctor.returncode == 1
    assert "torch: missing; python -m pip install 'torch>=2.4'" in doctor.stdout
    measured = program("inspect", "resnet18")
    assert (measured.returncode, measured.stdout) == (1, "")
    assert measured.stderr.startswith("error: ")
    assert re.search("No module named '(torch|timm)'", measured.stderr)
    assert "gradlens doctor" in measured.stderr
    assert len(measured.stderr.splitlines()) == 1
