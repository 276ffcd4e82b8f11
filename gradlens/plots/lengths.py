"""The length of a line of text, from the outlines of its letters."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from matplotlib.path import Path
from matplotlib.textpath import TextPath


@lru_cache(maxsize=4096)
def text_width(text: str, size: float) -> float:
    """Return the length of a line of text of ``size`` points, in inches."""
    return outline_width(TextPath((0, 0), text, size=size)) / 72 if text.strip() else 0.0


def outline_width(path: Path) -> float:
    """Return the width of ``path.get_extents()``, from all its quadratic curves at once.

    >>> quarter = Path([(0, 0), (2, 0), (0, 2)], [Path.MOVETO, Path.CURVE3, Path.CURVE3])
    >>> outline_width(quarter), float(quarter.get_extents().width)
    (1.0, 1.0)
    """
    codes = path.codes
    if codes is None or np.isin(codes, (Path.CURVE4, Path.STOP)).any():
        return float(path.get_extents().width)
    x = np.asarray(path.vertices, dtype=float)[:, 0]
    control = np.flatnonzero(codes == Path.CURVE3)[::2]
    drawn = np.delete(codes, control) != Path.CLOSEPOLY  # the vertex of a closing line is not used
    ends = np.delete(x, control)[drawn]
    across = np.concatenate([ends, _turns(x[control - 1], x[control], x[control + 1])])
    return float(np.ptp(across)) if len(across) else 0.0


def _turns(start: np.ndarray, control: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the coordinates at which quadratic curves turn back, without those that do not."""
    bend = start - 2 * control + end
    turning = (control - start) * (control - end) > 0  # the control point is outside: bend is not zero
    start, control, bend = start[turning], control[turning], bend[turning]
    return np.asarray(start - (start - control) ** 2 / bend)
