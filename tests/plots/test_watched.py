"""Figures of a watched training: a line per stage, alarms on the axis, gaps, and text that does not overlap."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.text import Text
from watching.flows import broken, measured, training

from gradlens.plots import plot_frame
from gradlens.plots.along import MANY
from gradlens.watching.reading import alarms_of, flow_result
from gradlens.watching.rows import Row
from gradlens.watching.tables import branches_along, stages_along

BLOCKS = tuple(f"blocks.{number}" for number in range(16))
TABLES = {"stages_along": stages_along, "branches_along": branches_along}


def frame(name: str, rows: list[Row]) -> pd.DataFrame:
    return TABLES[name](rows, alarms_of(rows)).frame


def panel(ax: Axes, title: str) -> Axes:
    return next(child for child in ax.child_axes if child.get_title("left") == title)


def texts(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.get_figure().findobj(Text)]


def test_a_panel_has_a_line_per_stage_with_its_numbers() -> None:
    drawn = frame("stages_along", [*measured(0), *measured(50)])
    lines = panel(plot_frame("stages_along", drawn), "duplication D_m").lines
    assert [line.get_xydata().tolist() for line in lines] == [
        [[0, pytest.approx(0.1)], [50, pytest.approx(0.1)]],
        [[0, pytest.approx(0.2)], [50, pytest.approx(0.2)]],
        [[0, pytest.approx(0.5)], [50, pytest.approx(0.505)]],
    ]


def test_a_branch_is_the_mean_over_the_forks_of_a_stage() -> None:
    more = [Row(0, 0, "4", "other:relu", "residual", "share", 0.2)]
    ax = plot_frame("branches_along", frame("branches_along", [*more, *measured(0)]))
    four, eight = panel(ax, "share: residual").lines
    assert four.get_ydata().tolist() == pytest.approx([0.3])
    assert eight.get_ydata().tolist() == pytest.approx([0.4])


def test_branches_without_a_name_of_their_own_show_the_smallest_of_each_fork() -> None:
    shares = {"to a": 0.5, "to b": 0.3, "to c": 0.2}
    rows = [Row(0, 0, "4", "cat", branch, "share", value) for branch, value in shares.items()]
    ax = plot_frame(
        "branches_along", frame("branches_along", [*rows, Row(0, 0, "whole", "", "", "finite", 1.0)])
    )
    (line,) = panel(ax, "smallest share").lines
    assert line.get_ydata().tolist() == [0.2]


@pytest.mark.parametrize("name", TABLES)
def test_alarms_are_marked_on_the_axis_of_steps(name: str) -> None:
    rows = training(range(0, 500, 50), small_from=200)
    ax = plot_frame(name, frame(name, rows))
    for child in ax.child_axes:
        if child.lines:
            marks = [
                line for line in child.lines if line.get_marker() == "^" and line.get_linestyle() == "None"
            ]
            assert [line.get_xydata().tolist() for line in marks] == [[[300, 0]]]
    assert "alarm" in texts(ax)
    assert "alarm" not in texts(plot_frame(name, frame(name, training([0, 50]))))


def test_a_step_that_is_not_finite_leaves_a_gap_and_a_mark() -> None:
    rows = [*training([0, 50]), *broken(100), *training([150, 200])]
    ax = plot_frame("stages_along", frame("stages_along", rows))
    whole = panel(ax, "duplication D_m").lines[2]
    assert np.isnan(whole.get_ydata()).tolist() == [False, False, True, False, False]
    assert [
        line.get_xdata() for line in panel(ax, "duplication D_m").lines if line.get_linestyle() == ":"
    ] == [[100, 100]]
    assert "a gradient is not finite" in texts(ax)


def test_a_number_of_the_loop_has_a_panel_of_its_own() -> None:
    rows = [
        row for step in range(5) for row in (*measured(step), Row(step, 0, "whole", "", "", "val_loss", 2.0))
    ]
    (line,) = panel(plot_frame("stages_along", frame("stages_along", rows)), "val loss").lines
    assert line.get_ydata().tolist() == [2.0] * 5


def test_many_steps_are_drawn_with_their_running_median() -> None:
    rows = training(range(MANY + 30))
    spiked = [row._replace(value=0.9) if row[1:3] + row[5:6] == (0, "8", "duplication") and row.step == 40 else row
              for row in rows]  # fmt: skip
    lines = panel(plot_frame("stages_along", frame("stages_along", spiked)), "duplication D_m").lines
    each, median = lines[2], lines[3]
    assert max(each.get_ydata()) == 0.9
    assert max(median.get_ydata()) == pytest.approx(0.2)


def test_a_stage_has_one_colour_in_all_figures_of_a_training() -> None:
    rows = [Row(0, 0, "2", "stem", "", "rms", 1.0), *training([0, 50])]  # stage 2 has no branches
    result = flow_result(rows, [])
    four = [
        next(handle for handle in ax.get_legend().legend_handles if handle.get_label() == "stage 4")
        for ax in map(result.plot, TABLES)
    ]
    assert four[0].get_color() == four[1].get_color()
    assert four[0].get_marker() == four[1].get_marker()


SIZES: dict[str, Callable[[], list[Row]]] = {
    "17 stages, 300 steps": lambda: [
        row for step in range(300) for row in measured(50 * step, (*BLOCKS, "head"))
    ],
    "3 steps": lambda: training([0, 50, 100]),
    "two passes": lambda: [row for step in (0, 50) for b in (0, 1) for row in measured(step, backward=b)],
    "never finite": lambda: [*broken(0), *broken(50)],
}


def shown(ax: Axes) -> list[Text]:
    """Return the texts that are drawn: matplotlib also has labels of ticks beyond the limits of an axis."""
    beyond = set()
    for child in ax.child_axes:
        for axis in (child.xaxis, child.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
            beyond |= {tick.label1 for tick in ticks if not low <= tick.get_loc() <= high}
    texts = ax.get_figure().findobj(Text)
    hidden = {text for child in ax.child_axes if not child.axison for text in child.findobj(Text)}
    return [text for text in texts if text.get_visible() and text not in beyond | hidden]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", TABLES)
def test_no_texts_overlap(name: str, size: str) -> None:
    ax = plot_frame(name, frame(name, SIZES[size]()))
    figure = ax.get_figure()
    figure.draw_without_rendering()
    boxes = [(text.get_text(), text.get_window_extent()) for text in shown(ax) if text.get_text().strip()]
    assert boxes
    overlapping = [(a, b) for (a, box), (b, other) in itertools.combinations(boxes, 2) if box.overlaps(other)]
    assert overlapping == []
    page = figure.bbox
    assert all(page.x0 <= box.x0 and box.x1 <= page.x1 and box.y1 <= page.y1 for _, box in boxes)
