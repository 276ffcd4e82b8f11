"""A missing optional library is one clear line, and so is one that cannot be imported."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

import gradlens as gl
from gradlens.errors import GradlensError
from gradlens.libraries import is_installed, library, missing, require

LOGS = {"ParquetLog": "pyarrow", "TensorBoardLog": "tensorboard", "WandbLog": "wandb", "MlflowLog": "mlflow"}


def test_what_is_installed_is_found_without_importing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lib_that_fails.py").write_text("raise ImportError('broken')")
    monkeypatch.syspath_prepend(tmp_path)
    assert is_installed("lib_that_fails")
    assert missing(["json", "no_such_library", "lib_that_fails"]) == ["no_such_library"]
    monkeypatch.setitem(sys.modules, "half_loaded", object())
    assert not is_installed("half_loaded")


def test_a_missing_library_is_named_with_the_command_that_installs_it() -> None:
    with pytest.raises(GradlensError) as caught:
        require("X", ["json", "no_such_a", "no_such_b"], install="both>=2", licence="MIT", otherwise="use Y")
    assert str(caught.value) == (
        "X needs no_such_a, no_such_b (MIT), not installed here; run `python -m pip install both>=2`, "
        "or use Y"
    )
    require("X", ["json"])


def test_a_library_that_cannot_be_imported_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lib_that_fails.py").write_text("raise ImportError('no libfoo.so')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        GradlensError, match=r"^X needs lib_that_fails, which cannot be imported \(no libfoo.so\); "
    ):
        library("X", "lib_that_fails")
    assert library("X", "json", "json.decoder").__name__ == "json.decoder"


@pytest.mark.parametrize("name", LOGS)
def test_each_log_names_the_library_that_it_lacks(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gradlens.libraries.is_installed", lambda module: module != LOGS[name])
    with pytest.raises(GradlensError, match=f"^{name} needs {LOGS[name]}, .*, or use CsvLog$"):
        getattr(gl, name)(tmp_path)


@pytest.mark.parametrize("name", ["lightning", "transformers"])
def test_each_callback_names_the_library_that_it_lacks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, callback = importlib.import_module(f"gradlens.watching.{name}"), f"{name.title()}Watch"
    for base in ("Callback", "TrainerCallback"):
        monkeypatch.setattr(module, base, object, raising=False)
    monkeypatch.setattr("gradlens.libraries.is_installed", lambda module: module != name)
    with pytest.raises(GradlensError, match=f"^{callback} needs {name}, not installed here; run "):
        getattr(gl, callback)()
