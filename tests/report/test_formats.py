"""Figures for print: exact width, embedded fonts, complete texts, and errors."""

import re

import matplotlib
import pytest

from gradlens.errors import GradlensError
from gradlens.plots.colours import POSITIONS
from gradlens.report import figure, figures, save_figure
from gradlens.report.drawing import encoded

WIDTHS = [(1, 3.5), (2, 7.16)]


def texts_of(drawn):
    """Return the texts of a drawn figure with their boxes in inches."""
    drawn.canvas.draw()
    visible = [text for text in drawn.findobj(matplotlib.text.Text) if text.get_visible()]
    return [(t, t.get_window_extent().extents / drawn.dpi) for t in visible if t.get_text().strip()]


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
def test_svg_and_png_are_as_wide_as_the_columns(columns, inches, make_result, tmp_path):
    drawn = figure(make_result(), "flow", style="paper", columns=columns)
    svg = save_figure(drawn, tmp_path / "f.svg", style="paper").read_text()
    assert float(re.search(r'<svg[^>]*? width="([\d.]+)pt"', svg)[1]) / 72 == pytest.approx(inches, abs=0.01)
    assert "<text" not in svg  # letters are paths: no font is needed
    png = save_figure(drawn, tmp_path / "f.png", style="paper").read_bytes()
    assert int.from_bytes(png[16:20], "big") / 600 == pytest.approx(inches, abs=0.01)


def test_a_figure_for_the_screen_equals_that_of_the_report(make_result):
    result = make_result()
    assert encoded(figure(result, "flow"), "svg") == encoded(figures(result)["flow"], "svg")


@pytest.mark.parametrize("kind", ["pdf", "svg", "png"])
def test_equal_figures_have_equal_bytes_for_any_style_of_the_user(kind, make_result, tmp_path):
    pages = []
    for number, size in enumerate((5, 30)):
        with matplotlib.rc_context({"font.size": size, "axes.facecolor": "black", "pdf.fonttype": 3}):
            drawn = figure(make_result(), "flow", style="paper", columns=1)
            pages.append(save_figure(drawn, tmp_path / f"{number}.{kind}", style="paper").read_bytes())
    assert pages[0] == pages[1]


def test_only_selected_networks_are_drawn(make_result):
    texts = [text.get_text() for text, _ in texts_of(figure(make_result(), "flow", networks=["cspresnet50"]))]
    assert any("cspresnet50" in text for text in texts)
    assert not any(text.startswith("resnet50") for text in texts)


@pytest.mark.parametrize("name", ["flow", "duplication"])
def test_a_single_network_has_the_style_it_has_next_to_others(name, make_result):
    def marks(networks):
        drawn = figure(make_result(), name, networks=networks)
        return {(line.get_color(), line.get_marker()) for line in drawn.findobj(matplotlib.lines.Line2D)}

    second = POSITIONS[1]
    assert (second.colour, second.marker) in marks(["cspresnet50"])
    assert (POSITIONS[0].colour, POSITIONS[0].marker) not in marks(["cspresnet50"])
    assert (second.colour, second.marker) in marks([])


@pytest.mark.parametrize(
    ("words", "options", "message"),
    [
        (("flaw",), {}, r"there is no figure 'flaw'; this run has figures of .*flow.*did you mean flow"),
        (("cost",), {}, r"this run has no table 'cost'; this run has figures of duplication, flow"),
        (("exactness",), {}, "table 'exactness' has no figure"),
        (("flow",), {"style": "papers"}, "did you mean paper"),
        (("flow",), {"columns": 3}, "use 1 or 2"),
        (("flow",), {"networks": ["resnet5O"]}, "did you mean resnet50"),
    ],
)
def test_unknown_figures_and_options_are_errors(words, options, message, make_result):
    with pytest.raises(GradlensError, match=message):
        figure(make_result(), *words, **options)


@pytest.mark.parametrize(("name", "message"), [("f.gif", "unknown format gif"), ("f", "no format")])
def test_an_unknown_file_format_is_an_error(name, message, make_result, tmp_path):
    with pytest.raises(GradlensError, match=message):
        save_figure(figure(make_result(), "flow"), tmp_path / name)


def test_the_error_for_a_file_that_cannot_be_written_is_one_line(make_result, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(GradlensError, match=r"cannot write .*file.*; choose another path"):
        save_figure(figure(make_result(), "flow"), tmp_path / "file" / "f.pdf")
