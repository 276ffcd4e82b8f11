"""Every command and every Python snippet of the pages runs as it stands, with the cheaper settings of docs_files."""

from __future__ import annotations

import doctest
import importlib
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import pytest
from click.testing import CliRunner
from docs_files import BEFORE_PYTHON, CHEAPER, CHEAPER_PYTHON, SHORTER, make_files
from pages import PAGES, ROOT, Block, blocks

from gradlens_cli.app import gradlens

ELSEWHERE = {
    "python -m pip install .": ".ci/run",
    "python -m pip install '.[test]'": ".ci/run",
    "python -m pytest": ".ci/run",
    'eval "$(_GRADLENS_COMPLETE=bash_source gradlens)"': "tests/cli/test_completion.py",
    'eval "$(_GRADLENS_COMPLETE=zsh_source gradlens)"': "tests/cli/test_completion.py",
    "_GRADLENS_COMPLETE=fish_source gradlens | source": "tests/cli/test_completion.py",
}
"""Lines of the pages that are run by something else: where."""
RUN_BY = {
    ".ci/run": [r'bash "\$work/run\.sh"', r'bash "\$work/test\.sh"'],
    "tests/cli/test_completion.py": [
        r'"shell", \["bash", "zsh", "fish"\]',
        r'"_GRADLENS_COMPLETE": f"\{shell\}_source"',
    ],
}
"""What those hold where they run them."""
LEFT_BY_COMMANDS = {
    "cli.md": ["paper/duplication.pdf", "page/report.html"],
    "report.md": ["duplication.pdf", "paper/flow.svg"],
}
"""Files that the commands of a page write outside of a run's folder."""
LEFT_BY_PYTHON = {
    "README.md": ["runs/csp/result.json", "csp.safetensors"],
    "cli.md": ["duplication.pdf"],
    "report.md": ["map.html"],
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


def commands_of(block: Block) -> Iterator[tuple[str, list[str]]]:
    """The lines of a block that are commands, each also as words without its comment."""
    for line in block.text.splitlines():
        if words := shlex.split(line, comments=True):
            yield line, words


def cheaper(words: list[str]) -> list[str]:
    """A command with settings that end it in seconds."""
    if words[0].startswith("-") or "--help" in words:
        return words
    added = [word for option, short in SHORTER.items() if option in words for word in short]
    return [*words, *CHEAPER.get(words[0], []), *added]


def run_gradlens(words: list[str], told: str) -> str:
    """What it printed."""
    ran = CliRunner().invoke(gradlens, words)
    assert ran.exit_code == 0, f"{told}: {ran.stderr}"
    assert ran.output.strip(), f"{told} said nothing"
    if "--out" in words:
        place = Path(words[words.index("--out") + 1])
        assert (place if words[0] == "figure" else place / "report.html").is_file(), told
    return ran.stdout


def run_piped(words: list[str], told: str) -> None:
    """A command whose output another program reads."""
    bar = words.index("|")
    printed = run_gradlens(cheaper(words[1:bar]), told)
    subprocess.run(words[bar + 1 :], input=printed, text=True, check=True)


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


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses that a browser was asked to show; none is started."""
    asked: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda address: not asked.append(address))
    return asked


@with_blocks("bash")
@pytest.mark.usefixtures("one_figure")
def test_the_commands_of_a_page_run(
    page: Path, place: Path, shown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_files(place)
    write_files(page, place)
    opened = 0
    for block in runnable(page, "bash"):
        for line, words in commands_of(block):
            told = f"{block.place}: {line}"
            opened += words[:2] == ["gradlens", "open"]
            if words[0] == "gradlens" and "|" in words:
                run_piped(words, told)
            elif words[0] == "gradlens":
                run_gradlens(cheaper(words[1:]), told)
            elif words[0] == "python" and (place / words[1]).is_file():
                run_script([words[1], *cheaper(words[2:])], told, monkeypatch)
            else:
                assert line in ELSEWHERE, f"{told} is run by no test"
    assert [Path(url2pathname(urlparse(address).path)).is_file() for address in shown] == [True] * opened
    for file in LEFT_BY_COMMANDS.get(page.name, ()):
        assert (place / file).is_file()


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


@pytest.mark.parametrize("file", RUN_BY)
def test_the_elsewhere_is_there(file: str) -> None:
    text = (ROOT / file).read_text("utf-8")
    assert file in ELSEWHERE.values()
    assert all(re.search(pattern, text) for pattern in RUN_BY[file])


def test_every_line_run_elsewhere_is_on_a_page() -> None:
    lines = {line for page in PAGES for block in runnable(page, "bash") for line, _ in commands_of(block)}
    assert set(ELSEWHERE) <= lines
    assert set(ELSEWHERE.values()) == set(RUN_BY)
