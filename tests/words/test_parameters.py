"""Sentences of the library name Python parameters, never options of the command line."""

import ast
from pathlib import Path

import pytest

import gradlens

FOLDER = Path(gradlens.__file__).parent
FILES = sorted(
    file for name in ("analyzers", "comparisons", "words") for file in (FOLDER / name).glob("*.py")
)


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_no_text_names_an_option_of_the_command_line(file):
    texts = [node.value for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Constant)]
    assert not [text for text in texts if isinstance(text, str) and " --" in f" {text}"]
