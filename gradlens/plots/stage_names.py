"""Names of stages along an axis: side by side if they fit, else upright, and whole also for the parts of a detector."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from gradlens.plots import canvas
from gradlens.plots.lengths import text_width

LONGEST = 26  # characters of a name
APART = 0.08  # inches between two names side by side
PANEL = 2.6  # inches: width of a panel for which the height of a figure has room


def short(name: str, limit: int) -> str:
    """Return at most ``limit`` characters of the name of a stage.

    Names of several words begin with the part and the stride, so they lose their end; a path loses its middle.

    >>> short("neck 16 bottom-up", 12), short("stages.0.blocks.10", 12)
    ('neck 16 bot…', 'stag…ocks.10')
    """
    if len(name) <= limit or " " not in name:
        return canvas.shorten(name, limit)
    return name[: limit - 1].rstrip() + "…"


def on_axis(panel: Axes, stages: Sequence[str]) -> None:
    """Set a tick with the name of each stage below a panel."""
    names = [canvas.plain(short(stage, LONGEST)) for stage in stages]
    upright = length(stages) > canvas.inches(panel)[0]
    panel.set_xticks(range(len(stages)), names, rotation=90 if upright else 0)


def length(stages: Sequence[str]) -> float:
    """Return the length of the names side by side, in inches."""
    return sum(text_width(canvas.plain(short(stage, LONGEST)), canvas.SMALL) + APART for stage in stages)


def lines(stages: Sequence[str], row: float, width: float = PANEL) -> int:
    """Return the number of lines of text of ``row`` inches that upright names take; 0 if they fit side by side."""
    if not stages or length(stages) <= width:
        return 0
    return round(max(text_width(canvas.plain(short(stage, LONGEST)), canvas.SMALL) for stage in stages) / row)
