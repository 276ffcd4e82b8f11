"""Figures in print: all marks are on the page and large enough, and can be read without colour."""

import itertools

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from gradlens.plots import PLOTS
from gradlens.plots.colours import BRANCH_HATCHES, BRANCHES, POSITIONS
from gradlens.report import figure
from gradlens.report.formats import COLUMNS, TALLEST
from gradlens.results import Result, Table

FEW = ("resnet50", "cspresnet50")
SPARE = 0.005  # inches, for rounding errors
VERSIONS = ("energy", "direction", "energy_given_loss", "direction_given_loss")


@pytest.fixture
def drawn_tables(frames):
    """Factory of results with all tables that have a plot."""

    def make(networks=FEW, **sizes):
        return Result({n: Table(n, f, "") for n, f in frames(networks, **sizes).items()}, {}, "")

    return make


@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize("name", PLOTS)
@pytest.mark.parametrize("networks", [FEW, ("none", "fusion_first", "fusion_last", "csp")])
def test_all_texts_are_on_the_page_and_large_enough_to_print(name, networks, columns, drawn_tables):
    drawn = figure(drawn_tables(networks), name, style="paper", columns=columns)
    assert drawn.get_figheight() <= TALLEST
    drawn.draw_without_rendering()
    assert not [
        t for t in drawn.findobj(matplotlib.text.Text) if t.get_text().strip() and t.get_fontsize() < 6
    ]
    box = drawn.get_tightbbox()  # inches, of all marks
    assert box.x0 > -SPARE
    assert box.y0 > -SPARE
    assert box.x1 < COLUMNS[columns] + SPARE
    assert box.y1 < drawn.get_figheight() + SPARE


def with_dead_signals(frame, share):
    """Return the frame without values for this share of its signals, as for zero-initialised layers."""
    frame = frame.copy()
    numbers = [column for column in VERSIONS if column in frame]
    ends = [end for end in ("order_a", "order_b") if end in frame]
    if ends:
        missing = pd.concat([frame[end] % 3 < 3 * share for end in ends], axis=1).any(axis=1)
        frame.loc[missing, numbers] = np.nan
    return frame


@pytest.mark.parametrize("style", ["paper", "screen"])
@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize("name", ["correlation", "cross"])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
def test_matrices_with_dead_signals_are_on_the_page(count, name, columns, style, frames):
    networks = tuple(f"network-{i}" for i in range(max(count, 2) if name == "cross" else count))
    table = Table(name, with_dead_signals(frames(networks, signals=21)[name], 0.5), "")
    drawn = figure(
        Result({name: table}, {}, ""), name, style=style, columns=columns if style == "paper" else None
    )
    drawn.draw_without_rendering()
    box = drawn.get_tightbbox()
    assert min(box.x0, box.y0) >= -SPARE
    assert box.x1 <= drawn.get_figwidth() + SPARE
    assert box.y1 <= drawn.get_figheight() + SPARE
    legends = drawn.findobj(matplotlib.legend.Legend)
    assert len(legends) == (name == "correlation")
    for legend in legends:
        assert legend.get_window_extent().y1 <= drawn.bbox.y1 + SPARE * drawn.dpi


def cross_table(down, across):
    """Return the cross table of two networks with these numbers of layers."""
    rows = [
        ("deep", "flat", "4", "8" if b > 3 else "4", f"a{a}", f"b{b}", a, b, 0.5)
        for a, b in itertools.product(range(down), range(across))
    ]
    columns = [
        "network_a",
        "network_b",
        "stage_a",
        "stage_b",
        "signal_a",
        "signal_b",
        "order_a",
        "order_b",
        "energy",
    ]
    return pd.DataFrame(rows, columns=columns)


@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize(("down", "across"), [(10, 60), (30, 30), (60, 20)])
def test_a_matrix_of_any_shape_leaves_no_empty_band(down, across, columns):
    result = Result({"cross": Table("cross", cross_table(down, across), "")}, {}, "")
    drawn = figure(result, "cross", style="paper", columns=columns)
    drawn.canvas.draw()
    inked = (
        np.flatnonzero((np.asarray(drawn.canvas.buffer_rgba())[..., :3] < 250).any(axis=(1, 2))) / drawn.dpi
    )
    assert inked[0] < 0.15
    assert inked[-1] > drawn.get_figheight() - 0.15
    assert drawn.get_figheight() < 5


@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize("name", ["correlation", "cross"])
@pytest.mark.parametrize("count", [2, 3, 5])
def test_texts_of_matrices_do_not_overlap(count, name, columns, frames):
    networks = tuple(f"network-{i}" for i in range(count))
    drawn = figure(
        Result({name: Table(name, frames(networks, signals=21)[name], "")}, {}, ""),
        name,
        style="paper",
        columns=columns,
    )
    drawn.draw_without_rendering()
    words = [
        text for text in drawn.findobj(matplotlib.text.Text) if text.get_text().strip() and text.get_visible()
    ]
    boxes = [(text.get_text(), text.get_window_extent()) for text in words]
    assert not [
        (a, b) for (a, box), (b, other_box) in itertools.combinations(boxes, 2) if box.overlaps(other_box)
    ]


def grey(colour):
    return float(np.dot(to_rgb(colour), (0.299, 0.587, 0.114)))


def test_branches_that_may_share_a_legend_differ_without_colour():
    styles = [(BRANCH_HATCHES.get(name, ""), grey(colour)) for name, colour in BRANCHES.items()]
    for i, (hatch, shade) in enumerate(styles):
        for other_hatch, other_shade in styles[:i]:
            assert hatch != other_hatch or abs(shade - other_shade) > 0.2


def test_networks_differ_without_colour(drawn_tables):
    ax = figure(drawn_tables(), "structure", style="paper").axes[0]
    assert len({line.get_marker() for line in ax.lines}) == 2
    assert len({(style.marker, style.line, style.hatch) for style in POSITIONS}) == len(POSITIONS)
