"""Messages on a terminal: whole words, and a coloured label."""

from __future__ import annotations

import fcntl
import os
import struct
import termios

import pytest

from gradlens_cli import terminal


def test_a_long_path_is_not_broken() -> None:
    path = "runs/" + "x" * 60
    assert path in terminal.wrapped(f"report: {path} is there", 30).split("\n")


def test_a_pipe_receives_the_text_unchanged(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.tell("warning", "word " * 100 + "end", err=True)
    terminal.say("word " * 100)
    captured = capsys.readouterr()
    assert captured.err == "warning: " + "word " * 100 + "end\n"
    assert captured.out == "word " * 100 + "\n"


def test_a_terminal_receives_a_coloured_label_and_lines_that_fit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal.tell("warning", "the batch is small " * 5, err=True)
    first, *rest = capsys.readouterr().err.rstrip("\n").split("\n")
    assert first.startswith("\x1b[33m\x1b[1mwarning:\x1b[0m the batch")
    assert rest
    assert all(line.startswith("  ") and len(line) <= 40 for line in rest)
    monkeypatch.setenv("NO_COLOR", "1")
    terminal.tell("warning", "small", err=True)
    assert capsys.readouterr().err == "warning: small\n"


def test_the_width_is_that_of_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stdout may be a pipe while stderr is a narrow window, which would split words of long lines."""
    monkeypatch.delenv("COLUMNS", raising=False)
    parent, child = os.openpty()
    with os.fdopen(parent), os.fdopen(child, "w") as stream:
        fcntl.ioctl(stream, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 43, 0, 0))
        assert terminal.width(stream) == 43
        fcntl.ioctl(stream, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 0, 0, 0))
        assert terminal.width(stream) == 80
        monkeypatch.setenv("COLUMNS", "50")
        assert terminal.width(stream) == 50


@pytest.mark.parametrize("columns", range(20, 101))
def test_names_of_options_are_not_broken(columns: int) -> None:
    text = "commonly zero-initialised weights; --warmup-steps 10 or --no-zero-init brings them to life " * 2
    words = terminal.wrapped(f"warning: {text}", columns, "  ").split()
    assert words == f"warning: {text}".split()
