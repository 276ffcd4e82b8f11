"""Progress is one line in a notebook, nothing elsewhere, and leaves nothing behind."""

from __future__ import annotations

import builtins
import sys
import warnings
from types import SimpleNamespace
from typing import Any

import pytest
from torch import nn

import gradlens as gl
from gradlens import progress
from gradlens.progress import NotebookLine, progress_callback


class Screen:
    """Stub of IPython: a shell that serves a notebook, and the contents of its displays."""

    def __init__(self) -> None:
        self.shell = SimpleNamespace(kernel=object(), execution_count=1)
        self.pages: list[str] = []
        self.made = 0

    def display(self, page: dict[str, str], *, raw: bool, display_id: bool) -> Screen:
        assert raw
        assert display_id
        self.made += 1
        self.update(page, raw=True)
        return self

    def update(self, page: dict[str, str], *, raw: bool) -> None:
        assert page["text/plain"] == ""
        self.pages.append(page["text/html"])


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    made = Screen()
    fake = SimpleNamespace(get_ipython=lambda: made.shell)
    monkeypatch.setitem(sys.modules, "IPython", fake)
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=made.display))
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    monkeypatch.setattr(progress, "PAUSE", 0.0)
    monkeypatch.setattr(progress, "_SHOWN", {})
    return made


def test_a_notebook_shows_one_line_and_clears_it(screen: Screen) -> None:
    with progress_callback(None) as callback:
        assert callback is not None
        callback("seed 0: <b>", 1, 4)
        callback("seed 0: <b>", 2, 4)
    assert screen.made == 1
    assert [page[:27] for page in screen.pages] == [
        '<progress value="1" max="4"',
        '<progress value="2" max="4"',
        "",
    ]
    assert "seed 0: &lt;b&gt; 1/4" in screen.pages[0]


def test_an_interrupt_leaves_nothing_behind(screen: Screen) -> None:
    with pytest.raises(KeyboardInterrupt), progress_callback(None) as callback:  # noqa: PT012
        assert callback is not None
        callback("a", 1, 4)
        raise KeyboardInterrupt
    assert screen.pages[-1] == ""


def test_calls_in_one_cell_share_a_line_and_the_next_cell_has_its_own(screen: Screen) -> None:
    for cell, lines in ((1, 1), (1, 1), (2, 2)):
        screen.shell.execution_count = cell
        with progress_callback(None) as callback:
            assert callback is not None
            callback("a", 1, 2)
        assert screen.made == lines


def test_false_turns_progress_off(screen: Screen) -> None:
    with progress_callback(False) as callback:
        assert callback is None


def test_a_callable_receives_all_steps(screen: Screen) -> None:
    steps = list[tuple[str, int, int]]()
    with progress_callback(lambda *step: steps.append(step)) as callback:
        assert callback is not None
        callback("a", 1, 2)
    assert steps == [("a", 1, 2)]
    assert screen.pages == []


@pytest.mark.parametrize(
    "shell",
    [None, SimpleNamespace(execution_count=1), SimpleNamespace(kernel=None)],
    ids=["none", "terminal", "off"],
)
def test_nothing_is_shown_outside_notebooks(screen: Screen, shell: Any) -> None:
    screen.shell = shell
    with progress_callback(None) as callback:
        assert callback is None


def test_ipython_is_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    real = builtins.__import__

    def spy(name: str, *args: Any, **kwargs: Any) -> Any:
        assert not name.startswith("IPython")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", spy)
    with progress_callback(None) as callback:
        assert callback is None


def test_short_work_shows_nothing_and_the_line_changes_at_most_ten_times_per_second() -> None:
    now, lines = [0.0], list[str]()
    line = NotebookLine(lines.append, clock=lambda: now[0])
    for done in range(1, 51):
        now[0] += 0.01
        line("a", done, 500)
    assert len(lines) == 1  # at half a second
    for done in range(51, 151):
        now[0] += 0.01
        line("a", done, 500)
    assert 8 <= len(lines) <= 11
    fast = NotebookLine(lines.append, clock=lambda: now[0])
    fast("fast", 1, 1)
    fast.close()
    assert "fast" not in "".join(lines)


def test_the_time_left_follows_the_clock_and_a_new_count_starts_again() -> None:
    now, lines = [0.0], list[str]()
    line = NotebookLine(lines.append, clock=lambda: now[0])
    now[0] = 10
    line("a", 1, 4)
    now[0] = 100
    line("b", 0, 2)
    now[0] = 105
    line("b", 1, 2)
    assert lines[0].endswith("a 1/4, 0:10, about 0:30 left")
    assert lines[1].endswith("b 0/2, 0:00")
    assert lines[2].endswith("b 1/2, 0:05, about 0:05 left")


def counted(screen: Screen) -> list[str]:
    """The displayed lines without the bar and the times; a cleared line is empty."""
    return [page.split("</progress> ")[-1].split(",")[0] for page in screen.pages]


def test_capturing_and_analyzing_show_progress_in_a_notebook(screen: Screen) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 10))
    data = gl.load_data("random", batch_size=4, batches=2, image_size=8)
    recording = gl.capture(model, data, costs=False)
    assert counted(screen) == ["batches 1/2", "batches 2/2", ""]
    gl.capture(model, data, costs=False, progress=False)
    gl.analyze(recording, progress=False)
    assert len(screen.pages) == 3
    gl.analyze(recording, tables=["flow", "paths"])
    assert counted(screen)[3:] == ["flow 1/2", "paths 2/2", ""]


def test_studies_show_progress_in_a_notebook_and_clear_it(screen: Screen) -> None:
    small: dict[str, Any] = {"data": "random", "image_size": 32, "batch_size": 4, "batches": 1, "seeds": 1}
    small["throughput"] = False
    gl.inspect("torchvision:squeezenet1_1", **small)
    assert counted(screen) == ["seed 0: torchvision:squeezenet1_1 1/1", ""]
    gl.inspect("torchvision:squeezenet1_1", progress=False, **small)
    assert len(screen.pages) == 2


def test_an_executed_notebook_keeps_only_an_empty_line() -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    source = (
        "import gradlens.progress\n"
        "gradlens.progress.PATIENCE = 0\n"
        "with gradlens.progress.progress_callback(None) as callback:\n"
        "    callback('seen', 1, 2)\n"
        "    raise KeyboardInterrupt"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings of the kernel's client
        nbclient.NotebookClient(notebook, timeout=60, allow_errors=True).execute()
    line, error = notebook.cells[0].outputs
    assert line["data"] == {"text/html": "", "text/plain": ""}
    assert error["ename"] == "KeyboardInterrupt"
