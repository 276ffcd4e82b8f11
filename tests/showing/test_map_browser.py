"""The controls of the network map in Chromium, on small networks whose skips and blocks are known."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from showing.browser import browser, opened
from torch import nn

import gradlens as gl
from gradlens.analyzers.branches import Shares
from gradlens.analyzers.map import MapEdges, MapNodes
from gradlens.catalogue import quantity
from gradlens.numbers import format_cell
from gradlens.showing import NetworkMap

pytestmark = pytest.mark.slow
CHANNELS = 4


class Pair(nn.Module):
    """Two convolutions, and a way around them: ``form`` names it."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.form = form
        self.first, self.second = (nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1) for _ in range(2))
        self.aside = nn.Conv2d(CHANNELS, CHANNELS, 1) if form == "projected" else None
        self.after = nn.Conv2d(2 * CHANNELS, CHANNELS, 1) if form == "mixed" else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.second(self.first(x).relu())
        if self.aside is not None:
            return (self.aside(x) + inner).relu()
        if self.after is not None:
            return self.after(torch.cat([x, inner], 1))
        if self.form == "halves":
            return self._halves(x)
        if self.form == "before":
            return x + self.second(self.first(x.relu()).relu())
        return {"identity": (x + inner).relu(), "gated": x * inner.sigmoid(), "plain": inner.relu()}[
            self.form
        ]

    def _halves(self, x: torch.Tensor) -> torch.Tensor:
        """Two additions, as in a transformer's block."""
        x = x + self.first(x).relu()
        return x + self.second(x).relu()


FORMS = {"identity": 1, "before": 1, "halves": 2, "projected": 0, "mixed": 0, "gated": 0, "plain": 0}
"""Additions without a weighted layer between the input and the output of a block, by its form."""


class Net(nn.Module):
    """A stem, stages of blocks at output strides 2, 4, ..., and a head."""

    def __init__(self, *stages: list[str], wide: bool = True) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, CHANNELS, 3, stride=2, padding=1)
        self.stages = nn.ModuleList(nn.ModuleList(Pair(form) for form in forms) for forms in stages)
        self.down = nn.ModuleDict(
            {f"to{4 * 2**i}": nn.Conv2d(CHANNELS, CHANNELS, 2, stride=2) for i in range(len(stages) - 1)}
        )
        self.aside = nn.Conv2d(CHANNELS, CHANNELS, 1) if wide else None
        self.head = nn.Linear(CHANNELS, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x).relu()
        for i, stage in enumerate(self.stages):
            if i:
                x = self.down[f"to{2 * 2**i}"](x)
            for block in stage:
                x = block(x)
        if self.aside is not None:
            x = self.aside(x)
        return self.head(x.mean((2, 3)))


class Returning(Net):
    """It returns to the stage of the first blocks, as a decoder does."""

    def __init__(self) -> None:
        super().__init__(["identity"], ["plain"], wide=False)
        self.up, self.last = nn.ConvTranspose2d(CHANNELS, CHANNELS, 2, stride=2), Pair("identity")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stages[0][0](self.stem(x).relu())
        deep = self.stages[1][0](self.down["to4"](x).relu())
        return self.head(self.last(x + self.up(deep)).mean((2, 3)))


NETWORKS = {
    "forms": lambda: Net(list(FORMS)),
    "A": lambda: Net(["identity"] * 2, ["identity"] * 3),
    "B": lambda: Net(["identity"] * 2, ["plain"] * 2, ["plain"], wide=False),
    "U": Returning,
}


def recorded(name: str) -> gl.Recording:
    torch.manual_seed(0)
    batches = [(torch.randn(16, 3, 32, 32), torch.randint(0, 10, (16,)))]
    return gl.capture(NETWORKS[name](), batches, costs=True)


@pytest.fixture(scope="module")
def tables() -> dict[str, gl.Table]:
    """The tables of the map of three networks."""
    parts: dict[str, list[pd.DataFrame]] = {}
    for name in NETWORKS:
        recording = recorded(name)
        for analyzer in (MapNodes(), MapEdges(), Shares()):
            table = analyzer(recording)
            parts.setdefault(table.name, []).append(table.frame.assign(network=name))
    return {name: gl.Table(name, pd.concat(frames), "") for name, frames in parts.items()}


def only(tables: dict[str, gl.Table], *names: str) -> dict[str, gl.Table]:
    return {
        key: gl.Table(key, table.frame[table.frame["network"].isin(names)].reset_index(drop=True), "")
        for key, table in tables.items()
    }


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as instance:
        yield instance


@pytest.fixture(scope="module")
def paths(tables: dict[str, gl.Table], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pages of the map by the networks that they show."""
    folder = tmp_path_factory.mktemp("maps")
    pages = {"forms": only(tables, "forms"), "AB": only(tables, "A", "B"), "all": tables}
    return {name: NetworkMap(content).save(folder / f"{name}.html") for name, content in pages.items()}


def boxes(page: Any) -> dict[str, list[str]]:
    """Return the lines of text in each box, by its place."""
    lines = "[...one.querySelectorAll('text')].map((text) => text.textContent)"
    script = f"(all) => all.map((one) => [one.dataset.place, {lines}])"
    return dict(page.locator("#map .item").evaluate_all(script))


def status(page: Any) -> str:
    return page.locator("#map [role=status]").inner_text()


def within(page: Any) -> bool:
    """Whether all boxes are in sight in their frame."""
    return page.evaluate(
        """() => {
        const frame = document.querySelector('#map .canvas').getBoundingClientRect();
        return [...document.querySelectorAll('#map .item rect')].every((one) => {
            const box = one.getBoundingClientRect();
            return box.left >= frame.left && box.right <= frame.right &&
                box.top >= frame.top && box.bottom <= frame.bottom;
        });
    }"""
    )


@pytest.mark.parametrize("width", [1400, 800, 400])
def test_the_whole_map_is_in_its_frame_when_the_page_opens(
    chromium: Any, paths: dict[str, Path], width: int
) -> None:
    with opened(chromium, paths["AB"], width=width) as page:
        assert {"2", "4", "8"} <= set(boxes(page))
        assert within(page)
        assert page.locator("#map .strip").is_hidden()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        if width == 400:
            page.get_by_role("button", name="More controls").click()
        page.locator("#map button[data-level=all]").click()
        assert not within(page)
        assert page.locator("#map .strip").is_visible()  # the sign that the map scrolls
        page.locator("#map select[aria-label='Part that fits the frame']").select_option("all")
        assert within(page)
        assert page.locator("#map .strip").is_hidden()


def test_a_stage_can_be_fitted_and_the_strip_moves_the_visible_part(
    chromium: Any, paths: dict[str, Path]
) -> None:
    with opened(chromium, paths["AB"], width=800) as page:
        page.locator("#map button[data-level=all]").click()
        page.locator("#map select[aria-label='Part that fits the frame']").select_option("stage:4")
        frame = page.locator("#map .canvas").bounding_box()
        first = page.locator("#map .item[data-place='down.to4:conv']").first.bounding_box()
        assert frame["x"] <= first["x"] < frame["x"] + frame["width"] / 4
        strip = page.locator("#map .strip")
        before = int(strip.get_attribute("aria-valuenow"))
        strip.focus()
        page.keyboard.press("End")
        last = page.locator("#map .item").last.bounding_box()
        assert last["x"] + last["width"] <= frame["x"] + frame["width"]
        assert int(strip.get_attribute("aria-valuenow")) == 100 > before
        box = strip.bounding_box()
        page.mouse.click(box["x"] + 1, box["y"] + 5)
        assert page.evaluate("document.querySelector('#map .canvas').scrollLeft") == 0
        assert strip.get_attribute("aria-valuenow") == "0"
        window = page.locator("#map .strip .window").bounding_box()
        visible = page.evaluate(
            "(({clientWidth, scrollWidth}) => clientWidth / scrollWidth)(document.querySelector('#map .canvas'))"
        )
        assert window["width"] / box["width"] == pytest.approx(visible, abs=0.02)


def test_a_module_can_be_found_at_every_level(chromium: Any, paths: dict[str, Path]) -> None:
    with opened(chromium, paths["AB"]) as page:
        field = page.get_by_label("Find a module on the map")
        field.fill("STAGES.1.2.second")
        field.press("Enter")
        assert status(page) == "match 1 of 1: stages.1.2.second:conv in A"
        assert page.locator("#map .match").evaluate_all("(all) => all.map((one) => one.dataset.place)") == [
            "stages.1.2.second:conv"
        ]
        assert "A: stages.1.2.second:conv" in page.locator("#map .detail h3").inner_text()
        box, frame = (page.locator(f"#map {one}").bounding_box() for one in (".match", ".canvas"))
        assert frame["x"] <= box["x"] <= frame["x"] + frame["width"] - box["width"]
        field.fill("stages.1.0")
        names = []
        for _ in range(3):
            field.press("Enter")
            names.append(status(page).removesuffix("; Enter: next"))
        turns = [f"match {turn} of 2: stages.1.0 in {network}" for turn, network in ((1, "A"), (2, "B"))]
        assert names == [*turns, turns[0]]
        field.fill("nothing.like.this")
        field.press("Enter")
        assert status(page) == "no match for nothing.like.this"
        assert page.locator("#map .match").count() == 0


def test_skips_inside_closed_blocks_are_drawn_with_their_shares(
    chromium: Any, paths: dict[str, Path], tables: dict[str, gl.Table]
) -> None:
    nodes, edges = (only(tables, "forms")[name].frame for name in ("map_nodes", "map_edges"))
    by_site = nodes.set_index("site")["node"]
    with opened(chromium, paths["forms"]) as page:
        page.locator("#map button[data-level=blocks]").click()
        page.get_by_role("button", name="More controls").click()
        page.locator("#map select[aria-label='Lines of the map']").select_option("0")
        skips = page.locator("#map .link.skip").evaluate_all(
            "(all) => all.map((one) => [one.dataset.from.split('\\u0001')[1].replace('block:', ''), one.textContent])"
        )
        assert [name for name, _ in skips] == [
            f"stages.0.{i}" for i, count in enumerate(FORMS.values()) if count
        ]
        page.locator("#map select[aria-label='Values on lines']").select_option("share")
        values = page.locator("#map text.value").all_text_contents()
        assert values
        titles = dict(skips)
        for i, (form, count) in enumerate(FORMS.items()):
            if not count:
                continue
            adds = [f"stages.0.{i}:add"] if count == 1 else [f"stages.0.{i}:add", f"stages.0.{i}:add#2"]
            shares = []
            for add in adds:
                into = edges[(edges["consumer"] == by_site[add]) & (edges["branch"] == "skip")]
                shares.append(into["share"].item())
            texts = [f"{float(f'{100 * share:.{2 if share < 0.1 else 3}g}'):g} %" for share in shares]
            assert f"; {' and '.join(texts)} of the energy at its fork" in titles[f"stages.0.{i}"], form
            assert " \N{MIDDLE DOT} ".join(texts) in values
        page.locator("#map select[aria-label='Values on lines']").select_option("energy")
        stem = edges[edges["producer"] == by_site["stem:conv"]]["energy"].item()
        energies = page.locator("#map text.value").all_text_contents()
        assert format_cell(stem) in energies
        around = edges[(edges["consumer"] == by_site["stages.0.0:add"]) & (edges["branch"] == "skip")]
        assert format_cell(around["energy"].item()) in energies
        page.locator("#map select[aria-label='Values on lines']").select_option("")
        assert page.locator("#map text.value").count() == 0


def test_boxes_take_the_colour_of_the_share_of_a_loss_and_of_the_conflict_of_two(
    chromium: Any, tmp_path: Path
) -> None:
    """A head has the whole energy of its own loss; the names of stages may be long and do not overlap."""

    class Detector(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, CHANNELS, 3, stride=2, padding=1)
            self.next = nn.Conv2d(CHANNELS, CHANNELS, 3, stride=2, padding=1)
            self.kind, self.box = nn.Linear(CHANNELS, 3), nn.Linear(CHANNELS, 4)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            pooled = self.next(self.stem(x).relu()).mean((2, 3))
            return self.kind(pooled), self.box(pooled)

    def step(model: Detector, batch: tuple[torch.Tensor, torch.Tensor]) -> dict[str, torch.Tensor]:
        kind, box = model(batch[0])
        return {"kind": nn.functional.cross_entropy(kind, batch[1]), "box": box.square().mean()}

    torch.manual_seed(0)
    batches = [(torch.randn(8, 3, 16, 16), torch.arange(8) % 3) for _ in range(2)]
    recording = gl.capture(Detector(), batches, step=step)
    tables = {table.name: table for table in (MapNodes()(recording), MapEdges()(recording)) if table}
    names = {"2": "neck 16 top-down", "4": "neck 16 bottom-up", "head": "head 16 classification"}
    for name in ("stage", "group"):
        tables["map_nodes"].frame[name] = tables["map_nodes"].frame[name].replace(names)
    nodes = tables["map_nodes"].frame.set_index("site")
    with opened(chromium, NetworkMap(tables).save(tmp_path / "map.html")) as page:
        page.locator("#map button[data-level='all']").click()
        menu = page.locator("#map select[aria-label='Colour of the map']")
        menu.select_option(label="Share of the energy: loss kind")
        for place, share in (("kind:linear", 1.0), ("box:linear", 0.0), ("stem:conv2d", None)):
            box = page.locator(f"#map .item[data-place^='{place.partition(':')[0]}']").first
            site = box.get_attribute("data-place")
            value = nodes.loc[site, "share of kind"]
            assert share is None or value == pytest.approx(share)
            assert box.get_attribute("aria-label").endswith(f"loss kind {format_cell(float(value))}")
        menu.select_option(label="Samples in conflict: kind | box")
        stem = page.locator("#map .item[data-place^='stem']").first
        conflict = float(nodes.loc[stem.get_attribute("data-place"), "conflict of kind | box"])
        assert stem.get_attribute("aria-label").endswith(f"kind | box {format_cell(conflict)}")
        bands = page.locator("#map text.band").evaluate_all(
            "(all) => all.map((one) => one.getBoundingClientRect()).map(({left, right}) => [left, right])"
        )
        assert len(bands) == 4
        assert all(first[1] < second[0] for first, second in pairwise(sorted(bands)))


def test_the_menu_of_colours_has_the_words_of_the_tables(
    chromium: Any, paths: dict[str, Path], tables: dict[str, gl.Table]
) -> None:
    with opened(chromium, paths["AB"]) as page:
        menu = page.locator("#map select[aria-label='Colour of the map']")
        words = dict(menu.locator("option").evaluate_all("(all) => all.map((one) => [one.value, one.text])"))
        for column, name in (
            ("alike", "mean_similarity"),
            ("alike_given_loss", "mean_similarity_given_loss"),
            ("flops", "flops"),
        ):
            assert quantity(name).title in words[column]
        assert set(words) <= set(tables["map_nodes"].frame.columns)
        page.locator("#map .item[data-place='4']").first.click()
        described = page.locator("#map .detail dt").all_inner_texts()
        for text in words.values():
            assert text.removeprefix("log10 of the ") in described


def mean(tables: dict[str, gl.Table], network: str, place: str) -> float:
    """Return the mean similarity of the layers in a block or stage."""
    frame = tables["map_nodes"].frame
    rows = frame[(frame["network"] == network) & ((frame["block"] == place) | (frame["stage"] == place))]
    return rows["alike"].mean()


def test_the_difference_map_pairs_stages_and_blocks_and_shows_b_minus_a(
    chromium: Any, paths: dict[str, Path], tables: dict[str, gl.Table]
) -> None:
    """A: 2 blocks, then 3 and a layer; B: 2, then 2, and one at stride 8 that A lacks."""
    with opened(chromium, paths["AB"]) as page:
        page.get_by_label("Networks or their difference").select_option(
            label="difference: B \N{MINUS SIGN} A"
        )
        stages = boxes(page)
        for stage in ("2", "4"):
            change = mean(tables, "B", stage) - mean(tables, "A", stage)
            assert stages[stage] == [f"stage {stage}", format_cell(change, sign=True)]
        assert stages["8"] == ["stage 8", "only B"]
        assert "alone" in page.locator("#map .item[data-place='8']").get_attribute("class")
        text = page.locator("#map .aligned").inner_text()
        assert "stages of the same name (2, 4, head)" in text
        assert "Without partner: stages.1.2 (stage 4, A), aside (stage 4, A), stage 8 (B)." in text
        page.locator("#map button[data-level=blocks]").click()
        blocks = boxes(page)
        for i in range(2):
            change = mean(tables, "B", f"stages.1.{i}") - mean(tables, "A", f"stages.1.{i}")
            assert blocks[f"stages.1.{i} | stages.1.{i}"] == [f"stages.1.{i}", format_cell(change, sign=True)]
        assert blocks["stages.1.2"][1] == blocks["aside:conv"][1] == "only A"
        page.locator("#map select[aria-label='Colour of the map']").select_option("flops")
        assert boxes(page)["stages.1.0 | stages.1.0"][1] == "0"  # log10 of the ratio of equal costs
        page.locator("#map .item[data-place='stages.1.0 | stages.1.0']").click()
        cells = page.locator("#map .detail tbody tr", has_text="Mean similarity, energy").locator("td")
        values = [mean(tables, name, "stages.1.0") for name in ("A", "B")]
        assert cells.all_inner_texts()[1:] == [
            format_cell(value) for value in (*values, values[1] - values[0])
        ]
        page.get_by_label("Networks or their difference").select_option("networks")
        assert page.locator("#map .aligned").is_hidden()


def test_the_difference_of_two_of_three_networks_can_be_asked_for_in_python(
    chromium: Any, tables: dict[str, gl.Table], tmp_path: Path
) -> None:
    view = NetworkMap(tables, difference=("B", "forms"))
    assert repr(view).startswith("NetworkMap(forms minus B: ")
    with opened(chromium, view.save(tmp_path / "map.html")) as page:
        assert page.locator("#map .network").text_content() == "forms \N{MINUS SIGN} B"
        colours = page.locator("#map .item rect").evaluate_all(
            "(all) => all.map((one) => one.getAttribute('fill'))"
        )
        assert "var(--tint)" in colours
        assert any(colour.startswith("rgb") for colour in colours)


def test_a_stage_that_a_network_returns_to_is_compared_as_in_the_tables(
    chromium: Any, tables: dict[str, gl.Table], tmp_path: Path
) -> None:
    assert "2 (2)" in set(only(tables, "U")["map_nodes"].frame["group"])
    view = NetworkMap(only(tables, "A", "U"), difference=True)
    with opened(chromium, view.save(tmp_path / "map.html")) as page:
        page.locator("#map button[data-level=stages]").click()
        change = mean(tables, "U", "2") - mean(tables, "A", "2")
        assert boxes(page)["2"] == ["stage 2", format_cell(change, sign=True)]
        assert "stages of the same name (2, 4, head)" in page.locator("#map .aligned").inner_text()
        page.locator("#map button[data-level=blocks]").click()
        assert boxes(page)["stages.0.0 | stages.0.0"][0] == "stages.0.0"
        assert boxes(page)["stages.0.1"][1] == "only A"
        assert boxes(page)["last.second:conv"][1] == "only U"


def shown(page: Any, detail: dict[str, object]) -> list[str]:
    """Send the event of a link of the page, and return the marked places."""
    page.evaluate("(detail) => document.dispatchEvent(new CustomEvent('gradlens:show', { detail }))", detail)
    return page.locator("#map .match").evaluate_all("(all) => all.map((one) => one.dataset.place)")


def test_links_of_the_page_show_their_layers_on_the_map(
    chromium: Any, paths: dict[str, Path], tables: dict[str, gl.Table]
) -> None:
    pair = ["stages.0.1.second", "stages.1.0.first"]
    with opened(chromium, paths["AB"]) as page:
        page.get_by_label("Networks or their difference").select_option(index=1)
        assert shown(page, {"network": "B", "signals": pair}) == [f"{name}:conv" for name in pair]
        assert page.locator("#map .detail h3").inner_text() == "B: stages.0.1.second:conv"
        assert page.evaluate("document.activeElement.dataset.place") == "stages.0.1.second:conv"
        assert status(page) == "shown: stages.0.1.second, stages.1.0.first in B"
        page.get_by_label("Networks or their difference").select_option(index=1)
        assert (status(page), page.locator("#map .match").count()) == ("", 0)
        assert shown(page, {"network": "B", "signals": pair}) == [f"{name}:conv" for name in pair]
        frame = page.locator("#map .canvas").bounding_box()
        for i in range(2):
            box = page.locator("#map .match").nth(i).bounding_box()
            assert frame["x"] <= box["x"] <= frame["x"] + frame["width"] - box["width"]
        fork = tables["shares"].frame.query("network == 'A' and where == 'fork'")["site"].iloc[-1]
        assert len(shown(page, {"network": "A", "signal": fork})) == 1
        before = boxes(page)
        assert shown(page, {"network": "A", "signals": ["no.such", "<b>x"]}) != []
        assert status(page) == "not on the map: no.such, <b>x"
        for detail, message in (
            ({"network": "C", "signals": pair}, "C is not on the map"),
            ({"network": "A", "signals": []}, "not on the map: no layer was named"),
            ({}, "not on the map: no layer was named"),
        ):
            shown(page, detail)
            assert status(page) == message
        assert boxes(page) == before


def test_keys_on_a_box_open_it_zoom_and_start_a_search(chromium: Any, paths: dict[str, Path]) -> None:
    with opened(chromium, paths["forms"]) as page:
        page.locator("#map button[data-level=stages]").click()
        width = page.locator("#map .canvas svg").bounding_box()["width"]
        page.locator("#map .item[tabindex='0']").focus()
        page.keyboard.press("+")
        assert page.locator("#map .canvas svg").bounding_box()["width"] == pytest.approx(
            1.25 * width, rel=0.01
        )
        page.keyboard.press("0")
        assert within(page)
        count = page.locator("#map .item").count()
        page.keyboard.press("o")
        assert page.locator("#map .item").count() > count
        page.keyboard.press("End")
        assert re.match(r"\(loss\)|loss", page.evaluate("document.activeElement.dataset.place"))
        page.keyboard.press("/")
        assert page.evaluate("document.activeElement.type") == "search"


def test_a_narrow_print_has_the_whole_map_without_controls(chromium: Any, paths: dict[str, Path]) -> None:
    with opened(chromium, paths["forms"], width=700) as page:
        page.locator("#map button[data-level=all]").click()
        page.emulate_media(media="print")
        assert within(page)
        for part in (".tools", ".strip"):
            assert page.locator(f"#map {part}").is_hidden()
