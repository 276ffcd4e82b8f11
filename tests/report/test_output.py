"""The files of a report."""

import dataclasses
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes

import gradlens.results
from gradlens.errors import GradlensError
from gradlens.report import figures, write
from gradlens.report.drawing import encoded


def test_all_files_are_written(make_result, tmp_path):
    page = write(make_result(), tmp_path / "new" / "run")
    assert page == tmp_path / "new" / "run" / "report.html"
    assert sorted(file.name for file in (page.parent / "figures").iterdir()) == [
        "duplication.png",
        "duplication.svg",
        "flow.png",
        "flow.svg",
    ]
    assert (page.parent / "result.json").is_file()
    assert (page.parent / "tables" / "flow.csv").is_file()


def test_equal_results_give_equal_bytes_also_from_a_saved_run(make_result, tmp_path):
    """Both folders have the same name, because the page shows it in commands."""
    write(make_result(), tmp_path / "a" / "run")
    write(gradlens.results.load(tmp_path / "a" / "run"), tmp_path / "b" / "run")
    for name in ("report.html", "figures/flow.png", "figures/flow.svg", "figures/duplication.svg"):
        assert (tmp_path / "a/run" / name).read_bytes() == (tmp_path / "b/run" / name).read_bytes()
    assert b"<dc:date>" not in (tmp_path / "a" / "run" / "figures" / "flow.svg").read_bytes()


@pytest.mark.parametrize("name", ["duplication", "flow"])
def test_the_order_of_the_files_of_a_figure_makes_no_difference(name, make_result):
    first, second = (figures(make_result())[name] for _ in range(2))
    png, svg = (encoded(first, kind) for kind in ("png", "svg"))
    assert (encoded(second, "svg"), encoded(second, "png"), encoded(second, "svg")) == (svg, png, svg)


@pytest.mark.parametrize("name", ["duplication", "flow"])
def test_labels_of_axes_are_where_matplotlib_places_them(name, make_result):
    drawn = figures(make_result())[name]
    encoded(drawn, "png")
    labels = [axis.label for ax in drawn.findobj(Axes) for axis in (ax.xaxis, ax.yaxis)]
    kept = [label.get_window_extent().bounds for label in labels if label.get_text()]
    free = figures(make_result())[name]
    free.set_dpi(drawn.dpi)
    free.canvas.draw()
    labels = [axis.label for ax in free.findobj(Axes) for axis in (ax.xaxis, ax.yaxis)]
    placed = [label.get_window_extent().bounds for label in labels if label.get_text()]
    assert len(kept) >= 2
    assert np.allclose(kept, placed, rtol=0, atol=0.01 * drawn.dpi)


def test_the_matplotlib_style_of_the_user_has_no_effect_and_is_kept(make_result, tmp_path):
    write(make_result(), tmp_path / "a")
    with matplotlib.rc_context({"axes.facecolor": "black", "font.size": 30, "svg.hashsalt": "x"}):
        before = dict(matplotlib.rcParams)
        write(make_result(), tmp_path / "b")
        assert dict(matplotlib.rcParams) == before
    names = ("flow.png", "flow.svg")
    for a, b in ((tmp_path / "a/figures" / name, tmp_path / "b/figures" / name) for name in names):
        assert a.read_bytes() == b.read_bytes()


def test_only_tables_with_a_plot_have_figures(make_result):
    assert list(figures(make_result())) == ["duplication", "flow"]


@pytest.mark.parametrize("blocked", ["figures", "report.html", "tables"])
def test_the_error_for_a_folder_that_cannot_be_written_is_one_line(blocked, make_result, tmp_path):
    if blocked == "report.html":
        (tmp_path / blocked).mkdir()
    else:
        (tmp_path / blocked).write_text("a file")
    with pytest.raises(GradlensError, match="cannot write") as error:
        write(make_result(), tmp_path)
    assert "\n" not in str(error.value)


def test_the_report_of_a_saved_run_is_written_without_torch(make_result, tmp_path):
    make_result().save(tmp_path)
    code = (
        "import sys; sys.modules['torch'] = None; sys.modules['timm'] = None\n"
        "from gradlens.results import load; from gradlens.report import write\n"
        f"write(load({str(tmp_path)!r}), {str(tmp_path)!r})\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert (tmp_path / "report.html").is_file()


def test_names_that_are_not_utf8_are_written_as_their_bytes(make_result, tmp_path):
    """File names of images and layers come from outside; Python holds odd bytes as lone surrogates."""
    odd = make_result().with_meta(network="caf\udce9").warned(["1 image was skipped: caf\udce9.png"])
    flow = odd.tables["flow"]
    renamed = flow.frame.assign(signal="caf\udce9")
    tables = {**odd.tables, "flow": dataclasses.replace(flow, frame=renamed)}
    page = write(dataclasses.replace(odd, tables=tables), tmp_path / "run")
    assert "caf\\udce9.png" in page.read_text(encoding="utf-8")
    assert "caf\\udce9" in (tmp_path / "run" / "tables" / "flow.csv").read_text(encoding="utf-8")
    gradlens.results.load(tmp_path / "run")
