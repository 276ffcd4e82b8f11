"""The length of a line of text is that of its outline, as matplotlib measures it curve by curve."""

import numpy as np
import pytest
from matplotlib.path import Path
from matplotlib.textpath import TextPath

from gradlens.plots.lengths import outline_width, text_width

TEXTS = ["stages.0.blocks.1.conv2", "ÅéßøW", "(j)", "a  b", r"\$x", "$10^{-3}$", "O", "层 λ²"]


@pytest.mark.parametrize("size", [5.5, 8.0])
@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.filterwarnings("ignore:Glyph:UserWarning")
def test_the_width_of_a_text_is_that_of_its_extents(text, size):
    expected = TextPath((0, 0), text, size=size).get_extents().width / 72
    assert text_width(text, size) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("text", ["", " "])
def test_a_text_without_ink_has_no_width(text):
    assert text_width(text, 8.0) == 0


@pytest.mark.parametrize("seed", range(5))
def test_the_width_of_any_closed_curves_is_that_of_their_extents(seed):
    """The vertices of closing lines are far away: they must not count."""
    rng = np.random.default_rng(seed)
    vertices, codes = [], []
    for _ in range(3):
        vertices += [*rng.normal(size=(8, 2)), (1e6, 1e6)]
        codes += [Path.MOVETO, Path.CURVE3, Path.CURVE3, Path.LINETO, *[Path.CURVE3] * 4, Path.CLOSEPOLY]
    path = Path(vertices, codes)
    assert outline_width(path) == pytest.approx(path.get_extents().width, rel=1e-12)


def test_cubic_curves_and_lines_are_measured_too():
    cubic = Path([(0, 0), (3, 0), (3, 1), (0, 1)], [Path.MOVETO, *[Path.CURVE4] * 3])
    assert outline_width(cubic) == cubic.get_extents().width == pytest.approx(2.25)
    assert outline_width(Path([(1, 0), (4, 0)])) == 3
