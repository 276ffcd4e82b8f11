"""The result of a watched training: its tables, from rows in memory and in a folder, finished or not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from oracles.extras import needs
from watching.flows import broken, measured, training
from watching.loops import STEPS, network, plain

import gradlens as gl
from gradlens.report import write
from gradlens.showing.columns import main_columns
from gradlens.watching.logs import FILE, CsvLog, ParquetLog
from gradlens.watching.reading import alarms_of, flow_result
from gradlens.watching.rows import Row
from gradlens.watching.watching import WatchProblem

ROOT = Path(__file__).parents[2]


def logged(folder: Path, rows: list[Row]) -> Path:
    log = CsvLog(folder)
    for step in sorted({row.step for row in rows}):
        log.write(step, [row for row in rows if row.step == step])
    return folder


def result_of(rows: list[Row]) -> gl.Result:
    return flow_result(rows, alarms_of(rows))


def test_a_stage_has_the_summary_of_its_places() -> None:
    frame = result_of([*measured(0), *measured(50)])["stages_along"].frame
    assert frame[["step", "stage"]].values.tolist() == [
        [s, st] for s in (0, 50) for st in ("4", "8", "whole")
    ]
    four = frame[frame["stage"] == "4"].iloc[0]
    assert four["rms"] == pytest.approx(0.1)  # geometric mean of 0.01 and 1
    assert four[["share", "coherence", "duplication", "dead"]].tolist() == pytest.approx([0.4, 1.1, 0.1, 0.0])
    assert frame["finite"].dropna().tolist() == [1.0, 1.0]
    assert np.isnan(frame.loc[frame["stage"] == "whole", "rms"]).all()


def test_a_branch_has_its_share_and_the_coherence_of_its_fork() -> None:
    parts = [Row(0, 0, "4", "split", label, "part", 0.5) for label in ("bypass", "dense")]
    frame = result_of([*parts, *measured(0)])["branches_along"].frame
    assert frame["of"].tolist() == ["split"] * 2 + ["fork"] * 4
    assert frame["branch"].tolist() == ["bypass", "dense", *["residual", "skip"] * 2]
    assert frame["share"].tolist() == [0.5, 0.5, 0.4, 0.6, 0.4, 0.6]
    assert frame["coherence"].isna().tolist() == [True, True, False, False, False, False]


def test_alarms_are_found_in_the_rows_and_counted_at_their_place() -> None:
    result = result_of(training(range(0, 500, 50), small_from=200))
    alarms = result["alarms"].frame
    assert alarms["rule"].tolist() == ["small share"] * 2
    assert alarms["step"].tolist() == [300, 300]  # the third measured step from 200 on
    stages, branches = result["stages_along"].frame, result["branches_along"].frame
    assert stages.loc[stages["alarms"] > 0, ["step", "stage", "alarms"]].values.tolist() == [
        [300, "4", 1],
        [300, "8", 1],
    ]
    assert branches.loc[branches["alarms"] > 0, "branch"].tolist() == ["residual"] * 2
    assert result.headline == "2 alarms in 10 measured steps, 0 to 450."
    assert "act4:relu" in result.details


def test_a_step_that_is_not_finite_is_named_and_has_no_numbers() -> None:
    result = result_of([*measured(0), *broken(50), *measured(100)])
    assert result.warnings == ["a gradient was NaN or infinite in 1 of 3 measured backward passes"]
    frame = result["stages_along"].frame
    at_50 = frame[frame["step"] == 50]
    assert at_50["not_finite"].tolist()[0] == 0.25
    assert at_50["duplication"].isna().all()
    assert at_50["alarms"].tolist() == [1, 0]


def test_backward_passes_of_one_step_have_rows_of_their_own() -> None:
    frame = result_of([*measured(0), *measured(0, backward=1)])["stages_along"].frame
    assert frame["backward"].tolist() == [0, 0, 0, 1, 1, 1]


def test_numbers_of_the_loop_are_columns_of_the_whole_network() -> None:
    rows = [*measured(0), Row(0, 0, "whole", "", "", "loss", 2.5), Row(7, 0, "whole", "", "", "loss", 2.0)]
    frame = result_of(rows)["stages_along"].frame
    assert frame.dropna(subset=["loss"])[["step", "stage", "loss"]].values.tolist() == [
        [0, "whole", 2.5],
        [7, "whole", 2.0],
    ]
    assert np.isnan(frame["finite"].iloc[-1])  # step 7 was not measured


@pytest.mark.parametrize(
    "kind",
    [pytest.param(CsvLog, id="csv"), pytest.param(ParquetLog, id="parquet", marks=pytest.mark.extra)],
)
def test_a_folder_gives_the_result_that_the_watch_gives(
    kind: type[CsvLog | ParquetLog], tmp_path: Path
) -> None:
    if kind is ParquetLog:
        needs("pyarrow")
    model = network()
    with gl.watch(model, every=2, to=kind(tmp_path), quiet=True) as watching:
        plain(model)
        early = watching.result()
    late = watching.result()
    assert late.to_json() == gl.load(tmp_path).to_json() == early.to_json()
    assert late["stages_along"].frame["step"].unique().tolist() == list(range(0, STEPS, 2))
    model = network()
    with gl.watch(model, every=2, quiet=True) as in_memory:
        plain(model)
    assert in_memory.result().to_json() == late.to_json()


def test_an_unreadable_log_keeps_the_last_steps_and_says_so() -> None:
    class Nowhere:
        def write(self, step: int, rows: object) -> None: ...
        def resume(self, step: int) -> None: ...
        def close(self) -> None: ...

    model = network()
    with gl.watch(model, every=2, to=Nowhere(), keep=3, quiet=True) as watching:
        plain(model)
    result = watching.result()
    assert result["stages_along"].frame["step"].unique().tolist() == [2, 4, 6]
    assert "only the last 3 measured backward passes" in result.warnings[0]


def test_a_result_is_saved_reported_and_read_again(tmp_path: Path) -> None:
    result = result_of(training(range(0, 300, 50), small_from=100))
    again = gl.load(result.save(tmp_path / "saved"))
    assert again.to_json() == result.to_json()
    page = write(again, tmp_path / "page").read_text("utf-8")
    assert "watched training" in page
    assert "Carries 0.10% of the gradient" in page  # where to look
    assert (tmp_path / "page" / "figures" / "branches_along.svg").is_file()
    assert "alarms (2)" in repr(result)
    stages = result["stages_along"]
    shown = main_columns(stages.frame.assign(mean_similarity=0.5), stages.units)
    assert [column.name for column in shown] == ["step", "stage", "mean_similarity"]


def test_reading_a_running_training_changes_nothing(tmp_path: Path) -> None:
    folder = logged(tmp_path / "flow", training(range(0, 200, 50)))
    cut = (folder / FILE).read_bytes()[:-40]  # it is writing its last step now
    (folder / FILE).write_bytes(cut)
    result = gl.load(folder)
    assert result.meta["last step"] == 100
    assert [(path.name, path.read_bytes()) for path in folder.iterdir()] == [(FILE, cut)]


def test_a_folder_without_a_measured_step_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(gl.GradlensError, match=r"contains no saved result .* watched training logs into"):
        gl.load(tmp_path)
    log = CsvLog(tmp_path)
    log.resume(0)  # the header alone
    with pytest.raises(gl.GradlensError, match="has no measured step of a watched training yet"):
        gl.load(tmp_path)
    log.write(3, [Row(3, 0, "whole", "", "", "loss", 1.0)])
    with pytest.raises(gl.GradlensError, match="has no measured step"):
        gl.load(tmp_path)


def test_a_folder_with_another_file_of_that_name_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("a,b,c,d,e,f,g\n1,2,3,4,5,6,x\n")
    with pytest.raises(gl.GradlensError, match=r"the rows in .* cannot be read: could not convert"):
        gl.load(tmp_path)


@pytest.mark.extra
def test_a_damaged_parquet_file_is_refused_in_one_line(tmp_path: Path) -> None:
    needs("pyarrow")
    (tmp_path / "part-00000000-0000.parquet").write_bytes(b"PAR1")
    with pytest.raises(gl.GradlensError, match=r"the rows in .* cannot be read: "):
        gl.load(tmp_path)


def test_a_watch_without_a_measured_step_has_no_result(tmp_path: Path) -> None:
    logged(tmp_path, training([0]))  # of an earlier training
    watching = gl.watch(network(), to=CsvLog(tmp_path))
    with pytest.raises(gl.GradlensError, match="no step was measured yet"):
        watching.result()


def test_problems_of_the_watch_are_warnings_of_its_result() -> None:
    model = network()
    with gl.watch(model, every=2, quiet=True) as watching:
        plain(model)
        with pytest.warns(WatchProblem):
            watching.log(finite=1.0)
    (text,) = watching.result().warnings
    assert text.startswith(f"1 step with a problem; step {STEPS - 1}: log(finite=...)")


def test_own_rules_make_the_alarms_of_a_result() -> None:
    model = network()
    with gl.watch(model, every=2, rules={}, quiet=True) as watching:
        plain(model)
    assert watching.result()["alarms"].frame.empty


def test_a_folder_is_read_and_reported_without_torch(tmp_path: Path) -> None:
    folder = logged(tmp_path / "flow", training(range(0, 200, 50)))
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "import gradlens as gl\nfrom gradlens.report import write\n"
        f"print(write(gl.load({str(folder)!r}), {str(tmp_path / 'page')!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.stderr == ""
    assert Path(done.stdout.strip()).is_file()
