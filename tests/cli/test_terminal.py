"""Prose on a terminal: whole words, a coloured sign that also says itself."""

from __future__ import annotations

import pytest

from gradlens_cli import terminal


def test_a_long_path_is_not_broken() -> None:
    path = "runs/" + "x" * 60
    assert path in terminal.wrapped(f"report: {path} is there", 30).split("\n")


def test_a_pipe_gets_the_text_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.tell("warning", "word " * 100 + "end", err=True)
    terminal.say("word " * 100)
    captured = capsys.readouterr()
    assert captured.err == "warning: " + "word " * 100 + "end\n"
    assert captured.out == "word " * 100 + "\n"


def test_a_terminal_gets_a_coloured_sign_and_lines_that_fit(
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
