"""The import names another distribution that installs the package ``gradlens``, and what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gradlens.installation import REMEDY, conflicts

ROOT = Path(__file__).parents[1]
OTHER = {"RECORD": "gradlens/__init__.py,sha256=x,1\ngradlens/core.py,sha256=x,1\n"}
COMMAND = "[console_scripts]\ngradlens = gradlens_cli.app:gradlens\n"
Site = Callable[..., Path]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A folder of installed distributions, each with the texts of its metadata."""

    def make(**distributions: dict[str, str]) -> Path:
        for name, texts in distributions.items():
            folder = tmp_path / "site" / f"{name}-0.2.0.dist-info"
            folder.mkdir(parents=True)
            for file, text in {"METADATA": f"Name: {name}\n", **texts}.items():
                (folder / file).write_text(text)
        return tmp_path / "site"

    return make


@pytest.mark.parametrize(
    ("name", "texts", "conflict"),
    [
        pytest.param("gradlens", OTHER, True, id="the other project"),
        pytest.param("GradLens", OTHER, True, id="spelt otherwise"),
        pytest.param("gradlens", {}, True, id="the other project, without a list of files"),
        pytest.param(
            "gradlens", {**OTHER, "entry_points.txt": COMMAND}, True, id="modules of an early version"
        ),
        pytest.param("gradlens", {"entry_points.txt": COMMAND}, False, id="link to an early version"),
        pytest.param("gradlens_flow", {**OTHER, "entry_points.txt": COMMAND}, False, id="this project"),
        pytest.param("gradlens_extra", OTHER, False, id="another name"),
    ],
)
def test_a_distribution_that_owns_the_import_name_is_a_conflict(
    site: Site, name: str, texts: dict[str, str], conflict: bool
) -> None:
    folder = site(**{name: texts})
    assert conflicts([str(folder)]) == ([str(folder / f"{name}-0.2.0.dist-info")] if conflict else [])


def test_entries_that_cannot_be_listed_are_passed(tmp_path: Path) -> None:
    (tmp_path / "archive.zip").write_text("")
    assert conflicts([str(tmp_path / "archive.zip"), str(tmp_path / "missing")]) == []


def imported(site: Path, code: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process that sees the sources and that folder, in this order."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(site)])}
    command = [sys.executable, *options, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=site)


def test_the_import_warns_with_the_remedy_and_works(site: Site) -> None:
    folder = site(gradlens=OTHER)
    ran = imported(folder, "import gradlens, sys; print(gradlens.__version__, 'torch' in sys.modules)")
    assert ran.returncode == 0
    assert ran.stdout.endswith(" False\n")
    assert ran.stderr.startswith(
        "<string>:1: UserWarning: another distribution installs the package gradlens ("
    )
    assert str(folder / "gradlens-0.2.0.dist-info") in ran.stderr
    assert REMEDY in ran.stderr
    assert "python -m pip uninstall gradlens" in REMEDY
    assert len(ran.stderr.splitlines()) == 1


def test_the_import_is_silent_without_a_conflict(site: Site) -> None:
    ran = imported(site(gradlens_flow={"entry_points.txt": COMMAND}), "import gradlens", "-W", "error")
    assert (ran.returncode, ran.stderr) == (0, "")


def test_the_search_is_quick_and_reads_no_package_metadata(site: Site) -> None:
    code = (
        "import sys; from time import perf_counter; from gradlens.installation import conflicts\n"
        "conflicts(); start = perf_counter(); conflicts(); print(perf_counter() - start)\n"
        "print('importlib.metadata' in sys.modules)"
    )
    ran = imported(site(gradlens_flow={}), code, "-S")
    seconds, metadata = ran.stdout.split()
    assert float(seconds) < 0.02
    assert metadata == "False"
