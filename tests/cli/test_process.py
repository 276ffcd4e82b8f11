"""The installed command in processes of its own: what it loads, prints, and how it ends in a pipe."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gradlens.version import VERSION

HEAVY = ("torch", "pandas", "matplotlib", "timm", "sklearn")
LOADED = f"print(*[name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
CALL = "from gradlens_cli.app import gradlens; gradlens({words}, standalone_mode=False); "


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", f"import sys; {code}"], capture_output=True, text=True, check=True, timeout=120
    )


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["compare", "-h"], ["inspect", "--help"]])
def test_help_and_version_load_nothing_heavy(words: list[str]) -> None:
    assert python(CALL.format(words=words) + LOADED).stderr.strip() == ""


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert python("import gradlens; " + LOADED).stderr.strip() == ""


def test_a_report_is_drawn_without_torch(tmp_path: Path) -> None:
    document = {"format": 1, "finding": "Nothing.", "warnings": [], "meta": {"a": "net"}, "tables": {}}
    (tmp_path / "result.json").write_text(json.dumps(document))
    ran = python(CALL.format(words=["report", str(tmp_path)]) + LOADED)
    assert "torch" not in ran.stderr.splitlines()[-1].split()
    assert "Nothing." in (tmp_path / "report.html").read_text()


def test_the_package_is_a_command() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "gradlens", "--version"], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == f"gradlens, version {VERSION}"


def test_a_reader_that_leaves_early_gets_no_traceback() -> None:
    command = [sys.executable, "-m", "gradlens", "models"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
