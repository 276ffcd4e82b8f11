"""Run folders: only --force replaces one, and no folder is written partly."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gradlens.errors import GradlensError
from gradlens.results import Result
from gradlens_cli import output


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pages: None) -> None:
    monkeypatch.chdir(tmp_path)


def files() -> list[str]:
    return sorted(str(path) for path in Path().rglob("*") if path.is_file())


COMPLETE = ["r/figures/one.svg", "r/report.html", "r/result.json", "r/tables/comparison.csv"]


def test_a_run_is_written_completely(compared: Result) -> None:
    page = output.publish(compared, output.destination(Path("r"), "x", force=False))
    assert page == Path("r/report.html")
    assert files() == COMPLETE
    assert Path("r").stat().st_mode & 0o777 == 0o777 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_parent_folders_are_created(compared: Result) -> None:
    output.publish(compared, output.destination(Path("a/b/r"), "x", force=False))
    assert Path("a/b/r/report.html").is_file()


def test_an_empty_folder_can_be_used(compared: Result) -> None:
    Path("r").mkdir()
    output.publish(compared, output.destination(Path("r"), "x", force=False))
    assert files() == COMPLETE


def test_the_check_of_a_destination_writes_nothing() -> None:
    output.destination(Path("a/r"), "x", force=False)
    assert list(Path().iterdir()) == []


def test_a_finished_run_is_replaced_only_with_force(compared: Result) -> None:
    output.publish(compared, output.destination(Path("r"), "x", force=False))
    Path("r/stale").touch()
    with pytest.raises(GradlensError, match="--force"):
        output.destination(Path("r"), "x", force=False)
    output.publish(compared, output.destination(Path("r"), "x", force=True))
    assert files() == COMPLETE
    assert [path.name for path in Path().iterdir()] == ["r"]


def test_force_does_not_replace_a_folder_that_is_not_a_run() -> None:
    Path("r").mkdir()
    Path("r/thesis.tex").touch()
    with pytest.raises(GradlensError, match="no gradlens run"):
        output.destination(Path("r"), "x", force=True)


def test_a_failure_with_force_keeps_the_old_run(compared: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    output.publish(compared, output.destination(Path("r"), "x", force=False))

    def fail(result: Result, folder: Path, *_: object) -> Path:
        (folder / "half").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr("gradlens.report.write", fail)
    with pytest.raises(KeyboardInterrupt):
        output.publish(compared, output.destination(Path("r"), "x", force=True))
    assert files() == COMPLETE


def test_the_old_run_is_restored_if_a_move_fails(compared: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    output.publish(compared, output.destination(Path("r"), "x", force=False))
    destination = output.destination(Path("r"), "x", force=True)
    moves: list[Path] = []
    replace = os.replace

    def fail_second_move(source: Path, target: Path) -> None:
        moves.append(target)
        if len(moves) == 2:
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr("os.replace", fail_second_move)
    with pytest.raises(GradlensError, match="No space"):
        output.publish(compared, destination)
    assert files() == COMPLETE


def test_a_folder_filled_in_the_meantime_is_unchanged(compared: Result) -> None:
    destination = output.destination(Path("r"), "x", force=False)
    Path("r").mkdir()
    Path("r/other").touch()
    assert output.publish(compared, destination) == Path("r-2/report.html")
    assert Path("r/other").exists()


def test_a_file_at_the_destination_is_an_error() -> None:
    Path("r").touch()
    with pytest.raises(GradlensError, match="is a file"):
        output.destination(Path("r"), "x", force=True)
    with pytest.raises(GradlensError, match="cannot write"):
        output.destination(Path("r/deeper"), "x", force=False)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder nobody can write into")
def test_a_folder_that_cannot_be_written_is_an_error() -> None:
    with pytest.raises(GradlensError, match=r"cannot write /proc/r: /proc: .*; give another --out DIR"):
        output.destination(Path("/proc/r"), "x", force=False)


def test_default_names_of_the_same_second_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    first = output.destination(None, "x", force=False).folder
    first.mkdir(parents=True)
    assert output.free_name(first) == first.with_name(first.name + "-2")
    assert first.parent == Path("runs")


@pytest.mark.parametrize(
    ("models", "name"),
    [
        (("resnet50", "cspresnet50"), "compare-resnet50-cspresnet50"),
        (("resnet50.a1_in1k", "../x/net.py:make"), "compare-resnet50.a1_in1k-net-make"),
        (("a" * 200,), "compare-" + "a" * 72),
    ],
)
def test_names_of_folders_have_only_plain_characters(models: tuple[str, ...], name: str) -> None:
    assert output.slug("compare", *models) == name


def test_force_does_not_remove_a_run_inside_the_run(compared: Result) -> None:
    output.publish(compared, output.destination(Path("r"), "x", force=False))
    output.publish(compared, output.destination(Path("r/inner"), "x", force=False))
    with pytest.raises(GradlensError, match="r holds another run, r/inner, which --force would remove"):
        output.destination(Path("r"), "x", force=True)
    assert Path("r/inner/result.json").is_file()


def test_a_forbidden_destination_is_an_error(forbid: Callable[..., None]) -> None:
    forbid(os, "stat", "locked")
    with pytest.raises(
        GradlensError, match="cannot access locked/r: Permission denied; give another --out DIR"
    ):
        output.destination(Path("locked/r"), "x", force=False)
