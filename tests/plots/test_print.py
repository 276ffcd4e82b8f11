"""Figures in print: nothing runs off the page, nothing is too small, nothing is told by colour alone."""

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from gradlens.plots import PLOTS
from gradlens.plots.colours import BRANCH_HATCHES, BRANCHES, POSITIONS
from gradlens.report import figure
from gradlens.report.formats import COLUMNS, TALLEST
from gradlens.results import Result, Table

FEW = ("resnet50", "cspresnet50")
SPARE = 0.02  # inches; half a letter's stroke


@pytest.fixture
def drawn_tables(frames):
    """A result of every table that has a plot."""

    def make(networks=FEW, **sizes):
        return Result({n: Table(n, f, "") for n, f in frames(networks, **sizes).items()}, {}, "")

    return make


@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize("name", PLOTS)
@pytest.mark.parametrize("networks", [FEW, ("none", "fusion_first", "fusion_last", "csp")])
def test_nothing_is_cut_off_or_too_small_to_print(name, networks, columns, drawn_tables):
    drawn = figure(drawn_tables(networks), name, style="paper", columns=columns)
    assert drawn.get_figheight() <= TALLEST
    drawn.canvas.draw()
    assert not [
        t for t in drawn.findobj(matplotlib.text.Text) if t.get_text().strip() and t.get_fontsize() < 6
    ]
    box = drawn.get_tightbbox()  # inches; of all that is drawn
    assert box.x0 > -SPARE
    assert box.y0 > -SPARE
    assert box.x1 < COLUMNS[columns] + SPARE
    assert box.y1 < drawn.get_figheight() + SPARE


def grey(colour):
    return float(np.dot(to_rgb(colour), (0.299, 0.587, 0.114)))


def test_branches_that_may_share_a_legend_differ_without_colour():
    looks = [(BRANCH_HATCHES.get(name, ""), grey(colour)) for name, colour in BRANCHES.items()]
    for i, (hatch, shade) in enumerate(looks):
        for other_hatch, other_shade in looks[:i]:
            assert hatch != other_hatch or abs(shade - other_shade) > 0.2


def test_networks_differ_without_colour(drawn_tables):
    ax = figure(drawn_tables(), "path_lengths", style="paper").axes[0]
    curves = [line for line in ax.lines if len(line.get_xdata()) > 1]
    assert len({line.get_marker() for line in curves}) == 2
    assert len({(look.marker, look.line, look.hatch) for look in POSITIONS}) == len(POSITIONS)
