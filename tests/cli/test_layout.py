"""Tables in windows of any width: all words are shown, and none is split."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from gradlens.results import Result
from gradlens_cli import layout, summary
from gradlens_cli.layout import Block

WIDE = Block(
    ["stage", "duplication", "direction", "given loss"],
    [["4", "0.49 | 0.52  +0.03 [+0.01, +0.05]", "0.5", "0.1"], ["whole", "0.59", "0.6", "0.2"]],
)


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make stdout a terminal with these variables; to be called in the test, after stdout is captured."""

    def make(**variables: str) -> None:
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
        monkeypatch.delenv("NO_COLOR", raising=False)
        for name, value in {"TERM": "xterm-256color", **variables}.items():
            monkeypatch.setenv(name, value)

    return make


def words(text: str) -> list[str]:
    return re.sub(r"\x1b\[[0-9;]*m", "", text).split()


def test_columns_are_aligned_and_not_truncated() -> None:
    lines = layout.plain(Block(["stage", "x"], [["4", "y" * 300], ["whole", "z"]])).splitlines()
    assert [line[7] for line in lines] == ["x", "y", "z"]
    assert len(lines[1]) == 307


@pytest.mark.parametrize("columns", [20, 40, 60, 200])
def test_each_cell_is_in_one_part_next_to_the_name_of_its_row(columns: int) -> None:
    parts = layout.fitted(WIDE, columns)
    assert [header for part in parts for header in part.headers[1:]] == list(WIDE.headers[1:])
    for part in parts:
        assert part.headers[0] == "stage"
        assert [row[0] for row in part.rows] == ["4", "whole"]
    assert len(parts) == (1 if columns == 200 else len(parts))
    assert len(parts) > 1 or columns == 200


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 120])
def test_a_terminal_of_any_width_shows_all_words_in_lines_that_fit(
    columns: int, compared: Result, on_terminal: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    on_terminal(COLUMNS=str(columns))
    blocks = summary.blocks(compared)
    layout.print_blocks(blocks)
    output = capsys.readouterr().out
    plain = re.sub(r"\x1b\[[0-9;]*m", "", output)
    assert max(map(len, plain.splitlines())) <= columns
    expected = {
        word
        for block in blocks
        for line in (block.headers, *block.rows)
        for cell in line
        for word in cell.split()
    }
    assert expected <= set(words(output))


def test_a_comparison_is_shown_in_tables_at_40_columns(
    compared: Result, on_terminal: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    on_terminal(COLUMNS="40", NO_COLOR="1")
    layout.print_blocks(summary.blocks(compared)[:1])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "stage  duplication"
    assert lines[2] == "4      0.79 | 0.68  -0.11 [-0.15, -0.07]"
    assert lines[6] == "stage  given loss"


@pytest.mark.parametrize(
    ("variable", "value", "coloured"), [("X", "", True), ("NO_COLOR", "1", False), ("TERM", "dumb", False)]
)
def test_colour_follows_the_environment(
    variable: str,
    value: str,
    coloured: bool,
    on_terminal: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    on_terminal(**{variable: value})
    layout.print_blocks([WIDE])
    assert ("\x1b[1m" in capsys.readouterr().out) is coloured


def test_a_pipe_receives_no_colour_and_no_rule(capsys: pytest.CaptureFixture[str]) -> None:
    layout.print_blocks([WIDE])
    assert capsys.readouterr().out == layout.plain(WIDE) + "\n\n"


def test_a_table_of_one_column_is_not_divided() -> None:
    block = Block(["name"], [["x"]])
    assert layout.fitted(block, 2) == [block]
