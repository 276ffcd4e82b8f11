"""What holds for every plot: sizes, one or many networks, no values, no rows, no global state."""

import subprocess
import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from gradlens.errors import GradlensError
from gradlens.plots import PLOTS, plot_frame

every = pytest.mark.parametrize("name", PLOTS)


def texts(ax):
    """Every piece of text on the axes and its panels."""
    return [text.get_text() for text in ax.get_figure().findobj(matplotlib.text.Text)]


def rendered(ax):
    """The figure's pixels: drawing must not fail, and must not be blank."""
    ax.get_figure().canvas.draw()
    return np.asarray(ax.get_figure().canvas.buffer_rgba())


@every
@pytest.mark.parametrize("networks", [("resnet50",), ("net_a", "net_b"), tuple(f"net_{i}" for i in range(7))])
def test_draws_any_number_of_networks_and_names_each(name, networks, frames):
    frame = frames(networks)[name]
    ax = plot_frame(name, frame)
    assert rendered(ax).std() > 0
    shown = (networks[0], networks[-1]) if name == "cross" else networks
    for network in shown if len(frame) else ():
        assert any(network in text for text in texts(ax))


@every
def test_draws_on_the_axes_it_is_given(name, frames):
    ax = Figure(figsize=(6, 4)).add_subplot()
    assert plot_frame(name, frames()[name], ax) is ax


@every
def test_leaves_global_state_alone(name, frames):
    before = dict(matplotlib.rcParams)
    plot_frame(name, frames()[name])
    assert dict(matplotlib.rcParams) == before
    if "matplotlib.pyplot" in sys.modules:
        assert sys.modules["matplotlib.pyplot"].get_fignums() == []


@every
@pytest.mark.parametrize("columns", [True, False])
def test_an_empty_frame_says_that_there_is_nothing(name, columns, frames):
    frame = frames()[name].iloc[:0] if columns else pd.DataFrame()
    ax = plot_frame(name, frame)
    rendered(ax)
    assert next(text for text in texts(ax) if text).startswith("nothing to show: ")


@every
def test_columns_without_values_draw_without_a_warning(name, frames):
    frame = frames()[name]
    numbers = frame.select_dtypes("float").columns
    frame[numbers] = np.nan
    rendered(plot_frame(name, frame))


@every
def test_a_dollar_in_a_name_is_not_mathematics(name, frames):
    rendered(plot_frame(name, frames((r"net $\broken{$", "b"))[name]))


@every
def test_an_unknown_table_gets_close_matches(name):
    with pytest.raises(GradlensError, match=f"did you mean .*{name}"):
        plot_frame(name + "x", pd.DataFrame())


def test_importing_plots_needs_neither_torch_nor_pyplot():
    code = (
        "import sys; sys.modules['torch'] = None; import gradlens.plots as p;"
        "assert p.PLOTS; assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
