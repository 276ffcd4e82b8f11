"""The layout of figures, checked against matplotlib's own and against the edges of the page."""

import numpy as np
import pytest
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch

from gradlens.plots import canvas
from gradlens.plots.settling import STABLE, Settled
from gradlens.plots.subplots import panels


def plain(ax):
    ax.plot([0, 1], [0, 2e7])
    ax.set(xlabel="x", ylabel="y\nin two lines", title="title")


def divided(ax):
    for panel in panels(ax, 2, 2):
        panel.plot([1, 1000], [1e-9, 1])
        panel.set(yscale="log", ylabel="y", title="title")


def square(ax):
    ax.imshow(np.eye(4))
    ax.set_yticks(range(4), ["a long name of a row"] * 4)


def outside(ax):
    ax.annotate("a note to the right of the axes", (1.02, 0.5), xycoords="axes fraction")


def laid_out(draw, engine):
    ax = canvas.new_axes(5.0, 3.0)
    draw(ax)
    for _ in range(8):
        engine.execute(ax.figure)
    return ax


@pytest.mark.parametrize("draw", [plain, divided, square, outside])
def test_axes_that_are_alone_are_placed_where_the_solver_of_matplotlib_places_them(draw):
    ours, theirs = laid_out(draw, Settled()), laid_out(draw, ConstrainedLayoutEngine())
    difference = np.subtract(
        ours.get_position(original=True).bounds, theirs.get_position(original=True).bounds
    )
    assert np.abs(difference).max() * 5.0 < STABLE
    assert ours.get_in_layout()


def test_axes_with_others_beside_them_are_placed_by_the_solver():
    ax = canvas.new_axes(5.0, 3.0)
    figure = ax.figure
    ax.remove()
    left, right = figure.subplots(1, 2)
    right.set_ylabel("beside the other axes")
    figure.canvas.draw()
    assert left.get_tightbbox().x1 < right.get_tightbbox().x0
    assert right.get_tightbbox().x1 <= figure.bbox.x1


@pytest.mark.parametrize("name", ["short", "a name of a row that is longer than labels of plots ever are"])
def test_a_legend_is_on_the_page_whatever_is_beside_the_axes(name):
    ax = canvas.new_axes(7.2, 3.0)
    ax.set_yticks([0, 1], [name, name])
    canvas.legend_above(ax, [Patch(label=text) for text in ("one network", "another network", "a third")])
    ax.figure.canvas.draw()
    legend = ax.get_legend().get_window_extent()
    assert legend.x0 >= 0
    assert legend.x1 <= ax.figure.bbox.x1
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "one network", "another network", "a third",
    ]  # fmt: skip
