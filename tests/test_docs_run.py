"""Every command and every Python snippet of the pages runs as it stands, with the cheaper settings of docs_files."""

from __future__ import annotations

import doctest
import importlib
import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from docs_files import BEFORE_PYTHON, CHEAPER, CHEAPER_PYTHON, SHORTER, make_files
from pages import PAGES, Block, blocks

from gradlens_cli.app import gradlens

ELSEWHERE = {
    "python -m pip install .": ".ci/run",
    "python -m pip install '.[test]'": ".ci/run",
    "python -m pytest": ".ci/run",
}
"""Lines of the pages that are run by something else: where."""
LEFT_BY_PYTHON = {
    "README.md": ["runs/csp/result.json", "csp.safetensors"],
    "extend.md": ["runs/hardness/report.html", "runs/hardness/figures/hardness.png"],
}
"""Files that the snippets of a page write."""
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::gradlens.models.StageNotCut")]


def runnable(page: Path, language: str) -> list[Block]:
    """Blocks to run; those of a file are written, those of doctest are run by test_docs."""
    found = [block for block in blocks(page) if block.language == language and block.mark != "not run"]
    return [block for block in found if block.mark != "file" and not block.text.startswith(">>>")]


def with_blocks(language: str) -> pytest.MarkDecorator:
    pages = [page for page in PAGES if runnable(page, language)]
    return pytest.mark.parametrize("page", pages, ids=lambda page: page.name)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to run in; what a page registers is gone afterwards."""
    from gradlens.analyzers import ANALYZERS
    from gradlens.models import TRANSITIONS
    from gradlens.plots import PLOTS

    registries = [ANALYZERS, PLOTS, TRANSITIONS, gradlens.commands]
    before, modules = [dict(registry) for registry in registries], set(sys.modules)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path
    for registry, entries in zip(registries, before, strict=True):
        registry.clear()
        registry.update(entries)  # type: ignore[arg-type]
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def write_files(page: Path, folder: Path) -> list[str]:
    """The files that a page shows; their names."""
    shown = [block for block in blocks(page) if block.mark == "file"]
    for block in shown:
        (folder / block.told).write_text(block.text, "utf-8")
    return [block.told for block in shown]


def words_of(block: Block) -> Iterator[list[str]]:
    """The commands of a block as words, without their comments."""
    for line in block.text.splitlines():
        if words := shlex.split(line, comments=True):
            yield words


def cheaper(words: list[str]) -> list[str]:
    """A command with settings that end it in seconds."""
    if words[0].startswith("-") or "--help" in words:
        return words
    added = [word for option, short in SHORTER.items() if option in words for word in short]
    return [*words, *CHEAPER.get(words[0], []), *added]


def run_gradlens(words: list[str], told: str) -> None:
    ran = CliRunner().invoke(gradlens, words)
    assert ran.exit_code == 0, f"{told}: {ran.stderr}"
    assert ran.output.strip(), f"{told} said nothing"
    if "--out" in words:
        assert (Path(words[words.index("--out") + 1]) / "report.html").is_file(), told


def run_script(words: list[str], told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as left:
        runpy.run_path(words[0], run_name="__main__")
    assert left.value.code == 0, told


@pytest.fixture
def one_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports with one figure: all of them take most of the time, and tests/report draws them."""
    from gradlens.plots import PLOTS

    monkeypatch.setattr("gradlens.report.drawing.PLOTS", {"flow": PLOTS["flow"]})


@with_blocks("bash")
@pytest.mark.usefixtures("one_figure")
def test_the_commands_of_a_page_run(page: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_files(place)
    write_files(page, place)
    for block in runnable(page, "bash"):
        for words in words_of(block):
            told = f"{block.place}: {shlex.join(words)}"
            if words[0] == "gradlens":
                run_gradlens(cheaper(words[1:]), told)
            elif words[0] == "python" and (place / words[1]).is_file():
                run_script([words[1], *cheaper(words[2:])], told, monkeypatch)
            else:
                assert shlex.join(words) in ELSEWHERE, f"{told} is run by no test"


@with_blocks("python")
def test_the_snippets_of_a_page_run(page: Path, place: Path) -> None:
    """In order, in one namespace; a file that the page shows is written when it is shown."""
    names: dict[str, object] = {}
    exec(BEFORE_PYTHON.get(page.name, ""), names)
    for file in write_files(page, place):
        compile((place / file).read_text("utf-8"), file, "exec")
    for block in runnable(page, "python"):
        text = block.text
        for long, short in CHEAPER_PYTHON.items():
            text = text.replace(long, short)
        exec(compile("\n" * block.line + text, str(page), "exec"), names)
    for file in LEFT_BY_PYTHON.get(page.name, ()):
        assert (place / file).is_file()


def test_the_files_that_a_page_shows_hold_their_examples(place: Path) -> None:
    (page,) = [page for page in PAGES if page.name == "extend.md"]
    attempted = 0
    for name in write_files(page, place):
        if name != "lens.py":  # it registers and starts the command
            found = doctest.testmod(importlib.import_module(Path(name).stem))
            assert found.failed == 0
            attempted += found.attempted
    assert attempted == 1


@pytest.mark.parametrize("text", CHEAPER_PYTHON)
def test_every_cheaper_setting_replaces_something(text: str) -> None:
    assert any(text in block.text for page in PAGES for block in runnable(page, "python"))


def test_the_elsewhere_is_there() -> None:
    script = Path(__file__).parents[1].joinpath(".ci", "run").read_text("utf-8")
    assert re.search(r'bash "\$work/run\.sh"', script)
    assert re.search(r'bash "\$work/test\.sh"', script)
