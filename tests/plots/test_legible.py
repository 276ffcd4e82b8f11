"""Legibility: texts and marks do not overlap, and different marks have different meanings."""

import io
import itertools

import matplotlib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from gradlens.plots import PLOTS, canvas, plot_frame
from gradlens.plots.colours import POSITIONS
from gradlens.plots.quantities import QUANTITIES
from gradlens.plots.sites import label_room

LONG = [
    "stem.pool:maxpool2dwithindices",
    *(f"stages.{stage}:partial split" for stage in range(2)),
    *(f"stages.{stage}.blocks.{block}.act3:leakyrelu" for stage in range(2) for block in range(4)),
]

RESNET = ["maxpool:maxpool2dwithindices", *(f"layer1.{i}.act3:relu" for i in range(15))]
WIDE = [f"net.weighted_mapping_{i}.downsample_membrane:relu" for i in range(6)]


def table(name, frames, networks, sites=LONG, spread=None):
    """Return the table of branches or shares with these sites and this spread of coherence around 1."""
    frame = frames(networks, sites=len(sites))[name]
    order = list(dict.fromkeys(frame["site"]))
    frame["site"] = frame["site"].map(dict(zip(order, sites, strict=True)))
    if spread is not None:
        frame["coherence"] = 1 + spread * np.linspace(-1, 1, len(frame))
    return frame


def leaves(ax):
    """Return the panels that contain data, at any depth."""
    return [leaf for child in ax.child_axes for leaf in (leaves(child) or [child])]


def boxes(ax):
    """Return the boxes of all visible texts of a drawn figure."""
    ax.get_figure().draw_without_rendering()
    visible = [text for text in ax.get_figure().findobj(matplotlib.text.Text) if text.get_visible()]
    return {text: text.get_window_extent() for text in visible if text.get_text().strip()}


@pytest.mark.parametrize("networks", [2, 4])
@pytest.mark.parametrize("name", ["branches", "shares"])
@pytest.mark.parametrize("sites", [RESNET, LONG, WIDE])
def test_names_of_sites_do_not_overlap_the_next_panel(name, networks, sites, frames):
    ax = plot_frame(name, table(name, frames, tuple(f"net{i}" for i in range(networks)), sites))
    extents = boxes(ax)
    names = [label for panel in leaves(ax) for label in panel.get_xticklabels() if label in extents]
    titles = [text for text in extents if text.get_text() in [f"net{i}" for i in range(networks)]]
    stages = [text for panel in leaves(ax) for text in panel.texts]
    names = [label for label in names if label.get_rotation()]
    assert len(names) == networks * len(sites)
    assert len(titles) == networks
    for label in names:
        assert not [t.get_text() for t in titles + stages if extents[label].overlaps(extents[t])], (
            label.get_text()
        )


@pytest.mark.parametrize("name", ["branches", "shares"])
@pytest.mark.parametrize("height", [5.0, 20.0])
def test_panels_keep_their_distance_in_inches_in_any_figure(name, height, frames):
    ax = canvas.new_axes(7, height)
    frame = table(name, frames, ("a", "b"))
    plot_frame(name, frame, ax)
    first, second = ax.child_axes
    gaps = []
    for dpi in (100, 200):
        ax.get_figure().set_dpi(dpi)
        ax.get_figure().draw_without_rendering()
        gaps.append((first.get_window_extent().y0 - second.get_window_extent().y1) / dpi)
    assert gaps == pytest.approx([label_room(frame)] * 2, abs=0.02)


@pytest.mark.parametrize("name", ["branches", "shares"])
@pytest.mark.parametrize(
    "sites",
    [
        LONG,
        [f"features.block.layer.deeper.and.deeper.{i}.still.deeper.than.that.conv:relu" for i in range(12)],
        [f"body.{i}.act:{op}" for i in range(3) for op in ("leakyrelu_with_a_long_name", "add")],
        ["x" * 40 + "a" + "y" * 40, "x" * 40 + "b" + "y" * 40],
    ],
)
def test_no_two_sites_have_the_same_name(name, sites, frames):
    ax = plot_frame(name, table(name, frames, ("a",), sites))
    names = [label.get_text() for label in leaves(ax)[-1].get_xticklabels()]
    assert len(set(names)) == len(sites)


def test_a_short_name_keeps_its_stage_and_block(frames):
    ax = plot_frame("shares", table("shares", frames, ("a",)))
    names = [label.get_text() for label in leaves(ax)[-1].get_xticklabels()]
    assert names[:4] == [
        "stem.pool",
        "stages.0:partial split",
        "stages.1:partial split",
        "stages.0.blocks.0.act3",
    ]


def test_the_split_and_the_merge_of_one_split_have_different_names(frames):
    frame = table("branches", frames, ("a",), ["stages.0:partial split", "stages.1:partial split, dense"])
    both = pd.concat([frame.assign(where="split"), frame.assign(where="merge")])
    ax = plot_frame("branches", both)
    names = {label.get_text() for label in ax.child_axes[0].get_xticklabels()}
    assert {"stages.0:partial split (split)", "stages.0:partial split (merge)"} < names
    assert len(names) == 4


@pytest.mark.parametrize("count", [3, 12, 24])
def test_names_of_stages_do_not_overlap(count, frames):
    frame = table("branches", frames, ("a",), [f"blocks.{i}:add" for i in range(count)])
    frame["stage"] = ["16", *frame["site"].str.removesuffix(":add")[1:]]
    ax = plot_frame("branches", frame)
    extents = boxes(ax)
    stages = [extents[text] for text in ax.child_axes[0].texts]
    assert len(stages) >= min(count, 8)
    assert not any(a.overlaps(b) for a, b in itertools.combinations(stages, 2))


@pytest.mark.parametrize("name", ["strategies", "trajectory"])
def test_titles_of_a_training_do_not_overlap(name, frames):
    frame = frames(("none", "csp"))[name].assign(m=114, m_given_loss=113, loss=0.3, accuracy=0.9)
    ax = plot_frame(name, frame)
    extents = boxes(ax)
    titles = [
        text for text in extents if text.get_text() in {panel.get_title("left") for panel in leaves(ax)}
    ]
    assert {"duplication D_m, m = 114", "held-out accuracy"} <= {title.get_text() for title in titles}
    assert not any(extents[a].overlaps(extents[b]) for a, b in itertools.combinations(titles, 2))
    heights = [panel.get_window_extent().height / ax.get_figure().dpi for panel in leaves(ax)]
    assert min(heights) > 1.4


def test_the_label_of_duplication_stays_beside_its_axis_below_a_high_legend(frames):
    frame = frames(
        ("none", "fusion_first", "fusion_last", "csp", "the control of a strategy", "another control")
    )
    frame = frame["duplication"].rename(columns={"duplication": "rarefied_duplication"}).assign(m=121)
    ax = plot_frame("duplication", frame)
    extents = boxes(ax)
    panel = ax
    assert "m = 121" in panel.get_ylabel()
    label, axis = extents[panel.yaxis.label], panel.get_window_extent()
    assert axis.y0 - 10 <= label.y0
    assert label.y1 <= axis.y1 + 10


@pytest.mark.parametrize("networks", [2, 4, 6])
@pytest.mark.parametrize("quantities", [1, 3, 4])
@pytest.mark.parametrize("name", ["differences", "effects"])
def test_names_of_differences_do_not_overlap(name, quantities, networks, frames):
    """A fourth quantity begins a second row of panels, which needs a height of its own."""
    frame = frames(tuple("abcdef"[:networks]))[name]
    metrics = [metric for metric in QUANTITIES if metric in set(frame["metric"])]
    metrics += [metric for metric in QUANTITIES if metric not in metrics]
    first = frame[frame["metric"] == metrics[0]]
    frame = pd.concat([first.assign(metric=metric) for metric in metrics[:quantities]], ignore_index=True)
    ax = plot_frame(name, frame)
    extents = boxes(ax)
    for panel in ax.child_axes:
        labels = [extents[text] for text in panel.get_yticklabels() if text in extents]
        assert not any(a.overlaps(b) for a, b in itertools.combinations(labels, 2))
    assert len(ax.child_axes[0].get_yticklabels()) == len(first)


def shapes(handles):
    return [(handle.get_marker(), handle.get_markerfacecolor() == "white") for handle in handles]


def test_the_marks_in_the_legend_of_branches_are_those_of_the_plot(frames):
    frame = frames(("a",))["branches"]
    frame.loc[frame["site"] == "stages.1.block", "kind"] = "parallel"
    ax = plot_frame("branches", frame)
    entries = {text.get_text(): [] for text in ax.get_legend().get_texts()}
    drawn = [line for line in ax.get_legend().findobj(matplotlib.lines.Line2D) if line.get_marker() != "None"]
    marks = iter(shapes(drawn))
    for label, count in zip(entries, (2, 2, 1, 2, 2), strict=True):
        entries[label] = [next(marks) for _ in range(count)]
    assert entries["CKA"] == [("o", False), ("s", False)]
    assert entries["CKA given the loss"] == [("o", True), ("s", True)]
    assert entries["residual"] == [("o", False), ("o", True)]
    assert entries["parallel"] == [("s", False), ("s", True)]


@pytest.mark.parametrize(("spread", "top"), [(1e-7, 2), (0.002, 2), (0.5, 2), (2.4, 4)])
def test_the_axis_of_coherence_is_fixed_and_has_all_values(spread, top, frames):
    """Coherences of 0.998 to 1.002 lie on the line at 1; an axis of their range would show rounding errors."""
    frame = table("shares", frames, ("a", "b"), spread=spread)
    frame["coherence"] = frame["coherence"].clip(lower=0)
    ax = plot_frame("shares", frame)
    strips = leaves(ax)[::2]
    ax.get_figure().draw_without_rendering()
    for strip in strips:
        low, high = strip.get_ylim()
        assert low < 0
        assert top < high < 1.2 * top
        assert [label.get_text() for label in strip.get_yticklabels()] == ["0", "1", str(top)]
        assert [line for line in strip.lines if list(line.get_ydata()) == [1.0, 1.0]]


def test_each_panel_of_cost_shows_its_unit(frames):
    ax = plot_frame("cost", frames()["cost"])
    titles = [panel.get_title(loc="left") for panel in ax.child_axes]
    assert titles == [
        "FLOPs / image",
        "parameters (elements)",
        "traffic (elements / image)",
        "saved for backward (MiB / image)",
    ]
    extents = boxes(ax)
    for panel in ax.child_axes:
        title = next(text for text in extents if text.get_text() == panel.get_title(loc="left"))
        assert not [text.get_text() for text in panel.texts if extents[text].overlaps(extents[title])]


@pytest.mark.parametrize("name", ["branches", "shares", "correlation", "duplication"])
def test_a_figure_saved_with_a_tight_box_is_the_same_picture(name, frames):
    """Notebooks save figures with ``bbox_inches="tight"``."""
    figure = plot_frame(name, frames()[name]).get_figure()
    sizes = []
    for box in (None, "tight"):
        page = io.BytesIO()
        figure.savefig(page, format="png", dpi=100, bbox_inches=box)
        dark = np.argwhere(np.asarray(Image.open(page).convert("L")) < 128)
        sizes.append(np.ptp(dark, axis=0))
    assert sizes[0] == pytest.approx(sizes[1], abs=2)


def test_lengths_of_paths_have_one_panel_per_network_on_the_same_scales(frames):
    frame = frames(("a", "b"))["path_lengths"]
    first = frame[frame["order"] == 0]
    frame.loc[first.index, "energy_share"] = [0.0, 0.7, 0.0, 0.3, 0.0] * 2
    ax = plot_frame("path_lengths", frame)
    panels = ax.child_axes
    assert [panel.get_title(loc="left") for panel in panels] == ["a, to conv0", "b, to conv0"]
    assert len({(panel.get_xlim(), panel.get_ylim()) for panel in panels}) == 1
    for panel, style in zip(panels, POSITIONS, strict=False):
        wide, narrow = panel.containers
        assert [bar.get_height() for bar in wide] == [0.2] * 5
        assert [bar.get_height() for bar in narrow] == [0.0, 0.7, 0.0, 0.3, 0.0]
        assert wide[0].get_width() > 2 * narrow[0].get_width()
        assert all(matplotlib.colors.to_hex(bar.get_facecolor()) == style.colour.lower() for bar in narrow)


@pytest.mark.parametrize("count", [1, 3, 4, 7])
def test_the_height_of_a_panel_of_lengths_does_not_depend_on_their_number(count, frames):
    ax = plot_frame("path_lengths", frames(tuple(f"net{i}" for i in range(count)))["path_lengths"])
    ax.get_figure().draw_without_rendering()
    heights = [canvas.inches(panel)[1] for panel in ax.child_axes[:count]]
    assert heights == pytest.approx([1.1] * count, abs=0.15)


def test_lengths_without_energy_can_be_drawn(frames):
    frame = frames(("a",))["path_lengths"].assign(energy_share=np.nan)
    ax = plot_frame("path_lengths", frame)
    assert ax.child_axes[0].get_ylim()[1] == pytest.approx(0.21)


@pytest.mark.parametrize(
    ("stages", "label"),
    [
        (("4", "8", "head", "whole"), "stage (output stride)"),
        (("blocks.0", "blocks.1", "whole"), "stage"),
        (("0", "1", "whole"), "stage"),
        (("head", "whole"), "stage"),
    ],
)
def test_the_label_of_stages_names_strides_if_there_are_any(stages, label, frames):
    for name in ("structure", "cost"):
        frame = frames(("a",))[name]
        frame = pd.concat([frame.iloc[:1].assign(stage=stage) for stage in stages])
        ax = plot_frame(name, frame)
        assert label in {panel.get_xlabel() for panel in (ax, *ax.child_axes)}


def shown(ax):
    """Return the boxes of all texts of a figure that are drawn: labels of ticks only within their axis."""
    extents = boxes(ax)
    panels = [ax, *leaves(ax)]
    ticks = {
        label: (axis, at)
        for panel in panels
        for axis in (panel.xaxis, panel.yaxis)
        for at, label in zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=False)
    }
    for label, (axis, at) in ticks.items():
        low, high = sorted(axis.get_view_interval())
        if not low <= at <= high:
            extents.pop(label, None)
    return extents


@pytest.mark.parametrize("name", ["duplication", "flow", "strategies", "shares", "cost"])
def test_a_figure_can_be_given_another_size(name, frames):
    """Panels, legend and names are placed anew; nothing is cut off, and no two texts overlap."""
    ax = plot_frame(name, frames(("resnet50@none", "resnet50@fusion_first"))[name])
    figure = ax.get_figure()
    width, height = figure.get_size_inches()
    for size in ((3.3, 2 * height), (7.0, height), (3.3, 2 * height), (width, height)):
        figure.set_size_inches(*size)
        extents = shown(ax)
        for a, b in itertools.combinations(extents, 2):
            assert not extents[a].padded(-1).overlaps(extents[b].padded(-1)), (
                size,
                a.get_text(),
                b.get_text(),
            )
        assert min(box.x0 for box in extents.values()) > -1
        assert max(box.x1 for box in extents.values()) < figure.bbox.x1 + 1
        assert max(box.y1 for box in extents.values()) < figure.bbox.y1 + 1
    again = plot_frame(name, frames(("resnet50@none", "resnet50@fusion_first"))[name])
    assert sorted(t.get_text() for t in shown(again)) == sorted(t.get_text() for t in extents)


SIX = (
    "none",
    "fusion_first",
    "fusion_last",
    "csp",
    "fusion_first/fusion_last, transitions only",
    "another control",
)


@pytest.mark.parametrize("name", ["structure", "flow", "duplication", "throughput", "branches"])
def test_the_legend_of_a_narrow_figure_takes_less_than_a_fifth_of_its_area(name, frames):
    ax = PLOTS[name].drawn(frames(SIX)[name], 3.5)
    figure = ax.get_figure()
    figure.draw_without_rendering()
    assert ax.get_legend().get_window_extent().height < figure.bbox.height / 4
    box = ax.get_legend().get_window_extent()
    assert box.width * box.height < 0.2 * figure.bbox.width * figure.bbox.height


@pytest.mark.parametrize("name", ["structure", "lags", "strategies", "networks", "differences", "trajectory"])
def test_no_axis_shows_noise(name, frames):
    """Values that differ by a thousandth are drawn close together."""
    frame = frames(("a", "b"))[name]
    columns = [
        c
        for c in frame.select_dtypes("float").columns
        if c not in ("flops", "p_holm", "m", "similarity_reach")
    ]
    noise = np.random.default_rng(0).uniform(-0.001, 0.001, (len(frame), len(columns)))
    frame[columns] = (0.0 if name == "differences" else 0.5) + noise
    ax = plot_frame(name, frame)
    axis = "get_xlim" if name == "differences" else "get_ylim"
    for panel in leaves(ax) or [ax]:
        if panel.axison:
            assert np.ptp(getattr(panel, axis)()) >= 0.1
