"""Single figures of a result, for a paper or a screen."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import matplotlib
import matplotlib.style
import pandas as pd
from matplotlib.figure import Figure

from gradlens.catalogue import kind
from gradlens.errors import GradlensError, close_matches
from gradlens.plots import PLOTS
from gradlens.plots.colours import AMONG
from gradlens.results import Result

COLUMNS = {1: 3.5, 2: 7.16}
"""Width of a figure over one or two columns of a two-column page, in inches."""
TALLEST = 9.0
"""Largest height of a figure, the height of a page's text, in inches."""
KINDS = ("pdf", "svg", "png")
BARE: dict[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None, "Creator": "gradlens", "Producer": None},
    "svg": {"Date": None, "Creator": "gradlens"},
    "png": {"Software": None},
}
"""Metadata of a file, without a date, so that equal figures give equal bytes."""


@dataclass(frozen=True)
class Style:
    """The format of a figure.

    Attributes:
        dpi: dots per inch of pixel images.
        columns: columns of the page; None keeps the size that the figure has in the report.
        settings: matplotlib settings in addition to its defaults.
    """

    dpi: int
    columns: int | None
    settings: dict[str, Any]


STYLES: dict[str, Style] = {
    # Type 42 embeds TrueType fonts; many publishers reject type 3.
    "paper": Style(600, 2, {"pdf.fonttype": 42, "svg.fonttype": "path", "hatch.linewidth": 0.6}),
    "screen": Style(150, None, {"pdf.fonttype": 42, "svg.fonttype": "path"}),
}


def figure(
    result: Result,
    name: str,
    *,
    style: str = "screen",
    columns: int | None = None,
    networks: Sequence[str] = (),
    version: str = "",
) -> Figure:
    """Draw the figure of one table in the size of a paper or a screen.

    Args:
        result: the result of a run.
        name: name of a table that has a plot.
        style: ``paper`` (exactly one or two columns wide) or ``screen`` (as in the report).
        columns: 1 (3.5 inches) or 2 (7.16 inches); None takes two on paper, the plot's own width on screen.
        networks: names of the networks to draw; empty draws all.
        version: of similarity, such as ``energy_given_loss``, in figures that draw one; empty for the default.

    Raises:
        GradlensError: the figure, style, width, network or version does not exist.
    """
    look = _style(style)
    width = look.columns if columns is None else columns
    if width is not None and width not in COLUMNS:
        raise GradlensError(f"columns={columns}; use {' or '.join(map(str, COLUMNS))}")
    frame = _of_networks(_frame(result, name), networks)
    with _settings(look):
        inches = None if width is None else COLUMNS[width]
        ax = PLOTS[kind(name)].drawn(frame, inches, version, TALLEST)
    return cast(Figure, ax.get_figure(root=True))


def save_figure(drawn: Figure, path: str | Path, *, style: str = "screen", kind: str | None = None) -> Path:
    """Write a figure as PDF, SVG or PNG; the same figure gives the same bytes.

    Args:
        drawn: a figure from ``figure``.
        path: path of the file; missing folders are created.
        style: the style that it was drawn with.
        kind: ``pdf``, ``svg`` or ``png``; None reads it from the path.

    Raises:
        GradlensError: the kind is not known, or the file cannot be written.
    """
    path, look = Path(path), _style(style)
    kind = kind or path.suffix.lower().removeprefix(".")
    if kind not in KINDS:
        raise GradlensError(
            f"{path}: {f'unknown format {kind}' if kind else 'no format'}; use {', '.join(KINDS)}"
        )
    page = io.BytesIO()  # an error while drawing leaves no incomplete file
    with _settings(look):
        drawn.savefig(page, format=kind, dpi=look.dpi, metadata=BARE[kind], facecolor="white")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(page.getvalue())
    except OSError as error:
        raise GradlensError(f"cannot write {path}: {error.strerror or error}; choose another path") from error
    return path


def drawable(result: Result) -> list[str]:
    """Return the names of the tables that have a plot, in the order of the registry."""
    return [name for plot in PLOTS for name in result.tables if kind(name) == plot]


@contextmanager
def _settings(look: Style) -> Iterator[None]:
    settings = cast(Any, {"svg.hashsalt": "gradlens", **look.settings})
    with matplotlib.style.context("default"), matplotlib.rc_context(settings):
        yield


def _style(name: str) -> Style:
    if name not in STYLES:
        raise GradlensError(f"no style {name!r}; use {', '.join(STYLES)}{close_matches(name, STYLES)}")
    return STYLES[name]


def _frame(result: Result, name: str) -> pd.DataFrame:
    names = drawable(result)
    if name in names:
        return result.tables[name].frame
    reason = "this run has no table" if kind(name) in PLOTS else "there is no figure"
    problem = f"table {name!r} has no figure" if name in result.tables else f"{reason} {name!r}"
    raise GradlensError(
        f"{problem}; this run has figures of {', '.join(names) or 'no table'}{close_matches(name, names)}"
    )


def _of_networks(frame: pd.DataFrame, networks: Sequence[str]) -> pd.DataFrame:
    """Return the rows of some networks, or of pairs of them; all rows if none are named."""
    if not networks:
        return frame
    ends = [name for name in ("network", "network_a", "network_b", "a", "b") if name in frame]
    known = list(dict.fromkeys(str(name) for end in ends for name in frame[end]))
    for name in networks:
        if name not in known:
            raise GradlensError(
                f"no network {name!r} in this figure; it has {', '.join(known) or 'none'}{close_matches(name, known)}"
            )
    chosen = pd.concat([frame[end].astype(str).isin(networks) for end in ends], axis=1).all(axis=1)
    kept = frame[chosen].reset_index(drop=True)
    kept.attrs[AMONG] = known
    return kept
