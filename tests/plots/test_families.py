"""The marks of each plot, counted on hand-written frames."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Rectangle
from scipy import stats

from gradlens.errors import GradlensError
from gradlens.metrics import fitted_line, mean_interval
from gradlens.plots import canvas, plot_frame
from gradlens.plots.colours import POSITIONS
from gradlens.plots.correlation import signal_correlation, similarity_matrix


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def markers(panel, symbol):
    return [line for line in panel.lines if line.get_marker() == symbol]


def test_the_interval_is_student_t():
    values = np.array([0.1, 0.4, 0.3, np.nan])
    low, high = stats.t.interval(0.95, 2, loc=values[:3].mean(), scale=stats.sem(values[:3]))
    assert mean_interval(values) == pytest.approx((values[:3].mean(), low, high))


def test_duplication_shows_the_means_of_one_version_with_their_intervals(frames):
    """One mark per network and stage, and one line per interval: 6 + 6 for two networks and three stages."""
    frame = frames()["duplication"]
    ax = plot_frame("duplication", frame)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["4", "16", "head", "whole"]
    first, second = (markers(ax, style.marker)[0] for style in POSITIONS[:2])
    assert first.get_color() == POSITIONS[0].colour
    assert [first.get_ydata()[i] for i in (0, 3)] == pytest.approx([0.81, 0.81])
    assert [second.get_ydata()[i] for i in (0, 3)] == pytest.approx([0.61, 0.61])
    assert np.isnan(first.get_ydata()[2])
    assert [text.get_text() for text in ax.texts] == ["no value"]
    low, high = stats.t.interval(0.95, 2, loc=0.81, scale=0.01 / np.sqrt(3))
    assert ax.collections[0].get_segments()[0][:, 1] == pytest.approx([low, high])
    assert legend(ax) == ["resnet50", "cspresnet50", "95 % t interval over seeds"]
    assert sum(np.isfinite(line.get_ydata()).sum() for line in ax.lines if line.get_marker() != "None") == 6


def test_another_version_of_duplication_can_be_drawn_and_an_unknown_one_is_an_error(frames):
    frame = frames(("a",))["duplication"]
    for name in ("direction_given_loss", "direction given loss"):
        ax = plot_frame("duplication", frame, version=name)
        assert ax.get_title(loc="left") == "direction, given the loss"
        assert markers(ax, POSITIONS[0].marker)[0].get_ydata()[0] == pytest.approx(0.51)
    with pytest.raises(GradlensError, match="did you mean direction"):
        plot_frame("duplication", frame, version="directon")
    with pytest.raises(GradlensError, match="no versions of similarity"):
        plot_frame("flow", frames()["flow"], version="energy")
    only = frame[frame["version"] == "direction"]
    assert plot_frame("duplication", only).get_title(loc="left") == "direction, as measured"
    with pytest.raises(GradlensError, match=r"it has direction$"):
        plot_frame("duplication", only, version="energy")


def test_the_heat_maps_draw_the_chosen_version(frames):
    for name in ("correlation", "cross"):
        ax = plot_frame(name, frames()[name], version="direction")
        drawn = set(np.unique(np.ma.compressed(ax.child_axes[0].images[0].get_array())))
        assert drawn <= {0.5, 1.0} if name == "correlation" else drawn == {0.4}


def test_duplication_of_one_seed_has_no_interval(frames):
    ax = plot_frame("duplication", frames(seeds=(0,))["duplication"])
    assert legend(ax) == ["resnet50", "cspresnet50"]


def test_an_interval_that_leaves_the_range_of_duplication_is_cut_and_the_legend_says_so(frames):
    frame = frames(("a",))["duplication"]
    frame["rarefied_duplication"] = frame["seed"].map({0: 0.02, 1: 0.5, 2: 0.9})
    ax = plot_frame("duplication", frame)
    assert legend(ax)[-1] == "95 % t interval over seeds, cut off at 0 and 1"
    assert ax.collections[0].get_segments()[0][:, 1].tolist() == [0.0, 1.0]


def test_correlation_is_symmetric_with_a_diagonal_of_one(frames):
    rows = frames(("a",), signals=121)["correlation"]
    matrix, stages = similarity_matrix(rows, "energy")
    assert matrix.shape == (121, 121)
    assert matrix == pytest.approx(matrix.T)
    assert matrix[3, 7] == pytest.approx(1 / 5)
    assert np.diag(matrix) == pytest.approx(1)
    assert stages == ["4"] * 60 + ["16"] * 61


def test_correlation_marks_stages_and_shares_one_scale(frames):
    ax = plot_frame("correlation", frames()["correlation"])
    first, second = ax.child_axes[:2]
    assert [panel.images[0].get_clim() for panel in (first, second)] == [(0, 1), (0, 1)]
    assert [line.get_xdata()[0] for line in first.lines if line.get_xdata()[0] > 0] == [2.5]
    assert [label.get_text() for label in first.get_xticklabels()] == ["4", "16"]
    assert second.get_title(loc="left") == "cspresnet50: 6 signals"


def test_a_dead_signal_is_grey_and_explained_in_the_legend(frames):
    rows = frames(("a",))["correlation"]
    rows.loc[(rows["order_a"] == 2) | (rows["order_b"] == 2), "energy"] = np.nan
    panel = plot_frame("correlation", rows).child_axes[0]
    assert np.ma.getmaskarray(panel.images[0].get_array())[2].all()
    assert legend(panel) == ["no value (dead signal)"]


def test_correlation_draws_all_versions_and_others_are_errors(frames):
    rows = frames(("a",))["correlation"]
    ax = signal_correlation(rows, canvas.new_axes(4, 3), version="direction")
    assert ax.child_axes[0].images[0].get_array()[0, 1] == 0.5
    with pytest.raises(GradlensError, match="did you mean energy"):
        signal_correlation(rows, canvas.new_axes(4, 3), version="enery")


def test_branches_show_median_and_range_of_many_pairs(frames):
    rows = frames(("a",), branches=24)["branches"]
    rows.loc[0, "energy"] = 0.9
    panel = plot_frame("branches", rows).child_axes[0]
    filled = markers(panel, "D")[0]
    assert filled.get_ydata() == pytest.approx([0.6] * 4)
    longest = panel.collections[0].get_segments()[0]
    assert longest[:, 1] == pytest.approx([0.6, 0.9])


def test_a_site_without_a_value_is_marked(frames):
    rows = frames(("a",))["branches"]
    rows.loc[rows["site"] == "stages.1.block", "energy"] = np.nan
    ax = plot_frame("branches", rows)
    assert list(markers(ax.child_axes[0], "x")[0].get_xdata()) == [1]
    assert "no value (dead)" in legend(ax)


@pytest.mark.parametrize(("sites", "named"), [(4, True), (64, False)])
def test_stacked_shares_add_up_to_one_at_each_site(sites, named, frames):
    ax = plot_frame("shares", frames(("a",), sites=sites, branches=24)["shares"])
    strip, bars = ax.child_axes[0].child_axes
    rectangles = [patch for patch in bars.patches if isinstance(patch, Rectangle)]
    assert len(rectangles) == 24 * sites
    assert rectangles[23].get_y() + rectangles[23].get_height() == pytest.approx(1)
    assert strip.get_ylim()[1] >= 1.5
    assert ("stages.0.block" in [t.get_text() for t in bars.get_xticklabels()]) is named


def test_flow_fits_the_live_signals_and_marks_the_dead(frames):
    ax = plot_frame("flow", frames()["flow"])
    assert ax.get_yscale() == "log"
    assert "resnet50 (+0.1000)" in legend(ax)
    assert legend(ax)[-2:] == ["(slope of the line: decades per layer)", "dead signals (2)"]
    assert ax.get_ylabel().startswith("RMS gradient per sample and element")
    assert ax.get_xlabel() == "depth from the input (weighted layers)"
    assert [len(line.get_xdata()) for line in markers(ax, POSITIONS[0].marker)] == [5]
    assert ax.collections[0].get_segments()[0][:, 0] == pytest.approx([3, 3])


def test_one_depth_has_no_slope():
    assert np.isnan(fitted_line(np.array([2.0, 2.0]), np.array([1.0, 3.0]))).all()


def test_cost_shows_stages_next_to_each_other_and_totals(frames):
    ax = plot_frame("cost", frames()["cost"])
    assert len(ax.child_axes) == 4
    flops, *_, saved = ax.child_axes
    assert [bars[0].get_facecolor() for bars in flops.containers] == [
        pytest.approx((0.0, 0x72 / 255, 0xB2 / 255, 1.0)),
        pytest.approx((0xD5 / 255, 0x5E / 255, 0.0, 1.0)),
    ]
    assert [bar.get_height() for bar in saved.containers[0]] == [1.0, 2.0, 0.5]
    assert "total 3.50\N{NARROW NO-BREAK SPACE}MiB" in [text.get_text() for text in saved.texts]


def test_throughput_shows_each_speed_and_its_range(frames):
    ax = plot_frame("throughput", frames(("a",))["throughput"])
    assert [bar.get_width() for bar in ax.containers[0]] == [40.0, 12.0]
    assert ax.collections[0].get_segments()[0][:, 0] == pytest.approx([39, 41])
    assert {"40", "12"} <= {text.get_text() for text in ax.texts}


def test_intervals_of_a_training_stay_within_the_range_of_the_quantity(frames):
    """For three very different seeds, the t interval would leave [0, 1], or go below 0 for the loss."""
    frame = frames(("none",))["trajectory"]
    for quantity in ("rarefied_duplication", "accuracy", "loss"):
        frame[quantity] = frame["seed"].map({0: 0.05, 1: 0.5, 2: 0.95})
    titles = ("duplication D_m", "held-out accuracy", "held-out loss")
    panels = {panel.get_title(loc="left"): panel for panel in plot_frame("trajectory", frame).child_axes}
    for title in titles:
        (band,) = panels[title].collections
        edges = band.get_paths()[0].vertices[:, 1]
        assert edges.min() == 0
        assert edges.max() == (pytest.approx(1.618, abs=1e-3) if title == "held-out loss" else 1)


@pytest.mark.parametrize(("first", "scale"), [(0.4, "linear"), (800.0, "log")])
def test_a_loss_that_falls_by_a_factor_of_1000_has_a_logarithmic_axis(first, scale, frames):
    frame = frames(("none",))["trajectory"]
    frame["loss"] = np.where(frame["step"] == 0, first, 0.2)
    panels = {panel.get_title(loc="left"): panel for panel in plot_frame("trajectory", frame).child_axes}
    assert panels["held-out loss"].get_yscale() == scale
    assert panels["held-out accuracy"].get_yscale() == "linear"


def test_several_pairs_of_networks_have_one_panel_each(frames):
    frame = pd.concat([frames(("net_a", last))["cross"] for last in ("net_b", "net_c")], ignore_index=True)
    ax = plot_frame("cross", frame)
    assert [panel.get_xlabel().split(",")[0] for panel in ax.child_axes] == ["net_b", "net_c"]
    assert [panel.get_ylabel().split(",")[0] for panel in ax.child_axes] == ["net_a", "net_a"]
    assert all(len(panel.images) == 1 for panel in ax.child_axes)
