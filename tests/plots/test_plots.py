"""Properties of all plots: any number of networks, missing values, empty tables, no global state."""

import subprocess
import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from gradlens.errors import GradlensError
from gradlens.plots import PLOTS, plot_frame
from gradlens.plots.canvas import plain

each_plot = pytest.mark.parametrize("name", PLOTS)


@pytest.fixture(autouse=True)
def global_state_is_unchanged():
    """Check after each test that matplotlib's settings and pyplot's figures are those before it."""
    before = dict(matplotlib.rcParams)
    yield
    assert dict(matplotlib.rcParams) == before
    if "matplotlib.pyplot" in sys.modules:
        assert sys.modules["matplotlib.pyplot"].get_fignums() == []


def texts(ax):
    """Return all texts on the axes and its panels."""
    return [text.get_text() for text in ax.get_figure().findobj(matplotlib.text.Text)]


def draw(ax):
    """Draw the figure and return its pixels."""
    ax.get_figure().canvas.draw()
    return np.asarray(ax.get_figure().canvas.buffer_rgba())


@each_plot
@pytest.mark.parametrize(
    "networks",
    [("resnet50",), (r"net $\broken{$", "net_b"), tuple(f"net_{i}" for i in range(7))],
    ids=["one", "two, one with dollar signs", "seven"],
)
def test_any_number_of_networks_is_drawn_with_names(name, networks, frames):
    """Dollar signs in a name do not start mathematics."""
    frame = frames(networks)[name]
    ax = plot_frame(name, frame)
    assert draw(ax).std() > 0
    without = dict.fromkeys(("stages_along", "branches_along"), ())
    named = {"cross": (networks[0], networks[-1]), "effects": networks[1:], **without}.get(name, networks)
    for network in named if len(frame) else ():
        assert any(plain(network) in text for text in texts(ax))


@each_plot
def test_a_plot_is_drawn_on_existing_axes(name, frames):
    ax = Figure(figsize=(6, 4)).add_subplot()
    assert plot_frame(name, frames()[name], ax) is ax


@each_plot
@pytest.mark.parametrize("columns", [True, False])
def test_an_empty_frame_gives_a_figure_with_a_message(name, columns, frames):
    frame = frames()[name].iloc[:0] if columns else pd.DataFrame()
    ax = plot_frame(name, frame)
    draw(ax)
    assert next(text for text in texts(ax) if text).startswith("nothing to show: ")


@each_plot
def test_columns_without_values_are_drawn_without_a_warning(name, frames):
    frame = frames()[name]
    numbers = frame.select_dtypes("float").columns
    frame[numbers] = np.nan
    draw(plot_frame(name, frame))


@each_plot
def test_an_unknown_table_gets_close_matches(name):
    with pytest.raises(GradlensError, match=f"did you mean .*{name}"):
        plot_frame(name + "x", pd.DataFrame())


def test_importing_plots_needs_neither_torch_nor_pyplot():
    code = (
        "import sys; sys.modules['torch'] = None; import gradlens.plots as p;"
        "assert p.PLOTS; assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
