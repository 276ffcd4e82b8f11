"""One figure for print: exact width, embedded fonts, nothing cut off, and what is refused."""

import re

import matplotlib
import pytest

from gradlens.errors import GradlensError
from gradlens.plots.colours import POSITIONS
from gradlens.report import figure, figures, save_figure
from gradlens.report.drawing import encoded

WIDTHS = [(1, 3.5), (2, 7.16)]


def written(drawn):
    """The texts of a drawn figure with their boxes in inches."""
    drawn.canvas.draw()
    found = [text for text in drawn.findobj(matplotlib.text.Text) if text.get_visible()]
    return [(t, t.get_window_extent().extents / drawn.dpi) for t in found if t.get_text().strip()]


def media_box(pdf):
    return [float(n) / 72 for n in re.search(rb"/MediaBox \[([\d. ]+)\]", pdf)[1].split()]


@pytest.mark.parametrize(("columns", "inches"), WIDTHS)
def test_a_pdf_is_as_wide_as_the_columns_and_embeds_truetype_fonts(columns, inches, make_result, tmp_path):
    drawn = figure(make_result(), "flow", style="paper", columns=columns)
    pdf = save_figure(drawn, tmp_path / "new" / "flow.pdf", style="paper").read_bytes()
    assert media_box(pdf)[2] == pytest.approx(inches, abs=0.01)
    assert b"/FontFile2" in pdf
    assert b"/CIDFontType2" in pdf
    assert b"/Type3" not in pdf


@pytest.mark.parametrize(("columns", "inches"), WIDTHS)
def test_svg_and_png_are_as_wide_too(columns, inches, make_result, tmp_path):
    drawn = figure(make_result(), "flow", style="paper", columns=columns)
    svg = save_figure(drawn, tmp_path / "f.svg", style="paper").read_text()
    assert float(re.search(r'<svg[^>]*? width="([\d.]+)pt"', svg)[1]) / 72 == pytest.approx(inches, abs=0.01)
    assert "<text" not in svg  # letters are paths: no font is needed
    png = save_figure(drawn, tmp_path / "f.png", style="paper").read_bytes()
    assert int.from_bytes(png[16:20], "big") / 600 == pytest.approx(inches, abs=0.01)


def test_on_screen_it_is_the_figure_of_the_report(make_result):
    result = make_result()
    assert encoded(figure(result, "flow"), "svg") == encoded(figures(result)["flow"], "svg")


@pytest.mark.parametrize("kind", ["pdf", "svg", "png"])
def test_the_same_figure_gives_the_same_bytes_whatever_the_users_style(kind, make_result, tmp_path):
    pages = []
    for number, size in enumerate((5, 30)):
        with matplotlib.rc_context({"font.size": size, "axes.facecolor": "black", "pdf.fonttype": 3}):
            drawn = figure(make_result(), "flow", style="paper", columns=1)
            pages.append(save_figure(drawn, tmp_path / f"{number}.{kind}", style="paper").read_bytes())
    assert pages[0] == pages[1]


def test_some_networks_only(make_result):
    texts = [text.get_text() for text, _ in written(figure(make_result(), "flow", networks=["cspresnet50"]))]
    assert any("cspresnet50" in text for text in texts)
    assert not any(text.startswith("resnet50") for text in texts)


@pytest.mark.parametrize("name", ["flow", "duplication"])
def test_a_network_alone_looks_as_it_does_beside_others(name, make_result):
    def marks(networks):
        drawn = figure(make_result(), name, networks=networks)
        return {(line.get_color(), line.get_marker()) for line in drawn.findobj(matplotlib.lines.Line2D)}

    second = POSITIONS[1]
    assert (second.colour, second.marker) in marks(["cspresnet50"])
    assert (POSITIONS[0].colour, POSITIONS[0].marker) not in marks(["cspresnet50"])
    assert (second.colour, second.marker) in marks([])


@pytest.mark.parametrize(
    ("words", "options", "told"),
    [
        (("flaw",), {}, r"no figure 'flaw': there is no such figure; available: .*flow.*did you mean flow"),
        (("cost",), {}, r"'cost': this run has no such table; available: duplication, flow"),
        (("exactness",), {}, "that table has no figure"),
        (("flow",), {"style": "papers"}, "did you mean paper"),
        (("flow",), {"columns": 3}, "use 1 or 2"),
        (("flow",), {"networks": ["resnet5O"]}, "did you mean resnet50"),
    ],
)
def test_what_is_not_there_is_told(words, options, told, make_result):
    with pytest.raises(GradlensError, match=told):
        figure(make_result(), *words, **options)


@pytest.mark.parametrize(("name", "told"), [("f.gif", "unknown format gif"), ("f", "no format")])
def test_an_unknown_kind_is_told(name, told, make_result, tmp_path):
    with pytest.raises(GradlensError, match=told):
        save_figure(figure(make_result(), "flow"), tmp_path / name)


def test_an_unwritable_place_is_one_line(make_result, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(GradlensError, match=r"cannot write .*file.*; choose another path"):
        save_figure(figure(make_result(), "flow"), tmp_path / "file" / "f.pdf")
