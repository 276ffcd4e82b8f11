"""Ctrl-C while the tables are computed: the finished ones are kept, and the result says that it is partial."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from torch import Tensor, nn

import gradlens as gl
from gradlens.analyzers import ANALYZERS
from gradlens.studies import analysis
from gradlens.studies.partial import needed

OPTIONS: dict[str, Any] = {
    "seeds": 1, "batches": 2, "batch_size": 8, "image_size": 8, "throughput": False, "progress": False,
}  # fmt: skip


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.body, self.head = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1), nn.Linear(4, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return self.head((x + self.body(x).relu()).mean((2, 3)))


def pressed(*_: object) -> None:
    raise KeyboardInterrupt


def once(compute: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that is interrupted in its first call."""
    calls: list[int] = []

    def run(*args: object) -> Any:
        calls.append(0)
        return pressed() if len(calls) == 1 else compute(*args)

    return run


STUDIES = {
    "inspect": (lambda: gl.inspect(Net, **OPTIONS), "summary", "Summary"),
    "pair": (lambda: gl.compare(Net, Net, labels=["a", "b"], **OPTIONS), "comparison", "Comparison"),
    "several": (lambda: gl.compare(Net, Net, Net, **OPTIONS), "contrasts", "Contrasts"),
}


@pytest.mark.parametrize(("run", "first"), [study[:2] for study in STUDIES.values()], ids=STUDIES)
def test_the_tables_before_the_interrupt_are_kept(
    run: Callable[[], gl.Result], first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run()
    names = [name for name in ANALYZERS if name in whole.tables]
    monkeypatch.setitem(ANALYZERS, names[3], pressed)
    result = run()
    assert set(result.tables) == set(whole.tables) - set(names[3:]) - {"cross"}
    assert result.tables[first].frame.equals(whole.tables[first].frame)
    assert result.provenance.partial
    missing = len(ANALYZERS) - 3 + (first != "summary") + 1  # efficiency is made of other tables
    assert result.finding == f"Partial (without {missing} tables, then interrupted): {whole.finding}"


@pytest.mark.parametrize(("run", "first", "name"), STUDIES.values(), ids=STUDIES)
def test_the_first_table_is_finished_without_the_others(
    run: Callable[[], gl.Result], first: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run()
    compute = once(getattr(analysis, name)())
    monkeypatch.setattr(analysis, name, lambda: compute)
    result = run()
    assert first in result.tables
    assert not set(ANALYZERS) & set(result.tables)
    assert result.finding.endswith(whole.finding)
    assert result.finding.startswith("Partial (")


def test_an_analysis_alone_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    recording = gl.capture(Net(), gl.load_data("random", batch_size=8, batches=1, image_size=8))
    monkeypatch.setitem(ANALYZERS, next(iter(ANALYZERS)), pressed)
    with pytest.raises(KeyboardInterrupt):
        gl.analyze(recording)


def test_an_interrupt_in_the_second_attempt_ends() -> None:
    with pytest.raises(KeyboardInterrupt):
        needed(pressed, [])
