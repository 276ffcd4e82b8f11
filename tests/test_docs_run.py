"""All commands and Python snippets of the pages run, with the cheaper settings of docs_files."""

from __future__ import annotations

import doctest
import importlib
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import pytest
import timm
from click.testing import CliRunner
from docs_files import BEFORE_PYTHON, CHEAPER, CHEAPER_PYTHON, SHORTER, SMALLER, make_files
from pages import PAGES, ROOT, Block, blocks

from gradlens.models.sources.own import PELEENETS
from gradlens_cli.app import gradlens

ELSEWHERE = {
    "python -m pip install .": ".ci/run",
    "python -m pip install '.[test]'": ".ci/run",
    "python -m pytest": ".ci/run",
    'eval "$(_GRADLENS_COMPLETE=bash_source gradlens)"': "tests/cli/test_completion.py",
    'eval "$(_GRADLENS_COMPLETE=zsh_source gradlens)"': "tests/cli/test_completion.py",
    "_GRADLENS_COMPLETE=fish_source gradlens | source": "tests/cli/test_completion.py",
}
"""Lines of the pages that are run elsewhere: by CI or by another test."""
RUN_BY = {
    ".ci/run": [r'bash "\$work/run\.sh"', r'bash "\$work/test\.sh"'],
    "tests/cli/test_completion.py": [
        r'"shell", \["bash", "zsh", "fish"\]',
        r'"_GRADLENS_COMPLETE": f"\{shell\}_source"',
    ],
}
"""Patterns that show that these files run them."""
LEFT_BY_COMMANDS = {
    "cli.md": ["paper/duplication.pdf", "page/report.html"],
    "report.md": ["duplication.pdf", "paper/flow.svg"],
}
"""Files that the commands of a page write outside the folder of a run."""
LEFT_BY_PYTHON = {
    "README.md": ["runs/mine/result.json"],
    "api.md": ["runs/csp/result.json", "csp.safetensors"],
    "cli.md": ["duplication.pdf"],
    "report.md": ["map.html"],
    "extend.md": ["runs/hardness/report.html", "runs/hardness/figures/hardness.png"],
}
"""Files that the snippets of a page write."""
NAMES = rf"(?<![\w/.:])({'|'.join(SMALLER)})(?![\w.])"
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::gradlens.models.StageNotCut")]


@pytest.fixture(autouse=True)
def few_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Score trained networks on a few samples; tests/studies scores them on all."""
    monkeypatch.setattr("gradlens.studies.grid.HELD_OUT", 8)


def runnable(page: Path, language: str) -> list[Block]:
    """Return the blocks to run: files are written instead; doctests are run by test_docs, those that need an optional
    library by test_docs_extra.
    """
    skipped = ("not run", "needs")
    candidates = [block for block in blocks(page) if block.language == language and block.mark not in skipped]
    return [block for block in candidates if block.mark != "file" and not block.text.startswith(">>>")]


def with_blocks(language: str) -> pytest.MarkDecorator:
    pages = [page for page in PAGES if runnable(page, language)]
    return pytest.mark.parametrize("page", pages, ids=lambda page: page.name)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working folder; everything that a page registers is removed afterwards."""
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
    """Write the files that a page shows and return their names."""
    files = [block for block in blocks(page) if block.mark == "file"]
    for block in files:
        (folder / block.comment).write_text(block.text, "utf-8")
    return [block.comment for block in files]


def commands_of(block: Block) -> Iterator[tuple[str, list[str]]]:
    """Yield the commands of a block: the line, and its words without the comment."""
    for line in block.text.splitlines():
        if words := shlex.split(line, comments=True):
            yield line, words


def elsewhere(words: list[str], page: Path) -> bool:
    """Whether a command writes to no folder of its own, and an earlier page has it with the same cheaper settings."""
    pages = [
        other
        for other in PAGES[: PAGES.index(page)]
        for block in runnable(other, "bash")
        if sorted(cheaper(words)) in [sorted(cheaper(same)) for _, same in commands_of(block)]
    ]
    return bool(pages) and "--out" not in words and words[:2] != ["gradlens", "open"]


def cheaper(words: list[str]) -> list[str]:
    """Return a command with settings with which it ends in seconds."""
    if words[0].startswith("-") or "--help" in words:
        return words
    command = words[1] if words[0] == "gradlens" else words[0]
    added = [word for option, short in SHORTER.items() if option in words for word in short]
    if command != "models":
        words = [re.sub(NAMES, lambda name: SMALLER[name[0]], word) for word in words]
    added = [*CHEAPER.get(command, []), *added]
    return [*without(words, added), *added]


def without(words: list[str], options: list[str]) -> list[str]:
    """Return a command without the options that others replace, and without their values."""
    kept, value = [], False
    for word in words:
        replaced = word.startswith("--") and word in options
        if not replaced and not (value and not word.startswith("-")):
            kept.append(word)
        value = replaced and not word.startswith("--no-")
    return kept


def run_gradlens(words: list[str], label: str) -> str:
    """Run a command and return its output."""
    result = CliRunner().invoke(gradlens, words)
    assert result.exit_code == 0, f"{label}: {result.stderr}"
    assert result.output.strip(), f"{label} printed nothing"
    if "--out" in words:
        path = Path(words[words.index("--out") + 1])
        assert (path if words[0] == "figure" else path / "report.html").is_file(), label
    return result.stdout


def run_piped(words: list[str], label: str) -> None:
    """Run a command and pipe its output into another program."""
    pipe = words.index("|")
    printed = run_gradlens(cheaper(words[1:pipe]), label)
    subprocess.run(words[pipe + 1 :], input=printed, text=True, check=True)


def run_script(words: list[str], label: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as end:
        runpy.run_path(words[0], run_name="__main__")
    assert end.value.code == 0, label


@pytest.fixture
def few_figures(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], None]:
    """Function that lets a command draw one figure if it names its folder, else none.

    Figures take most of the time, and tests/report draws them.
    """
    from gradlens.plots import PLOTS

    def choose(words: list[str]) -> None:
        names = ["flow"] if "--out" in words else []
        monkeypatch.setattr("gradlens.report.drawing.PLOTS", {name: PLOTS[name] for name in names})

    return choose


@pytest.fixture
def opened_addresses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses passed to the browser, which is not started."""
    addresses: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda address: not addresses.append(address))
    return addresses


@with_blocks("bash")
def test_the_commands_of_a_page_run(
    page: Path,
    folder: Path,
    opened_addresses: list[str],
    few_figures: Callable[[list[str]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_files(folder)
    write_files(page, folder)
    expected_opened = 0
    for block in runnable(page, "bash"):
        for line, words in commands_of(block):
            label = f"{block.location}: {line}"
            few_figures(words)
            expected_opened += words[:2] == ["gradlens", "open"]
            if words[0] == "gradlens" and "|" in words:
                run_piped(words, label)
            elif words[0] == "gradlens" and not elsewhere(words, page):
                run_gradlens(cheaper(words[1:]), label)
            elif words[0] == "python" and (folder / words[1]).is_file():
                run_script([words[1], *cheaper(words[2:])], label, monkeypatch)
            elif words[0] != "gradlens":
                assert line in ELSEWHERE, f"{label} is run by no test"
    assert [Path(url2pathname(urlparse(address).path)).is_file() for address in opened_addresses] == [
        True
    ] * expected_opened
    for file in LEFT_BY_COMMANDS.get(page.name, ()):
        assert (folder / file).is_file()


@with_blocks("python")
def test_the_snippets_of_a_page_run(page: Path, folder: Path) -> None:
    """Snippets run in order and share one namespace; the files that the page shows are written first."""
    names: dict[str, object] = {}
    exec(BEFORE_PYTHON.get(page.name, ""), names)
    for file in write_files(page, folder):
        compile((folder / file).read_text("utf-8"), file, "exec")
    for block in runnable(page, "python"):
        text = block.text
        for long, short in CHEAPER_PYTHON.items():
            text = text.replace(long, short)
        exec(compile("\n" * block.line + text, str(page), "exec"), names)
    for file in LEFT_BY_PYTHON.get(page.name, ()):
        assert (folder / file).is_file()


def test_the_examples_in_the_files_of_a_page_run(folder: Path) -> None:
    (page,) = [page for page in PAGES if page.name == "extend.md"]
    attempted = 0
    for name in write_files(page, folder):
        if name != "lens.py":  # importing it registers and starts the command
            results = doctest.testmod(importlib.import_module(Path(name).stem))
            assert results.failed == 0
            attempted += results.attempted
    assert attempted == 1


@pytest.mark.parametrize("text", CHEAPER_PYTHON)
def test_every_cheaper_setting_replaces_something(text: str) -> None:
    assert any(text in block.text for page in PAGES for block in runnable(page, "python"))


@pytest.mark.parametrize("name", SMALLER)
def test_a_network_that_is_replaced_by_a_smaller_one_exists(name: str) -> None:
    assert timm.is_model(name.rpartition(":")[2]) or name in PELEENETS
    assert any(
        name in line for page in PAGES for block in runnable(page, "bash") for line, _ in commands_of(block)
    )


@pytest.mark.parametrize("file", RUN_BY)
def test_lines_run_elsewhere_are_run_there(file: str) -> None:
    text = (ROOT / file).read_text("utf-8")
    assert file in ELSEWHERE.values()
    assert all(re.search(pattern, text) for pattern in RUN_BY[file])


def test_every_line_run_elsewhere_is_on_a_page() -> None:
    lines = {line for page in PAGES for block in runnable(page, "bash") for line, _ in commands_of(block)}
    assert set(ELSEWHERE) <= lines
    assert set(ELSEWHERE.values()) == set(RUN_BY)
