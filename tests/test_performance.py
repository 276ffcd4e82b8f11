"""The benchmarks of speed: intervals, rounds, the limit, the floor, and the page made from the saved numbers."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pages import ROOT
from scipy import stats
from torch import nn

from benchmarks import commands, floor, growth, measuring, overhead, performance, trained, watching
from benchmarks.measuring import Seconds, Store, interval, order, ratios, rounds
from gradlens.hooks.watcher import Watcher


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """Measurements set the number of threads of the process."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("n", [6, 7, 8, 9, 11, 12, 20, 51])
def test_the_interval_of_a_median_is_the_narrowest_with_its_level(n: int) -> None:
    values = list(np.random.default_rng(n).permutation(n) + 1.0)  # so a value is its rank
    measured = interval(values)
    low, high = int(measured["low"]), int(measured["high"])
    assert low + high == n + 1
    coverage = {rank: 1 - 2 * stats.binom.cdf(rank - 1, n, 0.5) for rank in range(1, n // 2 + 1)}
    assert low == max(rank for rank, level in coverage.items() if level >= 0.95)
    assert measured["coverage"] == pytest.approx(coverage[low], abs=1e-4)
    assert measured["median"] == np.median(values)


@pytest.mark.parametrize(("n", "coverage"), [(1, 0.0), (2, 0.5), (3, 0.75), (5, 0.9375)])
def test_few_values_have_their_range_and_its_level(n: int, coverage: float) -> None:
    measured = interval([float(value) for value in range(n)])
    assert (measured["low"], measured["high"], measured["coverage"]) == (0.0, n - 1, coverage)


def test_the_interval_contains_the_median_as_often_as_it_says() -> None:
    draws = np.random.default_rng(0).lognormal(size=(2000, 9))
    inside = [measured["low"] <= 1 <= measured["high"] for measured in map(interval, draws)]
    assert np.mean(inside) == pytest.approx(interval(draws[0])["coverage"], abs=0.015)


def test_each_step_is_first_and_last_equally_often() -> None:
    assert [order("ab", turn) for turn in range(4)] == [["a", "b"], ["b", "a"], ["b", "a"], ["a", "b"]]
    orders = [order("abc", turn) for turn in range(6)]
    for position in (0, 1, 2):
        assert sorted(names[position] for names in orders) == ["a", "a", "b", "b", "c", "c"]


def drifting(costs: Mapping[Callable[[], None], float]) -> Callable[[Callable[[], None]], Seconds]:
    """Return the clock of a machine that gets slower from round to round."""
    runs: dict[object, int] = dict.fromkeys(costs, 0)

    def clock(run: Callable[[], None]) -> Seconds:
        run()
        runs[run] += 1
        return Seconds(costs[run] * runs[run], costs[run] * runs[run] ** 2)

    return clock


def test_a_drift_of_the_machine_cancels_and_slow_steps_run_in_the_first_rounds() -> None:
    ran: list[str] = []
    steps = {name: lambda name=name: ran.append(name) for name in ("plain", "quick", "slow")}
    clock = drifting(dict(zip(steps.values(), (1.0, 1.25, 8.0), strict=True)))
    times = rounds(steps, "plain", {"quick": 7, "slow": 2}, clock)
    assert {name: len(values) for name, values in times.items()} == {"plain": 7, "quick": 7, "slow": 2}
    assert set(ran[:3]) == set(ran[3:6]) == {"plain", "quick", "slow"}
    for name, ratio in (("quick", 1.25), ("slow", 8.0)):
        measured = ratios(times[name], times["plain"])
        assert all(measured["processor"][key] == ratio for key in ("median", "low", "high"))
        assert measured["wall"]["median"] == ratio


def row(processor: float, wall: float) -> dict[str, Any]:
    """Return a measured row of one kind."""
    clocks = {"processor": interval([processor] * 6), "wall": interval([wall] * 6)}
    return {"model": "net", "ratios": {"signals": clocks}, "plain": {}, "others": 0.0}


@pytest.mark.parametrize(
    ("processor", "wall", "limit", "status"),
    [
        (1.6, 1.0, ["--limit", "1.5"], 1),
        (1.4, 1.4, ["--limit", "1.5"], 0),
        (1.4, 9.0, ["--limit", "1.5"], 0),
        (1.1, 1.1, ["--limit", "1.0"], 1),
        (9.0, 9.0, [], 0),
    ],
)
def test_a_ratio_by_processor_time_above_the_limit_fails(
    processor: float,
    wall: float,
    limit: list[str],
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(overhead, "measure", lambda case, pairs: row(processor, wall))
    assert overhead.main(["--models", "net", "--kinds", "signals", *limit]) == status
    out, err = capsys.readouterr()
    assert json.loads(out)["rows"] == [row(processor, wall)]
    assert (f"net, signals: {processor:.2f} times a plain step, above" in err) is bool(status)


def test_ci_has_the_limit() -> None:
    (line,) = re.findall(
        r"^python -m benchmarks\.overhead (.*?)(?: > .*)?$", (ROOT / ".ci" / "run").read_text(), re.M
    )
    options = overhead.parsed(shlex.split(line))
    assert options.limit == 1.5
    assert options.kinds.split(",") == ["signals", "all"]
    assert options.pairs >= 6  # an interval of 95 % exists


def test_a_small_network_is_measured() -> None:
    case = overhead.Case("resnet10t", 4, 32)
    measured = overhead.measure(case, {"signals": 2, "forks": 1})
    assert {kind: clocks["wall"]["pairs"] for kind, clocks in measured["ratios"].items()} == {
        "signals": 2,
        "forks": 1,
    }
    for clocks in measured["ratios"].values():
        assert clocks["processor"]["median"] > 0
    assert set(measured["plain"]) == {"processor", "wall"}
    assert measured["floor"]["signals"] > measured["floor"]["forks"] > 1
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Traceback:\n  File\nValueError: a\nSee the manual", "ValueError: a"),
        ("ValueError: a\n\nDuring handling\n  x\npkg.MyError: b\n", "pkg.MyError: b"),
        ("Killed\n", "Killed"),
        ("", "no message"),
    ],
)
def test_the_reason_of_a_process_is_its_last_error(text: str, line: str) -> None:
    assert overhead.last_error(text) == line


def test_memory_is_compared_by_medians() -> None:
    values = {"plain": [100, 104, 90], "all": [110, 500, 100]}
    assert overhead.memory_row(values) == {"bytes": values, "ratios": {"all": 1.1}}


def test_the_floor_counts_each_watched_gradient_once() -> None:
    model = nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 4))
    batch = torch.randn(8, 6), torch.arange(8) % 4
    state, _ = Watcher(model, overhead.KINDS["signals"]).first(batch)
    work = floor.work_of(state.plan, 8)
    assert work == (2, 4 * 8 * (10 + 4), 8 * 8 * (10 + 4))  # the outputs of both layers; n² d with n = 8
    assert work.floor(floor.Rates(bandwidth=1e3, products=1e9)) == work.bytes / 1e3
    assert work.floor(floor.Rates(bandwidth=1e9, products=1e3)) == work.products / 1e3


def test_the_floor_of_weights_has_the_products_of_the_gradient_of_each_sample() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 10, 3, padding=1, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(250, 4)
    )
    batch = torch.randn(8, 3, 5, 5), torch.arange(8) % 4
    state, _ = Watcher(model, overhead.KINDS["weights"]).first(batch)
    work = floor.work_of(state.plan, 8)
    products = 8 * 250 * 27 + 8 * 4 * 250  # those of the backward passes of the layers' weights
    loss = 8 * 8 * 4  # the loss signal
    assert work.products == products + 8 * 8 * (270 + 1000) + loss


def test_the_rates_of_the_machine_are_positive() -> None:
    machine = floor.rates(1 << 20, 64)
    assert min(machine) > 0


def test_growth_is_measured_beside_the_floor() -> None:
    small = growth.Growth("samples", "4", overhead.Case("resnet10t", 4, 32), "signals")
    measured = growth.measure(small, floor.Rates(1e10, 1e10), pairs=1)
    assert measured["low"] == measured["seconds"] == measured["high"]
    assert measured["times_floor"] == pytest.approx(measured["seconds"] / measured["floor"])
    assert measured["gradients"] > 10


def test_each_growth_has_a_title_and_a_key_of_its_own() -> None:
    listed = list(growth.growths())
    assert len({entry.key for entry in listed}) == len(listed)
    assert {entry.axis for entry in listed} | {"seeds"} == set(performance.TITLES)


def test_the_deepest_densenet_has_the_blocks_of_the_paper() -> None:
    """Blocks of 6, 12, 64 and 48 layers of two convolutions; with these, the name counts one layer too few."""
    weighted = [isinstance(layer, (nn.Conv2d, nn.Linear)) for layer in growth.densenet264().modules()]
    assert sum(weighted) == 1 + 2 * (6 + 12 + 64 + 48) + 3 + 1


def test_rows_of_the_same_machine_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, number in (("b", 2), ("a", 1), ("old", 4)):
        Store("speed", ["a", "b", "old"], tmp_path).save(key, {"ratio": number})
    store = Store("speed", ["a", "b"], tmp_path)
    assert list(store.rows) == ["a", "b"]
    store.save("a", {"ratio": 3})
    assert json.loads(store.file.read_text())["rows"] == {"a": {"ratio": 3}, "b": {"ratio": 2}}
    other = {**measuring.environment(), "torch": "0.1"}
    monkeypatch.setattr(measuring, "environment", lambda: other)
    assert Store("speed", ["a", "b"], tmp_path).rows == {}


def test_the_load_of_a_process_itself_is_not_that_of_others() -> None:
    with measuring.load() as busy:
        assert not busy
    assert busy["others"] >= 0 or np.isnan(busy["others"])


def test_the_page_is_made_from_the_saved_numbers() -> None:
    documents = performance.saved()
    assert {"overhead", "memory", "peers", "growth"} <= set(documents)
    assert [
        section.title for name, section in performance.SECTIONS.items() if name in documents
    ] == re.findall(r"^## (.*)$", performance.page(documents), re.M)
    assert performance.page(documents) == performance.PAGE.read_text(encoding="utf-8")


def test_a_number_that_changes_changes_the_page() -> None:
    documents = performance.saved()
    before = performance.page(documents)
    first = next(iter(documents["overhead"]["rows"].values()))
    first["ratios"]["signals"]["processor"]["median"] = 7.77
    first["others"] = 0.987
    after = performance.page(documents)
    assert "7.77 [" not in before
    assert "| 7.77 [" in after
    assert "up to 99% of the machine" in after


def test_only_a_section_or_a_row_is_measured_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[tuple[str, str]] = []
    sections = {
        name: section._replace(measure=lambda only, name=name: asked.append((name, only)))
        for name, section in performance.SECTIONS.items()
    }
    monkeypatch.setattr(performance, "SECTIONS", sections)
    monkeypatch.setattr(performance, "PAGE", tmp_path / "performance.md")
    performance.main(["--measure", "--only", "growth/depth,memory"])
    assert asked == [("growth", "depth"), ("memory", "")]
    performance.main([])
    assert len(asked) == 2
    asked.clear()
    performance.main(["--measure"])
    assert [name for name, _ in asked] == list(sections)


def test_a_command_is_timed_or_has_the_reason_that_it_does_not_run() -> None:
    timed = commands.measure(commands.Command("nothing", ("-c", "pass"), 2))
    assert (timed["title"], timed["runs"]) == ("nothing", 1)
    assert re.fullmatch(r"\d+\.\d\d s", commands.taken(timed))
    printed = commands.measure(commands.Command("prints", ("-c", "print(12.5)"), 1, prints=True))
    assert commands.taken(printed) == "12.50 s"
    failed = commands.measure(commands.Command("fails", ("-c", "import no_such_module_at_all")))
    assert (
        commands.taken(failed) == "does not run: ModuleNotFoundError: No module named 'no_such_module_at_all'"
    )


def test_steps_of_a_watched_training_are_compared_with_plain_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "RUN", 3)
    row = watching.measure(overhead.Case("resnet18", 4, 32), {"not measured": 2, "measured": 2, "run": 1})
    assert {kind: each["processor"]["pairs"] for kind, each in row["ratios"].items()} == {
        "not measured": 2,
        "measured": 2,
        "run": 1,
    }
    assert row["ratios"]["measured"]["processor"]["median"] > 1.0
    held = watching.memory(early=20, late=60)
    assert held["early"]["tensors"] == held["late"]["tensors"] > 10
    lines = "\n".join(performance.watching_lines({"rows": {"case": row, watching.MEMORY: held}}))
    assert "resnet18, batch 4 at 32 px" in lines
    assert f"{held['late']['tensors']} tensors at the end" in lines


def test_the_numbers_of_the_trained_networks_are_those_of_their_file() -> None:
    section = (ROOT / "docs" / "findings.md").read_text(encoding="utf-8").partition("## During a training")[2]
    lines = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    document = json.loads((ROOT / "docs" / "trained.json").read_text(encoding="utf-8"))
    made = "\n".join(trained.tables(document)).splitlines()
    assert len(lines) > 30
    assert set(lines) <= set(made)
