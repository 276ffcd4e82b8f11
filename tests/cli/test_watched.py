"""The folder that a watched training logs into: its report, its figures, its page, and errors."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result as Ran
from watching.flows import broken, training

from gradlens.watching.logs import FILE, CsvLog

Run = Callable[..., Ran]


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    """The folder of a training that is running: its last step is not written to the end."""
    log = CsvLog(tmp_path / "flow")
    for step in range(0, 300, 50):
        log.write(step, broken(step) if step == 150 else training([step], small_from=100))
    (tmp_path / "flow" / FILE).write_bytes((tmp_path / "flow" / FILE).read_bytes()[:-50])
    return tmp_path / "flow"


def test_the_report_of_a_running_training_leaves_its_rows_as_they_are(run: Run, flow: Path) -> None:
    before = (flow / FILE).read_bytes()
    ran = run("report", flow)
    assert (ran.exit_code, ran.stdout, ran.stderr) == (0, "", f"report: {flow / 'report.html'}\n")
    assert (flow / FILE).read_bytes() == before
    assert sorted(path.name for path in flow.iterdir()) == ["figures", "report.html", FILE, "tables"]
    page = (flow / "report.html").read_text("utf-8")
    assert "1 alarm in 5 measured steps, 0 to 200" in " ".join(page.split())
    assert "gradlens figure flow stages_along" in page


def test_a_report_elsewhere_is_a_run(run: Run, flow: Path) -> None:
    assert run("report", flow, "--out", "page").exit_code == 0
    assert [path.name for path in flow.iterdir()] == [FILE]
    assert run("figure", "page", "branches_along", "--format", "svg").stdout == "branches_along.svg\n"


@pytest.mark.parametrize("name", ["stages_along", "branches_along"])
def test_a_figure_is_drawn_from_the_rows(name: str, run: Run, flow: Path) -> None:
    ran = run("figure", flow, name)
    assert (ran.exit_code, ran.stdout, ran.stderr) == (0, f"{name}.pdf\n", "")
    assert Path(f"{name}.pdf").read_bytes().startswith(b"%PDF-")


def test_an_unknown_figure_is_one_line_with_those_that_exist(run: Run, flow: Path) -> None:
    ran = run("figure", flow, "stages")
    assert ran.exit_code == 1
    assert ran.stderr.startswith("error: there is no figure 'stages'; this run has figures of stages_along, ")
    assert ran.stderr.count("\n") == 1


@pytest.mark.parametrize("command", [("report",), ("figure", "stages_along")])
def test_a_folder_without_a_step_is_one_line(command: tuple[str, ...], run: Run, tmp_path: Path) -> None:
    name, *figure = command
    (tmp_path / "empty").mkdir()
    ran = run(name, "empty", *figure)
    assert ran.exit_code == 1
    assert ran.stderr.startswith("error: empty contains no saved result (result.json is missing); pass the")
    CsvLog(tmp_path / "begun").resume(0)
    ran = run(name, "begun", *figure)
    assert ran.exit_code == 1
    assert ran.stderr.startswith("error: begun has no measured step of a watched training yet; ")
    assert [path.name for path in (tmp_path / "begun").iterdir()] == [FILE]


def test_the_page_of_a_training_is_opened_as_it_is_now(
    run: Run, flow: Path, monkeypatch: pytest.MonkeyPatch, pages: None
) -> None:
    monkeypatch.setattr(webbrowser, "open", lambda address: True)
    (flow / "report.html").write_text("of an earlier step")
    assert run("open", flow).stdout == f"{flow / 'report.html'}\n"
    assert "0 to 200" in (flow / "report.html").read_text()
