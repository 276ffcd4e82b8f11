"""The figures of several losses: values, intervals, marks, names of stages, and one style per loss."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from ledgers import DETECTOR, LOSSES, conflicts, duplication_by_loss, efficiency, losses

from gradlens.catalogue.losses import LOSSES_OF
from gradlens.plots import PLOTS, plot_frame
from gradlens.plots.colours import loss_styles
from gradlens.report import figure
from gradlens.results import Result, Table

MANY = tuple(
    f"{part} {stride}{way}"
    for part, way in (
        ("neck", " top-down"),
        ("neck", " bottom-up"),
        ("head", " classification"),
        ("head", " box"),
    )
    for stride in (8, 16, 32, 64)
)
"""Sixteen stages with long names, after those of the backbone."""
FAMILIES = ("losses", "duplication_by_loss")
MAKE = {"losses": losses, "duplication_by_loss": duplication_by_loss}


def panel_of(ax, number=0):
    return ax.child_axes[number]


def marks(panel, style):
    """Return the points that are drawn with the marker and colour of a style, in the order of the rows."""
    for line in panel.lines:
        if line.get_linestyle() == "None" and (line.get_marker(), line.get_color()) == (
            style.marker,
            style.colour,
        ):
            return np.asarray(line.get_xdata(), float)
    raise AssertionError("no such marks")


def test_each_loss_has_its_share_in_the_row_of_its_stage():
    frame = losses(["net"])
    ax = plot_frame("losses", frame)
    styles = loss_styles(frame)
    assert [label.get_text() for label in panel_of(ax).get_yticklabels()] == list(DETECTOR)
    for loss in LOSSES:
        rows = frame[(frame["loss"] == loss) & (frame["level"] == "stage")]
        assert marks(panel_of(ax), styles[loss]) == pytest.approx(rows["share"].to_numpy())


def test_the_interval_of_a_share_is_a_line_cut_off_at_0_and_1():
    frame = losses(["net"], names=("cls", "box"), stages=("4", "8"))
    frame[["share_low", "share_high"]] = [-0.5, 1.5]
    lines = panel_of(plot_frame("losses", frame)).collections
    ends = np.concatenate([np.asarray(segment)[:, 0] for line in lines for segment in line.get_segments()])
    assert set(ends) == {0.0, 1.0}


def test_only_stages_of_one_part_are_joined():
    frame = losses(["net"], names=("cls", "box"), stages=DETECTOR)
    joined = [line for line in panel_of(plot_frame("losses", frame)).lines if line.get_alpha() == 0.45]
    assert sorted({len(line.get_xdata()) for line in joined}) == [
        1,
        4,
    ]  # the backbone, and each other stage by itself


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("columns", [1, 2])
def test_names_of_many_stages_are_whole_and_do_not_overlap(name, columns):
    stages = ("4", "8", "16", "32", *MANY, "whole")
    frame = MAKE[name](["fcos:resnet50", "fcos:cspresnet50"], stages=stages)
    drawn = figure(Result({name: Table(name, frame, "")}, {}, ""), name, style="paper", columns=columns)
    drawn.canvas.draw()
    labels = [text for text in drawn.findobj(matplotlib.text.Text) if text.get_text() in stages]
    assert {text.get_text() for text in labels} == set(stages)
    boxes = [text.get_window_extent() for text in labels if text.get_visible()]
    boxes = [
        box for box in boxes if box.width > 2
    ]  # names of ticks that are not drawn have a box of one pixel
    assert len(boxes) >= len(stages)
    assert not [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if a.overlaps(b)]


def test_a_loss_keeps_its_style_in_all_figures_of_a_run():
    tables = {"losses": losses(["a", "b"]), "conflicts": conflicts(["a"], names=LOSSES[1:])}
    result = Result({name: Table(name, frame, "") for name, frame in tables.items()}, {}, "")
    whole, part = (loss_styles(result[name].frame) for name in tables)
    assert part == {name: whole[name] for name in LOSSES[1:]}
    alone = result["losses"].frame[lambda frame: frame["loss"] == LOSSES[2]]
    assert loss_styles(alone) == {LOSSES[2]: whole[LOSSES[2]]}


def test_styles_of_losses_differ_also_without_colour():
    styles = [*loss_styles(pd.DataFrame({"loss": [f"l{i}" for i in range(14)]})).values()]
    assert len({(style.colour, style.marker) for style in styles}) == 14
    assert len({style.marker for style in styles[:7]}) == len({style.colour for style in styles[:7]}) == 7
    named = pd.DataFrame({"loss": ["b"]})
    named.attrs[LOSSES_OF] = ("a", "b")
    assert loss_styles(named)["b"] == styles[1]


def test_a_ring_marks_conflict_in_more_than_half_of_the_samples():
    frame = conflicts(["net"], names=("cls", "box"))
    signals = frame[frame["level"] == "signal"]
    rings = [
        line
        for line in panel_of(plot_frame("conflicts", frame)).lines
        if line.get_markerfacecolor() == "none"
    ]
    drawn = sorted(depth for ring in rings for depth in ring.get_xdata())
    assert drawn == sorted(signals.loc[signals["conflict"] > 0.5, "depth"])
    assert 0 < len(drawn) < len(signals)


def test_a_mark_of_a_pair_has_the_colours_of_both_losses():
    frame = conflicts(["net"], names=("cls", "box"))
    styles = loss_styles(frame)
    (halved,) = [
        line for line in panel_of(plot_frame("conflicts", frame)).lines if line.get_fillstyle() == "left"
    ]
    assert halved.get_markerfacecolor() == styles["cls"].colour
    assert halved.get_markerfacecoloralt() == styles["box"].colour


def test_signals_of_one_depth_are_all_drawn_and_their_mean_is_joined():
    """Heads of several levels are at one depth."""
    frame = conflicts(["net"], names=("cls", "box"), stages=("head 8", "head 16"))
    frame["depth"] = frame["depth"].where(frame["depth"].isna(), 5.0)
    lines = panel_of(plot_frame("conflicts", frame)).lines
    (points,) = [line for line in lines if line.get_fillstyle() == "left"]
    assert len(points.get_xdata()) == 6
    assert any(list(line.get_xdata()) == [5.0] for line in lines)


def test_duplication_as_measured_is_beside_that_given_each_loss():
    frame = duplication_by_loss(["net"])
    ax = plot_frame("duplication_by_loss", frame)
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == [
        "as measured",
        *(f"given {loss}" for loss in LOSSES),
        "given all losses",
        "95 % interval",
    ]
    styles = loss_styles(frame)
    for loss in LOSSES:
        rows = frame[frame["loss"] == loss]
        assert marks(panel_of(ax), styles[loss]) == pytest.approx(
            rows["rarefied_duplication_given"].to_numpy()
        )
    measured = frame.loc[frame["loss"] == "all", "rarefied_duplication"]
    black = [
        line for line in panel_of(ax).lines if line.get_marker() == "X" and line.get_linestyle() == "None"
    ]
    assert np.asarray(black[0].get_xdata(), float) == pytest.approx(measured.to_numpy())


def test_the_backbone_is_above_the_whole_network_and_the_duplication_as_measured_first():
    ax = plot_frame("efficiency", efficiency(["fcos:resnet50", "fcos:cspresnet50"]))
    flops, speed, duplication = ax.child_axes
    for panel in (flops, speed):
        assert [label.get_text() for label in panel.get_yticklabels()] == ["backbone", "whole"]
    assert sorted(bar.get_width() for bar in flops.patches) == pytest.approx([4.5, 5.0, 13.5, 15.0])
    rows = [label.get_text() for label in duplication.get_yticklabels()]
    assert rows == ["nothing", *LOSSES, "all losses"]
    ax.get_figure().canvas.draw()
    names = [label.get_window_extent() for label in duplication.get_yticklabels()]
    assert min(box.x0 for box in names) > max(text.get_window_extent().x1 for text in speed.texts)


def test_a_figure_of_one_network_has_no_value_of_another(frames):
    result = Result({"losses": Table("losses", losses(["a", "b"]), "")}, {}, "")
    drawn = figure(result, "losses", networks=["b"])
    titles = [text.get_text() for text in drawn.findobj(matplotlib.text.Text)]
    assert "b" in titles
    assert "a" not in titles


@pytest.mark.parametrize("name", ["losses", "conflicts", "duplication_by_loss", "efficiency"])
def test_a_loss_with_a_hostile_name_is_drawn(name, frames):
    frame = frames()[name]
    for column in ("loss", "loss_a", "loss_b"):
        if column in frame:
            frame[column] = frame[column].replace(LOSSES[0], r"$\frac{a}$ _x")
    plot_frame(name, frame).get_figure().canvas.draw()
    assert name in PLOTS


@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("name", ["duplication", "cost", "structure"])
def test_the_stages_of_a_detector_are_named_in_full_in_the_figures_of_all_networks(name, columns, frames):
    names = dict(
        zip(
            ("4", "8", "16", "head"),
            ("neck 16 top-down", "neck 16 bottom-up", "head 8 box", "head"),
            strict=True,
        )
    )
    frame = frames()[name]
    parts = [frame.assign(stage=frame["stage"].replace(names)), frame]
    more = [frame[frame["stage"] == "4"].assign(stage=stage) for stage in MANY]
    result = Result({name: Table(name, pd.concat([*parts, *more], ignore_index=True), "")}, {}, "")
    drawn = figure(result, name, style="paper", columns=columns)
    drawn.canvas.draw()
    shown = [
        text for text in drawn.findobj(matplotlib.text.Text) if text.get_text() in MANY and text.get_visible()
    ]
    assert {text.get_text() for text in shown} == set(MANY)
    boxes = [box for box in (text.get_window_extent() for text in shown) if box.width > 2]
    assert not [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if a.overlaps(b)]
    assert all(box.y0 >= -0.5 for box in boxes)


def test_a_stage_without_a_share_in_any_network_has_no_row():
    frame = losses(["a", "b"])
    stages = frame.loc[frame["level"] == "stage", "where"].unique()
    gone = frame.assign(share=frame["share"].where(frame["where"] != stages[0]))
    heights = []
    for table in (frame, gone):
        axes = plot_frame("losses", table)
        names = {label.get_text() for label in panel_of(axes).get_yticklabels()}
        heights.append((axes.figure.get_figheight(), names))
    assert len(heights[0][1]) == len(heights[1][1]) + 1
    assert heights[1][0] < heights[0][0]
