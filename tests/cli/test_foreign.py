"""The command if the package ``gradlens`` belongs to another project or lacks its ``__init__.py``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from gradlens.installation import REMEDY

ROOT = Path(__file__).parents[2]
OTHER_INIT = "from .core import Monitor\n"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with copies of both packages, as in an installation."""
    skipped = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "gradlens", tmp_path / "gradlens", ignore=skipped)
    shutil.copytree(ROOT / "cli", tmp_path / "gradlens_cli", ignore=skipped)
    (tmp_path / "work").mkdir()
    (tmp_path / "libraries").mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():  # without the gradlens that is installed here
        if not entry.name.startswith("gradlens"):
            (tmp_path / "libraries" / entry.name).symlink_to(entry)
    return tmp_path


def command(site: Path, *before: Path) -> subprocess.CompletedProcess[str]:
    code = "from gradlens_cli.app import gradlens; gradlens(['--version'])"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [*before, site, site / "libraries"]))}
    # -S: the packages of this environment are on the path by the links only
    words = [sys.executable, "-S", "-c", code]
    return subprocess.run(
        words, capture_output=True, text=True, check=False, env=environment, cwd=site / "work"
    )


def overwritten(site: Path) -> list[Path]:
    """The other project was installed later; its modules import modules of gradlens with the same name."""
    (site / "gradlens" / "__init__.py").write_text(OTHER_INIT)
    (site / "gradlens" / "core.py").write_text("from .errors import State as Monitor\n")
    return []


def removed(site: Path) -> list[Path]:
    """The other project was uninstalled, and our ``__init__.py`` was removed with it."""
    (site / "gradlens" / "__init__.py").unlink()
    return []


def hidden(site: Path) -> list[Path]:
    """The other project comes first on the path, as it does if this one is an editable install."""
    package = site / "earlier" / "gradlens"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(OTHER_INIT)
    (package / "core.py").write_text("class Monitor: ...\n")
    return [package.parent]


def test_the_command_works_in_a_complete_installation(site: Path) -> None:
    ran = command(site)
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("change", [overwritten, removed, hidden])
def test_the_command_ends_with_the_remedy(site: Path, change) -> None:
    ran = command(site, *change(site))
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith(
        "error: Python imports a package gradlens that is incomplete or another project's; "
    )
    assert ran.stderr.endswith(f"{REMEDY}\n")
    assert len(ran.stderr.splitlines()) == 1
