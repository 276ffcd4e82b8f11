"""The pages are correct and complete: links, pictures, options, names, sections for all parts."""

from __future__ import annotations

import doctest
import importlib
import re
import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml
from pages import PAGES, ROOT, anchor, blocks, code_spans, headings, links, prose
from PIL import Image

import gradlens as gl
from benchmarks import gallery
from gradlens.catalogue import QUANTITIES
from gradlens.plots import PLOTS
from gradlens_cli.app import gradlens

DOCS = ROOT / "docs"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
NOT_RUN = {"install.md": 1}
"""The number of blocks that no test runs, by page; each has a comment with the reason."""
OTHER_OPTIONS = {
    "--memory": "benchmarks/overhead.py",
    "--allocator": "benchmarks/overhead.py",
    "--measure": "benchmarks/performance.py",
    "--rounds": "benchmarks/strategies.py",
}
"""Options in the pages that belong to a benchmark, and its file."""
LARGEST, SCREEN = 60_000, 120_000  # bytes of a picture, and of one of a whole screen


def each_page() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def commands(group: click.Command = gradlens) -> Iterator[click.Command]:
    yield group
    for command in getattr(group, "commands", {}).values():
        yield from commands(command)


def options() -> set[str]:
    names = {
        name
        for command in commands()
        for option in command.params
        for name in (*option.opts, *option.secondary_opts)
    }
    return names | {"--help", "-h"}


def test_the_worked_examples_of_the_metrics_run() -> None:
    results = doctest.testfile(str(DOCS / "metrics.md"), module_relative=False)
    assert results.attempted > 30
    assert results.failed == 0


@each_page()
def test_every_link_has_a_target(page: Path) -> None:
    for target in links(page):
        if re.match(r"https?://", target):
            continue
        file, _, fragment = target.partition("#")
        linked = page.parent / file if file else page
        assert linked.exists(), f"{page.name} links to {target}, which does not exist"
        assert not fragment or fragment in map(anchor, headings(linked)), f"{page.name}: no heading {target}"


def test_every_picture_is_used_and_small() -> None:
    used = {(page.parent / target).resolve() for page in PAGES for target in links(page)}
    pictures = sorted((DOCS / "images").rglob("*.*"))
    assert pictures
    for picture in pictures:
        assert picture.resolve() in used, f"no page shows {picture.relative_to(DOCS)}"
        most = SCREEN if picture.stem == "page-first-screen" else LARGEST
        assert picture.stat().st_size < most, f"{picture.name} has {picture.stat().st_size} bytes"


def test_the_picture_of_the_first_screen_has_the_size_of_a_screen() -> None:
    with Image.open(DOCS / "images" / "page-first-screen.png") as picture:
        assert picture.size == (1400, 900)


@each_page()
def test_every_option_in_the_text_exists(page: Path) -> None:
    words = (word for span in code_spans(page) for word in span.split())
    unknown = {word.split("=")[0].rstrip(",.;") for word in words if word.startswith("--")} - options()
    for name in unknown & set(OTHER_OPTIONS):
        assert f'"{name}"' in (ROOT / OTHER_OPTIONS[name]).read_text("utf-8")
    assert unknown <= set(OTHER_OPTIONS), f"{page.name} mentions options that do not exist"


@each_page()
def test_every_command_in_the_text_parses(page: Path) -> None:
    """Commands in the prose are not run, but click must accept them."""
    for span in code_spans(page):
        words = [word for word in shlex.split(span) if word not in ("…", "...")]
        if words[0] != "gradlens" or len(words) < 2 or words[1].startswith("-"):
            continue
        assert words[1] in gradlens.commands, f"{page.name}: no command {span!r}"
        if len(words) > 2:
            parent = click.Context(gradlens, info_name="gradlens", **gradlens.context_settings)
            gradlens.commands[words[1]].make_context(words[1], words[2:], parent=parent)


@each_page()
def test_every_dotted_name_of_the_package_exists(page: Path) -> None:
    for span in code_spans(page):
        name = re.fullmatch(r"(?:gl|gradlens)((?:\.\w+)+)(?:\(.*\))?", span)
        if name is None or span.endswith(".yml"):
            continue
        value, path = gl, "gradlens"
        for part in name[1].strip(".").split("."):
            path += f".{part}"
            value = getattr(value, part, None) or importlib.import_module(path)


def test_few_blocks_are_not_run_and_each_has_a_reason() -> None:
    marked = [block for page in PAGES for block in blocks(page) if block.mark == "not run"]
    assert all(len(block.comment) > 20 for block in marked)
    assert Counter(block.page.name for block in marked) == NOT_RUN


def test_every_block_has_a_language() -> None:
    known = {"bash", "python", "text", "{toctree}", "{eval-rst}"}
    assert {block.language for page in PAGES for block in blocks(page)} <= known


def test_the_readme_has_the_two_commands_of_ci() -> None:
    marked = [block.comment for block in blocks(ROOT / "README.md") if block.mark == "ci"]
    assert marked == ["run", "test"]


def rows_for_contributors() -> list[str]:
    return [line for line in CONTRIBUTING.read_text("utf-8").splitlines() if line.startswith("| ")][2:]


def paths_in(text: str) -> list[str]:
    """Return the files and folders of the project that a text names."""
    return re.findall(r"(?:gradlens|cli|docs|tests|notebooks|benchmarks)/[\w./]*\w/?", text)


@pytest.mark.parametrize("page", [CONTRIBUTING, DOCS / "extend.md"], ids=lambda page: page.name)
def test_every_path_for_contributors_exists(page: Path) -> None:
    paths = paths_in(prose(page))
    assert len(paths) > 10
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("row", rows_for_contributors(), ids=lambda row: row.split("|")[1].strip())
def test_every_registry_for_contributors_is_in_a_file_of_its_row(row: str) -> None:
    files = [ROOT / path for path in paths_in(row) if path.endswith(".py")]
    for registry in re.findall(r"`([A-Z][A-Z_]+)`", row):
        pattern = rf"^{registry}\b.* = "
        assert any(re.search(pattern, file.read_text("utf-8"), re.M) for file in files), registry


def test_the_citation_has_this_version() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(cited)  # what the format requires
    assert (str(cited["version"]), cited["license"]) == (gl.__version__, "MIT")
    for work in (cited, *cited["references"]):
        assert all({"name"} <= set(author) or {"family-names"} <= set(author) for author in work["authors"])


@pytest.mark.parametrize("name", PLOTS)
def test_every_plot_is_in_the_gallery(name: str) -> None:
    """Its section has the picture, what it shows, what not to conclude, and the command that makes it."""
    sections = re.split(r"^## ", (DOCS / "gallery.md").read_text("utf-8"), flags=re.M)
    (section,) = [text for text in sections if text.splitlines()[0].endswith(f": `{name}`")]
    assert f"(images/gallery/{name}.png)" in section
    assert "**Seen:**" in section or name == "throughput"
    assert "**Do not conclude**" in " ".join(section.split())
    assert name in gallery.pictures()


def test_the_gallery_shows_the_commands_that_are_run() -> None:
    (block,) = [block for block in blocks(DOCS / "gallery.md") if block.language == "bash"]
    assert block.text.splitlines() == list(gallery.RUNS.values())
    assert set(gallery.pictures()) == set(PLOTS)


def test_every_number_of_the_terminal_is_explained() -> None:
    explained = set(code_spans(DOCS / "numbers.md"))
    heads = {quantity.heading(column.screen) for quantity in QUANTITIES for column in quantity.screens}
    missing = heads - explained
    assert not missing, f"docs/numbers.md does not explain {sorted(missing)}"


def test_every_explanation_has_its_three_parts() -> None:
    sections = re.split(r"^## ", prose(DOCS / "numbers.md"), flags=re.M)[1:]
    assert len(sections) > 20
    for section in sections:
        marks = re.findall(r"^- \*\*(.+?)\*\*", section, flags=re.M)
        assert marks == ["What it is.", "How to read it.", "What it does not show."], section.splitlines()[0]


@pytest.mark.parametrize("name", [name for name in gl.__all__ if name != "__version__"])
def test_every_public_name_is_in_the_reference(name: str) -> None:
    text = (DOCS / "api.md").read_text("utf-8")
    assert re.search(rf"^\.\. (?:auto\w+|py:data):: gradlens\.{name}$", text, flags=re.M)


def test_every_analyzer_is_in_the_reference() -> None:
    from gradlens.analyzers import ANALYZERS, ON_REQUEST

    text = (DOCS / "api.md").read_text("utf-8")
    for analyzer in (*ANALYZERS.values(), *ON_REQUEST.values()):
        path = f"{type(analyzer).__module__}.{type(analyzer).__name__}"
        assert f".. autoclass:: {path}\n" in text


def test_every_interactive_figure_is_on_the_page_about_the_report() -> None:
    from gradlens.report.charts import CHARTS

    rows = re.findall(r"^\| `(\w+)` \|", (DOCS / "report.md").read_text("utf-8"), flags=re.M)
    assert sorted(rows) == sorted(CHARTS)


def test_every_notebook_is_in_the_readme() -> None:
    notebooks = {str(path.relative_to(ROOT)) for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert notebooks
    assert {link for link in links(ROOT / "README.md") if link.endswith(".ipynb")} == notebooks


def test_the_design_shows_the_enforced_layers() -> None:
    tomllib = pytest.importorskip("tomllib")
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (layers,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    (layers_shown,) = [block.text for block in blocks(DOCS / "design.md") if block.language == "text"]
    assert layers_shown.splitlines() == [layer.replace("gradlens.", "") for layer in layers]
