"""Parts of the documentation pages: fenced blocks, links, code spans."""

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
        page: its file.
        line: the line of its opening fence.
        language: the word after the opening fence.
        text: its lines without the fences.
        mark: the kind of the comment right above it (``not run``, ``needs``, ``file``, ``ci``), or empty.
        comment: the text of that comment.
    """

    page: Path
    line: int
    language: str
    text: str
    mark: str = ""
    comment: str = ""

    @property
    def location(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    parsed = []
    lines = iter(enumerate(page.read_text("utf-8").splitlines(), start=1))
    above = ""
    for number, line in lines:
        if line.startswith("```"):
            inner_lines = []
            for _, inner in lines:
                if inner.startswith("```"):
                    break
                inner_lines.append(inner)
            else:
                raise ValueError(f"{page.name}:{number} opens a block that is not closed")
            mark = MARK.fullmatch(above)
            marked = (mark[1], mark[2]) if mark else ("", "")
            parsed.append(Block(page, number, line[3:].strip(), "\n".join(inner_lines) + "\n", *marked))
        above = line.strip()
    return parsed


def prose(page: Path) -> str:
    """Return the page without its fenced blocks and comments."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.S | re.M)
    return re.sub(r"<!--.*?-->", "", text, flags=re.S)


def code_spans(page: Path) -> list[str]:
    """Return the code spans of the prose."""
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose(page))]


def links(page: Path) -> Iterator[str]:
    """Yield the targets of the links and images of a page."""
    return (match[1] for match in re.finditer(r"\]\(([^)\s]+)\)", prose(page)))


def headings(page: Path) -> list[str]:
    """Return the headings of a page without their marks."""
    return re.findall(r"^#+ (.+)$", prose(page), flags=re.M)


def anchor(heading: str) -> str:
    """Return the anchor that GitHub generates for a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
