"""The snippets of the pages that need optional libraries run, each after the first one of its page."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import pytest
from oracles.extras import needs
from pages import PAGES, Block, blocks

from gradlens.watching.watching import WatchProblem

SNIPPETS = [block for page in PAGES for block in blocks(page) if block.mark == "needs"]

pytestmark = [pytest.mark.extra, pytest.mark.slow]


@pytest.mark.parametrize("block", SNIPPETS, ids=lambda block: block.comment)
def test_a_snippet_for_optional_libraries_runs(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs(*block.comment.split(", "))
    monkeypatch.chdir(tmp_path)
    if "wandb" in sys.modules:  # it keeps the folder of an earlier test
        sys.modules["wandb"].teardown()
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    first = next(other for other in blocks(block.page) if other.language == "python")
    names: dict[str, object] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries
        warnings.simplefilter("error", WatchProblem)
        for part in (first, block):
            exec(compile("\n" * part.line + part.text, str(part.page), "exec"), names)


def test_there_are_such_snippets() -> None:
    assert {library for block in SNIPPETS for library in block.comment.split(", ")} >= {
        "lightning", "transformers", "accelerate", "wandb", "mlflow",
    }  # fmt: skip
