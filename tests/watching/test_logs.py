"""Logs of a watched training: read back as they were written, also after a killed or resumed training."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from oracles.extras import needs

from gradlens.catalogue.watched import WATCHED
from gradlens.errors import GradlensError
from gradlens.watching.logs import FILE, CsvLog, ParquetLog, read_rows
from gradlens.watching.rows import Row


def rows(step: int, count: int = 3) -> list[Row]:
    cells = [Row(step, 0, "4", f"layer,{k}\n", 'a "branch"', "share", 0.1 * k + step) for k in range(count)]
    return [*cells, Row(step, 0, "whole", "", "", "finite", 1.0)]


def written(log: CsvLog | ParquetLog, *steps: int) -> None:
    for step in steps:
        log.write(step, rows(step))


LOGS = [
    pytest.param(CsvLog, id="csv"),
    pytest.param(ParquetLog, id="parquet", marks=pytest.mark.extra),
]


@pytest.fixture(autouse=True)
def _needed(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("extra"):
        needs("pyarrow")


@pytest.mark.parametrize("kind", LOGS)
def test_rows_are_read_back_as_they_were_written(kind: type[CsvLog | ParquetLog], tmp_path: Path) -> None:
    log = kind(tmp_path / "flow")
    written(log, 0, 50, 100)
    assert read_rows(tmp_path / "flow") == [*rows(0), *rows(50), *rows(100)]
    log.close()
    assert read_rows(tmp_path / "flow") == [*rows(0), *rows(50), *rows(100)]


@pytest.mark.parametrize("kind", LOGS)
def test_each_backward_pass_of_a_step_is_kept(kind: type[CsvLog | ParquetLog], tmp_path: Path) -> None:
    log, second = kind(tmp_path), [row._replace(backward=1) for row in rows(0)]
    log.write(0, rows(0))
    log.write(0, second)
    assert read_rows(tmp_path) == [*rows(0), *second]


@pytest.mark.parametrize("kind", LOGS)
def test_a_resumed_training_has_no_step_twice(kind: type[CsvLog | ParquetLog], tmp_path: Path) -> None:
    written(kind(tmp_path), 0, 50, 100)
    log = kind(tmp_path)
    log.resume(60)
    written(log, 100, 150)
    assert [row.step for row in read_rows(tmp_path) if row.quantity == "finite"] == [0, 50, 100, 150]


@pytest.mark.parametrize("kind", LOGS)
def test_a_training_that_goes_back_has_no_step_twice(kind: type[CsvLog | ParquetLog], tmp_path: Path) -> None:
    log = kind(tmp_path)
    written(log, 0, 1, 2, 3)
    log.resume(2)
    written(log, 2, 3, 4)
    log.close()
    assert [row.step for row in read_rows(tmp_path) if row.quantity == "finite"] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("kind", LOGS)
def test_a_new_training_replaces_the_rows_of_an_old_one(
    kind: type[CsvLog | ParquetLog], tmp_path: Path
) -> None:
    written(kind(tmp_path), 0, 50)
    written(kind(tmp_path), 7)
    assert read_rows(tmp_path) == rows(7)


def test_the_file_is_a_table_for_other_programs(tmp_path: Path) -> None:
    written(CsvLog(tmp_path), 0, 50)
    frame = pd.read_csv(tmp_path / FILE)
    assert list(frame.columns) == list(Row._fields)
    assert frame["value"].tolist() == [row.value for row in [*rows(0), *rows(50)]]
    assert set(frame["quantity"]) <= {entry.name for entry in WATCHED}


@pytest.mark.parametrize("cut", range(1, 200, 7))
def test_a_step_that_was_cut_off_is_left_out(cut: int, tmp_path: Path) -> None:
    log = CsvLog(tmp_path)
    written(log, 0)
    whole = log.file.read_bytes()
    written(log, 50)
    longer = log.file.read_bytes()
    log.file.write_bytes(longer[: -min(cut, len(longer) - len(whole))])
    assert read_rows(tmp_path) == rows(0)


def test_a_folder_without_rows_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(GradlensError, match=r"has no rows of a watched training"):
        read_rows(tmp_path)


def test_a_killed_training_keeps_every_finished_step(tmp_path: Path) -> None:
    program = (
        "import sys, itertools\n"
        "from gradlens.watching.logs import CsvLog\n"
        "from gradlens.watching.rows import Row\n"
        "logs = [CsvLog(f'{sys.argv[1]}/{k}') for k in range(30)]\n"
        "for step in itertools.count():\n"
        "    for log in logs:\n"
        "        log.write(step, [Row(step, 0, '4', 'a', 'b', 'share', k / 7) for k in range(200)]\n"
        "                  + [Row(step, 0, 'whole', '', '', 'finite', 1.0)])\n"
        "    print(step, flush=True)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(0.2)
        process.send_signal(signal.SIGKILL)
        finished = int([first, *process.stdout.read().split("\n")[:-1]][-1])
    for number in range(30):
        read = read_rows(tmp_path / str(number))
        steps = [row.step for row in read if row.quantity == "finite"]
        assert steps == list(range(len(steps)))
        assert len(read) == 201 * len(steps)
        assert finished + 1 <= len(steps) <= finished + 2
