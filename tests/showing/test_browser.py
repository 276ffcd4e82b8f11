"""The page and the map in Chromium: offline, with mouse and keyboard, light and dark, wide and narrow."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from showing.browser import browser, drawn, opened

import gradlens as gl
from gradlens.numbers import format_cell
from gradlens.report import write
from gradlens.results import Result
from gradlens.words.conspicuous import conspicuous, usual

pytestmark = pytest.mark.slow
HOSTILE = "<script>alert(1)</script>"
SMALL: dict[str, Any] = {"image_size": 32, "batch_size": 8, "batches": 2, "seeds": 2}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as instance:
        yield instance


@pytest.fixture(scope="module")
def result() -> Result:
    return gl.compare("resnet18", "resnet18@csp", **{**SMALL, "batches": 1})


@pytest.fixture(scope="module")
def page_path(result: Result, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(result, tmp_path_factory.mktemp("run"))


def cell(page: Any, name: str, across: str, down: str) -> tuple[float, float]:
    """Return the position of a cell of a matrix on the screen."""
    return tuple(
        page.evaluate(
            """([name, across, down]) => {
            const view = gradlens.views.get(name).view;
            const box = view.container().querySelector("canvas").getBoundingClientRect();
            const pad = view.padding(), [left, top] = [view.origin()[0] + pad.left, view.origin()[1] + pad.top];
            const [x, y] = [view.scale("x"), view.scale("y")];
            return [box.left + left + x(across) + x.bandwidth() / 2, box.top + top + y(down) + y.bandwidth() / 2];
        }""",
            [name, across, down],
        )
    )


def tooltip(page: Any, name: str, across: str, down: str) -> str:
    drawn(page, name).locator("canvas").evaluate("(canvas) => canvas.scrollIntoView({block: 'center'})")
    x, y = cell(page, name, across, down)
    page.mouse.move(x - 1, y - 1)
    page.mouse.move(x, y)
    page.wait_for_selector("#vg-tooltip-element.visible")
    return re.sub(r"\s+", " ", page.locator("#vg-tooltip-element").inner_text())


def rows_of(page: Any, name: str) -> list[list[str]]:
    lines = page.locator(f"[data-rows={name}] tbody tr")
    return lines.evaluate_all("(all) => all.map((tr) => [...tr.children].map((td) => td.textContent))")


def open_table(page: Any, name: str) -> Any:
    region = page.locator(f"[data-rows={name}]")
    page.locator("details", has=region).locator("summary").click()
    page.locator("details", has=region).locator("input").wait_for()
    return region


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_opens_offline_in_both_themes(chromium: Any, page_path: Path, theme: str) -> None:
    with opened(chromium, page_path, theme=theme) as page:
        for name in ("duplication", "correlation", "cross", "flow"):
            drawn(page, name)
        paper, ink = page.evaluate(
            "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
        )
        levels = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in (paper, ink)]
        assert (levels[0] > levels[1]) == (theme == "light")
        assert abs(levels[0] - levels[1]) > 500
        button = page.locator("#theme")
        assert button.inner_text() == "Theme: system"
        button.click()
        button.click()
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        drawn(page, "correlation")


def test_the_first_screen_has_the_finding_its_figure_and_where_to_look(
    chromium: Any, page_path: Path, result: Result
) -> None:
    with opened(chromium, page_path, width=1400) as page:
        heading = page.locator("h1")
        assert heading.inner_text().endswith(result.headline)
        assert heading.bounding_box()["height"] <= 2.5 * float(
            heading.evaluate("(h1) => parseFloat(getComputedStyle(h1).lineHeight)")
        )
        page.locator("text=The finding in numbers").click()
        assert page.locator(".lead").inner_text() == result.details
        drawn(page, "duplication")
        page.evaluate("scrollTo(0, 0)")
        for part in ("[data-chart=duplication]", ".essentials", "#where-to-look", ".looking li"):
            box = page.locator(part).first.bounding_box()
            assert box["y"] + box["height"] <= 900, part
        text = page.locator("main").inner_text()
        assert f"gradlens figure {page_path.parent.name} duplication" in text
        assert f'gradlens.load("{page_path.parent.name}").map()' in text


def test_the_tooltip_of_a_cell_has_both_layers_the_value_and_its_half_width(
    chromium: Any, page_path: Path, result: Result
) -> None:
    frame = result["correlation"].frame
    row = frame[frame["network"] == "resnet18"].dropna(subset=["energy"]).iloc[40]
    with opened(chromium, page_path) as page:
        text = tooltip(page, "correlation", row["signal_b"], row["signal_a"])
        assert row["signal_a"] in text
        assert row["signal_b"] in text
        assert f"{row['energy']:.3f}" in text.replace("\N{MINUS SIGN}", "-")
        assert f"± {row['energy_reach']:.3f}" in text
        transposed = tooltip(page, "correlation", row["signal_a"], row["signal_b"])
        assert f"{row['energy']:.3f}" in transposed.replace("\N{MINUS SIGN}", "-")


def test_network_version_and_stage_can_be_selected(chromium: Any, page_path: Path, result: Result) -> None:
    frame = result["correlation"].frame
    rows = frame[(frame["network"] == "resnet18@csp") & (frame["stage_a"] == frame["stage_b"])]
    row = rows[rows["stage_a"] == "16"].dropna(subset=["direction_given_loss"]).iloc[0]
    with opened(chromium, page_path) as page:
        figure = drawn(page, "correlation")
        for name, value in (
            ("network", "resnet18@csp"),
            ("version", "direction_given_loss"),
            ("stage", "16"),
        ):
            figure.locator(f"select[name={name}]").select_option(value)
        page.wait_for_timeout(200)
        names = page.evaluate("gradlens.views.get('correlation').view.scale('x').domain()")
        assert set(names) == set(
            rows.loc[rows["stage_a"] == "16", ["signal_a", "signal_b"]].to_numpy().ravel()
        )
        text = tooltip(page, "correlation", row["signal_b"], row["signal_a"])
        assert f"{row['direction_given_loss']:.3f}" in text.replace("\N{MINUS SIGN}", "-")


def test_the_space_can_be_selected_if_a_run_has_both(chromium: Any, tmp_path: Path) -> None:
    result = gl.inspect("resnet18", space="both", **{**SMALL, "batches": 1, "seeds": 1})
    with opened(chromium, write(result, tmp_path / "run")) as page:
        for space, name in (("weights", "correlation_weights"), ("activations", "correlation")):
            row = result[name].frame.dropna(subset=["energy"]).iloc[30]
            drawn(page, "correlation").locator("select[name=space]").select_option(space)
            page.wait_for_timeout(200)
            text = tooltip(page, "correlation", row["signal_b"], row["signal_a"])
            assert f"{row['energy']:.3f}" in text.replace("\N{MINUS SIGN}", "-")
        page.locator("#map select[aria-label='Colour of the map']").select_option("weights_alike")
        page.locator("#map button[data-level=all]").click()
        similarity = result["map_nodes_weights"].frame.set_index("signal").loc["layer3.0.conv1", "alike"]
        item = page.locator("#map .item[data-place='layer3.0.conv1:conv']")
        assert item.get_attribute("aria-label").endswith(f"gradients of weights {format_cell(similarity)}")


def test_scripts_format_all_tables_as_python_does(chromium: Any, page_path: Path) -> None:
    plain = chromium.new_context(java_script_enabled=False).new_page()
    plain.goto(page_path.as_uri())
    with opened(chromium, page_path) as page:
        names = page.locator("[data-rows]").evaluate_all(
            "(all) => all.map((element) => element.dataset.rows)"
        )
        assert len(names) > 12
        for name in names:
            open_table(page, name)
            fixed = rows_of(plain, name)
            assert rows_of(page, name)[: len(fixed)] == fixed, name


def test_tables_can_be_sorted_and_filtered(chromium: Any, page_path: Path, result: Result) -> None:
    frame = result["flow"].frame
    index = list(frame.columns).index("rms")
    with opened(chromium, page_path) as page:
        region = open_table(page, "flow")
        heading = region.locator("th").nth(index)
        for descending in (True, False):
            heading.locator("button").click()
            values = frame["rms"].sort_values(ascending=not descending)
            assert [row[index] for row in rows_of(page, "flow")] == [format_cell(value) for value in values]
            assert heading.get_attribute("aria-sort") == ("descending" if descending else "ascending")
        field = page.locator("details", has=region).locator("input")
        field.fill("stage=16 depth>12 resnet18@csp")
        kept = frame[
            (frame["stage"] == "16") & (frame["depth"] > 12) & frame["network"].str.contains("resnet18@csp")
        ]
        assert 0 < len(kept) < len(frame)
        assert len(rows_of(page, "flow")) == len(kept)
        for text in ("effective rank > 5", "effective_rank>5", "Effective Rank>=5.0001"):
            field.fill(text)
            assert len(rows_of(page, "flow")) == (frame["effective_rank"] > 5).sum()
        for text, message in (
            ("nosuch>1", "no column for nosuch>1"),
            ("rms>", "no value after rms>"),
            ("rms>x", "x is not a number"),
        ):
            field.fill(text)
            assert message in page.locator("details", has=region).locator("[role=status]").inner_text()
            assert len(rows_of(page, "flow")) == len(frame)
        field.fill("nothing like this")
        assert rows_of(page, "flow") == []
        assert "0 of 0 rows" in page.locator("details", has=region).locator("[role=status]").inner_text()


def test_the_overview_can_be_sorted_and_filtered(chromium: Any, page_path: Path) -> None:
    with opened(chromium, page_path) as page:
        whole = page.locator("#overview ~ .main table")
        first = whole.locator("tbody tr th").first.inner_text()
        whole.locator("thead button").first.click()
        names = whole.locator("tbody tr th").all_inner_texts()
        assert names == sorted(names, key=str.lower)
        assert names[0] != first
        page.locator("input[aria-label='Filter the overview']").fill("flops")
        visible = [name for name in names if whole.locator("tr", has_text=name).first.is_visible()]
        assert visible == ["FLOPs per image"]


def test_a_click_on_the_map_shows_the_numbers_of_the_tables(
    chromium: Any, page_path: Path, result: Result
) -> None:
    nodes = result["map_nodes"].frame
    with opened(chromium, page_path) as page:
        page.locator("#map button[data-level=all]").click()
        layer = nodes[(nodes["network"] == "resnet18") & (nodes["signal"] == "layer3.0.conv1")].iloc[0]
        page.locator(f'#map .item[data-place="{layer["site"]}"]').first.click()
        text = page.locator("#map .detail").inner_text()
        assert "resnet18: layer3.0.conv1:conv" in text
        assert f"Mean similarity, energy (CKA with its stage)\n{format_cell(layer['alike'])}" in text
        assert f"effective rank\n{format_cell(layer['effective_rank'])}" in text
        assert f"FLOPs per image\n{format_cell(layer['flops'], 'flops')}" in text
        fork = nodes[(nodes["network"] == "resnet18") & (nodes["fork"] != "")].iloc[0]
        page.locator(f'#map .item[data-place="{fork["site"]}"]').first.click()
        shares = result["shares"].frame
        row = shares[(shares["network"] == "resnet18") & (shares["site"] == fork["fork"])].iloc[0]
        assert format_cell(row["share"]) in page.locator("#map .detail table").first.inner_text()


def panel(page: Any) -> tuple[str, list[str]]:
    """Return the heading of the panel of the map and the texts of its buttons."""
    return page.locator("#map .detail h3").inner_text(), page.locator("#map .detail button").all_inner_texts()


def test_stages_and_blocks_can_be_opened_and_closed_by_keyboard(
    chromium: Any, page_path: Path, result: Result
) -> None:
    nodes = result["map_nodes"].frame.query("network == 'resnet18' and group == '4' and signal != ''")
    stage = f"resnet18: stage 4: {len(nodes)} weighted layers"
    with opened(chromium, page_path) as page:
        page.locator("#map button[data-level=stages]").click()
        closed = page.locator("#map .item").count()
        groups = result["map_nodes"].frame.groupby("network")["group"].nunique()
        assert closed == groups.sum()
        assert page.locator("#map .item[tabindex='0']").count() == 1  # the Tab key stops once at the map
        page.locator("#map .item[tabindex='0']").focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        assert panel(page) == (stage, ["Open"])
        page.locator("#map .detail button", has_text="Open").focus()
        page.keyboard.press("Enter")
        assert page.locator("#map .item").count() > closed
        assert panel(page)[1] == ["Close stage 4"]
        assert page.locator("#map .item.chosen").count() > 1
        assert page.evaluate("document.activeElement.textContent") == "Close stage 4"
        page.locator("#map .item.block").first.click()
        assert panel(page)[1] == ["Open", "Close stage 4"]
        page.locator("#map .detail button", has_text="Close stage").click()
        assert page.locator("#map .item").count() == closed
        assert panel(page) == (stage, ["Open"])


def test_the_panel_of_a_stage_shows_the_values_of_the_tables(
    chromium: Any, page_path: Path, result: Result
) -> None:
    cost = result["cost"].frame.set_index(["network", "stage"])
    with opened(chromium, page_path) as page:
        page.locator("#map button[data-level=stages]").click()
        assert page.locator("#map button[data-level=stages]").get_attribute("aria-pressed") == "true"
        for network, index in (("resnet18", 0), ("resnet18@csp", 1)):
            for stage in ("2", "8", "32"):
                page.locator(f"#map .item[data-place='{stage}']").nth(index).click()
                text = page.locator("#map .detail").inner_text()
                assert text.startswith(f"{network}: stage {stage}")
                assert f"stage\n{stage}\n" in text
                flops = format_cell(cost.loc[(network, stage), "flops"], "flops")
                assert f"FLOPs per image\n{flops}" in text


def test_colours_do_not_change_if_a_stage_is_opened(chromium: Any, page_path: Path) -> None:
    with opened(chromium, page_path) as page:
        for column in ("alike", "rms", "flops"):
            page.locator("#map select[aria-label='Colour of the map']").select_option(column)
            page.locator("#map button[data-level=stages]").click()
            before = page.locator("#map .item[data-place='32'] rect").first.get_attribute("fill")
            legend = page.locator("#map .legend").inner_text()
            page.locator("#map .item[data-place='8']").first.dblclick()
            assert page.locator("#map .item[data-place='32'] rect").first.get_attribute("fill") == before
            assert page.locator("#map .legend").inner_text() == legend
            if column == "alike":
                assert legend.startswith("0 ")


def test_the_difference_of_two_networks_is_that_of_the_tables(
    chromium: Any, page_path: Path, result: Result
) -> None:
    table = result["comparison"].frame.set_index("stage")["mean_similarity_difference"]
    with opened(chromium, page_path) as page:
        page.get_by_label("Networks or their difference").select_option(index=1)
        for stage in ("4", "8", "16", "32"):
            box = page.locator(f"#map .item[data-place='{stage}'] text")
            assert box.all_text_contents()[1] == format_cell(table[stage], sign=True)


def test_weak_lines_can_be_hidden(chromium: Any, page_path: Path, result: Result) -> None:
    edges = result["map_edges"].frame
    shares = edges["share"].fillna(1).groupby([edges[c] for c in ("network", "consumer", "producer")]).max()
    with opened(chromium, page_path) as page:
        page.locator("#map button[data-level=all]").click()
        page.get_by_role("button", name="More controls").click()
        for least in ("0", "0.05", "0.2"):
            page.locator("#map select[aria-label='Lines of the map']").select_option(least)
            assert page.locator("#map .link").count() == (shares >= float(least)).sum()


def test_figures_have_accessible_names(chromium: Any, page_path: Path) -> None:
    with opened(chromium, page_path) as page:
        for name in ("duplication", "correlation", "flow"):
            drawn(page, name)
            label = page.locator(f"[data-chart={name}] [aria-label]").first.get_attribute("aria-label")
            assert "The table below contains all values." in label


def test_line_widths_follow_the_energy_and_stages_are_aligned(
    chromium: Any, page_path: Path, result: Result
) -> None:
    with opened(chromium, page_path) as page:
        page.locator("#map button[data-level=all]").click()
        page.get_by_role("button", name="More controls").click()
        page.locator("#map select[aria-label='Lines of the map']").select_option("0")
        links = page.locator("#map .link").evaluate_all(
            "(all) => all.map((one) => [Number(one.getAttribute('stroke-width')), one.textContent])"
        )
        edges = result["map_edges"].frame
        assert len(links) == len(edges.drop_duplicates(["network", "consumer", "producer"]))
        energies = edges.groupby(["network", "consumer", "producer"])["energy"].sum().sort_values()
        widths = np.sort([width for width, _ in links])
        expected = 0.6 + 8 * (energies / energies.max()).to_numpy() ** 0.25
        assert np.allclose(widths, expected, atol=0.01)
        page.locator("#map button[data-level=stages]").click()
        lefts = page.locator("#map .item.stage").evaluate_all(
            """(all) => all.map((item) => [item.dataset.place, Number(item.querySelector('rect').getAttribute('x'))])"""
        )
        positions = pd.DataFrame(lefts, columns=["stage", "x"]).groupby("stage")["x"]
        assert (positions.size() == 2).all()
        assert (positions.max() - positions.min() < 0.5).all()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_is_usable_at_400_pixels(chromium: Any, page_path: Path, theme: str) -> None:
    with opened(chromium, page_path, width=400, theme=theme) as page:
        for name in ("duplication", "correlation", "flow"):
            figure = drawn(page, name)
            assert figure.bounding_box()["width"] <= 400
        open_table(page, "flow")
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        page.locator("#map .item").first.click()
        assert page.locator("#map .detail h3").bounding_box()["width"] <= 400


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_print_shows_the_static_figures_on_white(chromium: Any, page_path: Path, theme: str) -> None:
    with opened(chromium, page_path, theme=theme) as page:
        drawn(page, "correlation")
        picture = page.locator("[data-chart=correlation] + .picture")
        assert not picture.is_visible()
        page.emulate_media(media="print", color_scheme=theme)
        assert picture.is_visible()
        assert not page.locator("[data-chart=correlation]").is_visible()
        assert not page.locator("#theme").is_visible()
        colours = page.evaluate(
            "(() => { const style = getComputedStyle(document.body); return [style.backgroundColor, style.color]; })()"
        )
        assert colours == ["rgb(255, 255, 255)", "rgb(0, 0, 0)"]


def test_the_map_can_be_saved_as_a_page(chromium: Any, result: Result, tmp_path: Path) -> None:
    path = result.map().save(tmp_path / "map.html")
    with opened(chromium, path) as page:
        page.locator("#map .item").first.click()
        assert page.locator("#map .detail dl").is_visible()
    assert result.map()._repr_html_().startswith("<iframe ")


def test_a_place_to_look_at_asks_the_map_to_show_it(chromium: Any, page_path: Path, result: Result) -> None:
    first = conspicuous(result, usual(result))[0]
    with opened(chromium, page_path) as page:
        page.evaluate(
            "document.addEventListener('gradlens:show', (event) => { window.asked = event.detail; })"
        )
        page.locator(".looking a").first.click()
        asked = page.evaluate("window.asked")
        assert (asked["network"], asked["signals"]) == (first.network, list(first.names))
        assert abs(page.locator("#network-map").bounding_box()["y"]) < 120


def test_the_contents_are_a_column_or_a_menu(chromium: Any, page_path: Path) -> None:
    with opened(chromium, page_path, width=1400) as page:
        assert page.locator(".side a[href='#glossary']").is_visible()
        assert not page.locator(".contents > summary").is_visible()
        assert not page.locator(".side a[href='#cost']").is_visible()
        page.locator(".group > summary").click()
        page.locator(".side a[href='#cost']").click()
        page.wait_for_selector(".side a[href='#cost'][aria-current]")
        assert page.locator(".side [aria-current]").count() == 1
    with opened(chromium, page_path, width=400) as page:
        link = page.locator(".side a[href='#cost']")
        assert not link.is_visible()
        page.locator(".contents > summary").click()
        page.locator(".group > summary").click()
        link.click()
        assert not link.is_visible()
        assert 0 <= page.locator("#cost").bounding_box()["y"] < 200
        page.locator(".contents > summary").click()
        page.keyboard.press("Escape")
        assert not link.is_visible()


def test_the_contents_open_the_figures_when_one_of_them_is_on_the_screen(
    chromium: Any, page_path: Path
) -> None:
    with opened(chromium, page_path, width=1400) as page:
        page.locator("#cost").scroll_into_view_if_needed()
        page.evaluate("document.getElementById('cost').scrollIntoView()")
        page.wait_for_selector(".side a[href='#cost'][aria-current]")
        assert page.locator(".side a[href='#cost']").is_visible()


def test_figures_and_commands_can_be_copied_or_saved(chromium: Any, page_path: Path, result: Result) -> None:
    with opened(chromium, page_path, theme="dark") as page:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])

        def copied(label: str) -> str:
            button = page.locator(f"button[aria-label='{label}']")
            button.click()
            page.wait_for_function("(one) => one.dataset.done", arg=button.element_handle())
            assert button.get_attribute("data-done") == "copied"
            return str(page.evaluate("navigator.clipboard.readText()"))

        labels = page.locator(".copies button, .command button").evaluate_all(
            "(all) => all.map((one) => one.getAttribute('aria-label'))"
        )
        figures = page.locator("[data-figure]").count()
        assert (
            len(set(labels)) == len(labels) == 4 * figures + 1
        )  # three copies and a command each, and the map's
        select = drawn(page, "flow").locator("select[name=quantity]")
        first = copied("Copy Gradient flow over depth as SVG")
        select.select_option("effective_rank")
        interactive, still = (
            copied(f"Copy {title} as SVG") for title in ("Gradient flow over depth", "Cost by stage")
        )
        assert interactive != first
        for svg, ink in ((interactive, "#1d2126"), (still, "fill: #ffffff")):
            assert re.match(r"(<\?xml[^>]*>\s*(<!DOCTYPE[^>]*>\s*)?)?<svg ", svg)
            assert ink in svg
        lines = copied("Copy the data of Cost by stage").splitlines()
        frame = result["cost"].frame
        assert lines[0].split("\t") == list(frame.columns)
        assert len(lines) == 1 + len(frame)
        command = f"gradlens figure {page_path.parent.name} cost"
        assert copied(f"Copy {command}") == command
        page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
        with page.expect_download() as saved:
            page.locator("button[aria-label='Copy Cost by stage as PNG']").click()
        assert saved.value.suggested_filename == "cost.png"
        with Image.open(saved.value.path()) as image:
            assert image.size[0] > 900
            assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_still_figures_have_the_colours_of_the_page_on_the_screen_only(
    chromium: Any, page_path: Path
) -> None:
    with opened(chromium, page_path) as page:
        light, dark = page.locator("#cost ~ figure img:not(.dark)"), page.locator("#cost ~ figure img.dark")
        assert (light.is_visible(), dark.count()) == (True, 0)
        for _ in range(2):
            page.locator("#theme").click()
        assert (light.is_visible(), dark.is_visible()) == (False, True)
        assert "%2315181c" in dark.get_attribute("src")
        page.emulate_media(media="print")
        assert (light.is_visible(), dark.is_visible()) == (True, False)


def test_what_scrolls_sideways_says_so(chromium: Any, page_path: Path) -> None:
    with opened(chromium, page_path, width=400) as page:
        region = page.locator("#shares ~ figure .picture")
        region.scroll_into_view_if_needed()
        page.wait_for_selector("#shares ~ figure .picture[data-more=right]")
        assert page.locator("#shares ~ figure .hint").is_visible()
        region.evaluate("(one) => { one.scrollLeft = 1e6; }")
        page.wait_for_selector("#shares ~ figure .picture[data-more=left]")
    with opened(chromium, page_path, width=1400) as page:
        assert not page.locator("#shares ~ figure .hint").is_visible()


def test_hostile_names_are_displayed_as_text(
    chromium: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module, a class of images and their folder have the name of a script."""
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "def make(num_classes=2):\n"
        "    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())\n"
        f"    net.add_module({HOSTILE!r}, nn.Conv2d(4, 4, 3, padding=1, stride=2))\n"
        "    for name, layer in (('a', nn.Flatten()), ('b', nn.LazyLinear(num_classes))):\n"
        "        net.add_module(name, layer)\n"
        "    import torch\n"
        "    net(torch.zeros(1, 3, 16, 16))\n"
        "    return net\n"
    )
    rng = np.random.default_rng(0)
    for label in ("one", "<b>two<"):
        folder = tmp_path / HOSTILE / label
        folder.mkdir(parents=True)
        for number in range(8):
            Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    result = gl.inspect("net.py:make", data=HOSTILE, image_size=16, batch_size=8, batches=2, seeds=2)
    with opened(chromium, write(result, tmp_path / "run")) as page:
        assert HOSTILE in page.locator("main").inner_text()
        text = tooltip(page, "correlation", HOSTILE, "0")
        assert HOSTILE in text
        page.locator("#map button[data-level=all]").click()
        page.locator("#map .item", has_text="script").first.click()
        assert HOSTILE in page.locator("#map .detail h3").inner_text()
        for name in ("correlation", "flow", "map_nodes"):
            open_table(page, name)
        assert any(HOSTILE in " ".join(row) for row in rows_of(page, "flow"))
        assert page.evaluate("document.querySelectorAll('main script:not([type])').length") == 0
