"""Stages and branches along a watched training, with its alarms on the axis of steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D

from gradlens.catalogue.watched import (
    AXES,
    COHERENCE,
    FINITE,
    SHARE,
    STAGES_OF,
    WATCHED,
    WatchedQuantity,
    watched,
)
from gradlens.graph.stage_order import WHOLE, in_order
from gradlens.plots import along, canvas
from gradlens.plots.along import Line, Panel
from gradlens.plots.colours import BRANCHES, INK, MUTED, POSITIONS, VERMILION, Style
from gradlens.plots.limits import at_least
from gradlens.plots.plot import Plot
from gradlens.plots.quantities import LEAST, further_lines

LIGHTEST = 0.88  # of the scale of colours, which is too pale beyond
THIN, THICK = 0.9, 1.6  # points: lines of stages, of the whole network
ABOVE = 1.08  # room above the largest number


def stages(frame: pd.DataFrame, ax: Axes) -> Axes:
    """Draw each quantity of the stages at each measured step, one panel per quantity and one line per stage.

    Args:
        frame: the table ``stages_along``.
        ax: where to draw; divided into panels.
    """
    names = _quantities(frame)
    if not names:
        return canvas.nothing(ax, "no step was measured")
    styles = _styles(frame)
    panels = []
    for name in names:
        entry = watched(name)
        lines = [
            _line(rows, name, _style(styles[stage], backward), stage == WHOLE)
            for (stage, backward), rows in _series(frame, name)
        ]
        panels.append(_panel(name.replace("_", " ") if entry is None else entry.title, lines, entry))
    return _finished(ax, panels, frame, styles)


def branches(frame: pd.DataFrame, ax: Axes) -> Axes:
    """Draw the shares of the branches and the coherence of the forks at each measured step, one line per stage.

    A line is the mean share over the forks of a stage, or the smallest coherence. Branches without a name of their own
    are in one panel, with the smallest share of each fork.

    Args:
        frame: the table ``branches_along``.
        ax: where to draw; divided into panels.
    """
    groups = _groups(frame)
    if not groups:
        return canvas.nothing(ax, "no branch was measured")
    styles = _styles(frame)
    panels = []
    for title, (column, rows) in groups.items():
        places = rows.groupby(["step", "backward", "stage"], sort=True)[column]
        numbers = (places.mean() if column == SHARE else places.min()).reset_index()
        lines = [
            _line(series, column, _style(styles[str(stage)], int(str(backward))), False)
            for (stage, backward), series in numbers.groupby(["stage", "backward"], sort=False)
        ]
        panels.append(_panel(title, lines, watched(column)))
    return _finished(ax, panels, frame, styles)


def _groups(frame: pd.DataFrame) -> dict[str, tuple[str, pd.DataFrame]]:
    """Return column and rows of each panel of branches, by title."""
    if frame.empty:
        return {}
    labels = frame["branch"].astype(str)
    groups = {f"share: {name}": (SHARE, frame[labels == name]) for name in BRANCHES}
    others = frame[~labels.isin(list(BRANCHES))]
    keys = ["step", "backward", "stage", "site"]
    groups["smallest share"] = SHARE, others.groupby(keys, sort=False)[SHARE].min().reset_index()
    groups["smallest coherence"] = COHERENCE, frame.drop_duplicates(keys)
    return {title: (column, rows) for title, (column, rows) in groups.items() if rows[column].notna().any()}


def _quantities(frame: pd.DataFrame) -> list[str]:
    """Return the columns that are drawn: those that the loop has logged first, then those of the catalogue."""
    if frame.empty:
        return []
    titled = [entry.name for entry in WATCHED if entry.title]
    logged = [str(name) for name in frame if name not in AXES and watched(str(name)) is None]
    drawn = [name for name in [*logged, *titled] if name in frame and frame[name].notna().any()]
    return [name for name in drawn if name != "dead" or frame[name].any()]


def _series(frame: pd.DataFrame, name: str) -> Iterator[tuple[tuple[str, int], pd.DataFrame]]:
    """Yield the rows of each stage and backward pass; a stage without a number in a measured step has a gap there."""
    of_network = watched(name) is None
    measured = frame.loc[frame[FINITE].notna(), ["step", "backward"]].drop_duplicates()
    for stage in in_order(frame["stage"]):
        rows = frame[(frame["stage"].astype(str) == stage) & frame[name].notna()]
        for backward, series in rows.groupby("backward", sort=True):
            steps = measured.loc[measured["backward"] == backward, "step"]
            number = int(str(backward))
            if of_network:
                yield (stage, number), series
            else:
                yield (stage, number), series.set_index("step").reindex(sorted(steps)).reset_index()


def _line(rows: pd.DataFrame, name: str, style: Style, thick: bool) -> Line:
    steps, values = rows["step"].to_numpy(), rows[name].to_numpy(dtype=float)
    finite = np.where(np.isfinite(values), values, np.nan)
    return Line(style, steps, finite, width=THICK if thick else THIN, smoothed=True)


def _panel(title: str, lines: Sequence[Line], entry: WatchedQuantity | None) -> Panel:
    values = np.concatenate([line.all for line in lines])
    known = values[np.isfinite(values)]
    positive = known[known > 0]
    if entry is not None and entry.logarithmic and positive.size:
        low, high = np.floor(np.log10(positive.min())), np.ceil(np.log10(positive.max()))
        return Panel(title, lines, (10**low, 10 ** max(high, low + 1)), logarithmic=True)
    counts = entry is not None and entry.summary == "sum"
    if known.size and (counts or known.max() > 1):
        limits = min(0.0, float(known.min())), ABOVE * float(known.max())
    else:
        limits = at_least(known, LEAST, (0.0, 1.0))
    return Panel(title, lines, limits, counts=counts)


def _styles(frame: pd.DataFrame) -> dict[str, Style]:
    """Return a style per stage: colours from dark to light with depth, and black for the whole network.

    A stage has the same style in all figures of a training: ``frame.attrs[STAGES_OF]`` names all its stages.
    """
    names = [
        stage for stage in in_order([*frame.attrs.get(STAGES_OF, ()), *frame["stage"]]) if stage != WHOLE
    ]
    scale, last = matplotlib.colormaps["viridis"], max(len(names) - 1, 1)
    drawn = {
        stage: Style(to_hex(scale(LIGHTEST * at / last)), POSITIONS[at % len(POSITIONS)].marker, "-")
        for at, stage in enumerate(names)
    }
    return drawn | {WHOLE: Style(INK, "o", "-")}


def _style(style: Style, backward: int) -> Style:
    """Return the style of a stage in one of several backward passes, which have other lines."""
    return Style(style.colour, style.marker, POSITIONS[backward % len(POSITIONS)].line)


def _finished(ax: Axes, panels: Sequence[Panel], frame: pd.DataFrame, styles: dict[str, Style]) -> Axes:
    """Draw the panels, the steps with alarms and those that are not finite, and the legend."""
    divided = along.draw(ax, panels)
    alarms = frame.loc[frame["alarms"] > 0, "step"].unique()
    broken = frame.loc[frame[FINITE] == 0, "step"].unique() if FINITE in frame else np.array([])
    for axes in divided:
        for step in broken:
            axes.axvline(step, color=MUTED, lw=0.5, ls=":", zorder=1)
        if len(alarms):
            axes.plot(alarms, np.zeros(len(alarms)), "^", color=VERMILION, ms=4.2, mew=0, clip_on=False,
                      transform=axes.get_xaxis_transform(), zorder=5)  # fmt: skip
    smoothed = any(line.over > 1 for panel in panels for line in panel.lines)
    canvas.legend_above(ax, _legend(frame, styles, len(alarms), len(broken), smoothed), lift=0.28)
    return ax


def _legend(
    frame: pd.DataFrame, styles: dict[str, Style], alarms: int, broken: int, smoothed: bool
) -> list[Artist | tuple[Artist, ...]]:
    present = in_order(frame["stage"])
    marker = frame["step"].nunique() <= along.FEW
    handles: list[Artist | tuple[Artist, ...]] = [
        Line2D([], [], color=style.colour, ls="-", marker=style.marker if marker else "", ms=4.2,
               lw=THICK if stage == WHOLE else 1.2, label=canvas.plain(f"stage {stage}" if stage.isdigit() else stage))
        for stage, style in styles.items() if stage in present
    ]  # fmt: skip
    passes = sorted(frame["backward"].unique())
    for number in passes if len(passes) > 1 else ():
        line = POSITIONS[int(number) % len(POSITIONS)].line
        handles.append(Line2D([], [], color=MUTED, ls=line, lw=1.0, label=f"backward pass {number}"))
    if smoothed:
        handles.append(Line2D([], [], color=MUTED, lw=0.4, label="each step; thick: running median"))
    if alarms:
        handles.append(Line2D([], [], ls="", marker="^", color=VERMILION, ms=4.2, mew=0, label="alarm"))
    if broken:
        handles.append(Line2D([], [], ls=":", color=MUTED, lw=0.8, label="a gradient is not finite"))
    return handles


def _lines_of_stages(frame: pd.DataFrame) -> int:
    return further_lines(len(_quantities(frame)))


def _lines_of_branches(frame: pd.DataFrame) -> int:
    return further_lines(len(_groups(frame)))


STAGES = Plot(stages, height=3.0, rows=_lines_of_stages, narrow=1.5)
BRANCHES_ALONG = Plot(branches, height=3.0, rows=_lines_of_branches, narrow=1.5)
