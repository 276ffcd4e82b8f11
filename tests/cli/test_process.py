"""The command in its own process: loaded libraries, output, and its end in a pipe."""

from __future__ import annotations

import json
import os
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
def test_help_and_version_load_no_heavy_libraries(words: list[str]) -> None:
    assert python(CALL.format(words=words) + LOADED).stderr.strip() == ""


def test_importing_the_package_loads_no_heavy_libraries() -> None:
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


def test_a_closed_pipe_gives_no_traceback() -> None:
    command = [sys.executable, "-m", "gradlens", "models"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""


def in_window(columns: int, *words: str, **environment: str) -> str:
    """Return the output of the command on a real terminal of this width."""
    fcntl, pty = pytest.importorskip("fcntl"), pytest.importorskip("pty")
    import struct
    import termios

    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-m", "gradlens", *words],
        stdin=child,
        stdout=child,
        stderr=subprocess.DEVNULL,
        env={**inherited, "TERM": "xterm-256color", **environment},
    )
    os.close(child)
    parts = []
    try:
        while part := os.read(parent, 65536):
            parts.append(part)
    except OSError:  # on Linux, if the other side is closed
        pass
    finally:
        os.close(parent)
    assert process.wait(timeout=60) == 0
    return b"".join(parts).decode().replace("\r\n", "\n")


SAVED = Path(__file__).parents[1] / "fixtures" / "run-format-1"


@pytest.mark.parametrize("columns", [40, 60, 100])
def test_a_real_terminal_of_any_width_shows_lines_that_fit(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(SAVED)
    output = in_window(columns, "runs", ".", NO_COLOR="1")
    assert "\x1b" not in output
    assert max(map(len, output.splitlines())) <= columns
    document = json.loads((SAVED / "result.json").read_text("utf-8"))
    assert {document["meta"][side] for side in "ab"} <= set(output.replace(",", " ").split())
    assert output.splitlines()[-1] == f"  {document['finding'][: columns - 3].rstrip()}…"


def test_headers_are_bold_on_a_real_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(SAVED)
    assert "\x1b[1mrun " in in_window(100, "runs", ".")
