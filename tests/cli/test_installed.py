"""The installed files of gradlens: missing, changed and additional ones are reported by ``gradlens doctor``."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result as Ran

from gradlens.installation import REMEDY
from gradlens_cli.installed import file_problems, problems

Run = Callable[..., Ran]
SOURCES = {"gradlens/__init__.py": "one", "gradlens/graph/__init__.py": "two", "gradlens/py.typed": ""}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment with an installation of three files."""
    lines = []
    for name, text in SOURCES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(text)}")
    (info := tmp_path / "gradlens_flow-0.2.0.dist-info").mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.4\nName: gradlens-flow\nVersion: 0.2.0\n")
    (info / "RECORD").write_text("\n".join([*lines, "gradlens/__pycache__/x.cpython-311.pyc,,", ""]))
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_a_complete_installation_has_no_problem(site: Path) -> None:
    (site / "gradlens" / "__pycache__").mkdir()
    (site / "gradlens" / "__pycache__" / "x.cpython-311.pyc").write_text("")
    assert problems() == []


def test_an_editable_install_lists_no_files_and_has_no_problem(site: Path) -> None:
    (site / "gradlens_flow-0.2.0.dist-info" / "RECORD").write_text("_editable_impl_gradlens_flow.pth,,\n")
    assert file_problems([]) == problems() == []


def test_missing_and_changed_files_are_reported_with_the_remedy(site: Path) -> None:
    (site / "gradlens" / "__init__.py").write_text("theirs")
    (site / "gradlens" / "py.typed").unlink()
    names = "gradlens/__init__.py, gradlens/py.typed"
    assert problems() == [f"missing or changed files in {site}: {names}; {REMEDY}"]


def test_additional_modules_are_reported(site: Path) -> None:
    for number in range(7):
        (site / "gradlens" / f"core{number}.py").write_text("")
    (message,) = problems()
    assert message.startswith(f"files that gradlens-flow did not install in {site}: gradlens/core0.py, ")
    assert message.endswith("gradlens/core4.py and 2 more; delete them")


def test_the_doctor_reports_the_other_distribution(
    run: Run, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gradlens_cli.doctor.trials", list)  # trials take seconds
    (other := site / "gradlens-0.2.0.dist-info").mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.4\nName: gradlens\nVersion: 0.2.0\n")
    (other / "RECORD").write_text("gradlens/__init__.py,,\n")
    assert importlib.metadata.version("gradlens") == "0.2.0"
    ran = run("doctor")
    assert ran.exit_code == 1
    assert f"BROKEN: another distribution installs the package gradlens ({other})" in ran.stdout
    document = json.loads(run("doctor", "--json").stdout)
    assert document["distribution"] == "gradlens-flow"
    (message,) = document["installation"]
    assert message.endswith(REMEDY)
    assert document["broken"] == [message]
