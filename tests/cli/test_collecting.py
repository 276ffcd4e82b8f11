"""The collection of reference cycles is paused in a block and while libraries are imported, not while measuring."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from gradlens_cli import app
from gradlens_cli.collecting import resuming, uncollected


@pytest.fixture(autouse=True)
def collection() -> Iterator[None]:
    yield
    gc.unfreeze()
    gc.enable()


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collection_is_paused_in_a_block_and_then_as_before(enabled: bool) -> None:
    if not enabled:
        gc.disable()
    with uncollected():
        assert not gc.isenabled()
    assert gc.isenabled() is enabled


def test_an_error_ends_the_pause() -> None:
    with pytest.raises(ValueError, match="inside"), uncollected():
        raise ValueError("inside")
    assert gc.isenabled()


def test_the_first_report_of_progress_ends_the_pause() -> None:
    reports: list[tuple[str, int, int]] = []
    with uncollected():
        report = resuming(lambda *values: reports.append(values))
        assert not gc.isenabled()
        report("seed 0", 0, 4)
        assert gc.isenabled()
    assert reports == [("seed 0", 0, 4)]


def test_cycles_that_are_made_after_the_pause_are_collected() -> None:
    with uncollected():
        pass
    cycle: list[object] = []
    cycle.append(cycle)
    del cycle
    assert gc.collect() >= 1


def test_a_command_runs_without_collections(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command("probe")
    def probe() -> None:
        click.echo(str(gc.isenabled()))

    monkeypatch.setitem(app.gradlens.commands, "probe", probe)
    assert CliRunner().invoke(app.gradlens, ["probe"]).output == "False\n"
    assert gc.isenabled()
