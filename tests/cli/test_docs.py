"""docs/cli.md contains all commands, and all its command lines can be parsed."""

from __future__ import annotations

import doctest
import importlib
import re
import shlex
from pathlib import Path

import click
import pytest

import gradlens_cli
from gradlens_cli.app import gradlens

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text("utf-8")
LINES = [
    line.split(" | ")[0]
    for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("gradlens ")
]


def parent() -> click.Context:
    """Return the context of the group with its own settings: click caches the help option of a command."""
    return click.Context(gradlens, info_name="gradlens", **gradlens.context_settings)


def test_all_commands_are_described_and_have_an_example() -> None:
    described = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    assert described == set(gradlens.commands)
    assert {line.split()[1] for line in LINES} == set(gradlens.commands)


@pytest.mark.parametrize("line", LINES)
def test_all_command_lines_can_be_parsed(line: str) -> None:
    _, name, *words = shlex.split(line, comments=True)
    command = gradlens.commands[name]
    assert command.make_context(name, words, parent=parent()).params


@pytest.mark.parametrize("name", sorted(gradlens.commands))
def test_examples_in_the_help_can_be_parsed(name: str) -> None:
    command = gradlens.commands[name]
    examples = re.findall(rf"^ +(gradlens {name}\b.*)$", command.help or "", re.MULTILINE)
    assert examples
    for line in examples:
        _, _, *words = shlex.split(line.split(" > ")[0])
        command.make_context(name, words, parent=parent())


def test_examples_in_the_code_run() -> None:
    modules = [path.stem for path in Path(gradlens_cli.__path__[0]).glob("[a-z]*.py")]
    results = [doctest.testmod(importlib.import_module(f"gradlens_cli.{name}")) for name in modules]
    assert sum(result.failed for result in results) == 0
    assert sum(result.attempted for result in results) > 10
