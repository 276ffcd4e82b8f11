"""The pages of the documentation as their parts: fenced blocks, links, words in code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MARK = re.compile(r"<!-- ([a-z ]+): (.+) -->")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: where it stands.
        line: of its opening fence.
        language: behind the fence.
        text: without the fences.
        mark: name of the comment right above it (``not run``, ``file``, ``ci``), or empty.
        told: what that comment says.
    """

    page: Path
    line: int
    language: str
    text: str
    mark: str = ""
    told: str = ""

    @property
    def place(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """Every fenced block of a page, in order."""
    found = []
    lines = iter(enumerate(page.read_text("utf-8").splitlines(), start=1))
    above = ""
    for number, line in lines:
        if line.startswith("```"):
            inside = []
            for _, inner in lines:
                if inner.startswith("```"):
                    break
                inside.append(inner)
            else:
                raise ValueError(f"{page.name}:{number} opens a block that never ends")
            mark = MARK.fullmatch(above)
            marked = (mark[1], mark[2]) if mark else ("", "")
            found.append(Block(page, number, line[3:].strip(), "\n".join(inside) + "\n", *marked))
        above = line.strip()
    return found


def prose(page: Path) -> str:
    """The page without its fenced blocks and comments."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.S | re.M)
    return re.sub(r"<!--.*?-->", "", text, flags=re.S)


def code_spans(page: Path) -> list[str]:
    """What stands between backticks in the prose."""
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose(page))]


def links(page: Path) -> Iterator[str]:
    """Targets of the links and images of a page."""
    return (match[1] for match in re.finditer(r"\]\(([^)\s]+)\)", prose(page)))


def headings(page: Path) -> list[str]:
    """Headings of a page, without their marks."""
    return re.findall(r"^#+ (.+)$", prose(page), flags=re.M)


def anchor(heading: str) -> str:
    """How a forge names a heading in a link."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
