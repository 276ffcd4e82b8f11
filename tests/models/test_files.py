"""Files of a request, checked without running them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradlens.errors import GradlensError
from gradlens.models.files import check_factory, require_file


@pytest.mark.parametrize(
    "text",
    [
        "def net(): ...",
        "class net: ...",
        "net = lambda: None",
        "a, (net, b) = 1, (2, 3)",
        "from torch import nn as net",
        "import net",
        "if True:\n    net: object = 1",
        "for net in (): ...",
        "with open('x') as net: ...",
        "if (net := 3): ...",
        "from blocks import *",
        "globals()['ne' + 't'] = 1",
        "def __getattr__(name): ...",
    ],
)
def test_every_way_to_bind_a_name_is_accepted(tmp_path: Path, text: str) -> None:
    (file := tmp_path / "nets.py").write_text(text)
    check_factory(file, "net")


@pytest.mark.parametrize("text", ["", "print('net')", "other.net = 1", "def net2(): ...", "import a.net"])
def test_a_name_that_is_nowhere_bound_is_refused(tmp_path: Path, text: str) -> None:
    (file := tmp_path / "nets.py").write_text(text)
    with pytest.raises(GradlensError, match="no function 'net'"):
        check_factory(file, "net")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (file := tmp_path / "nets.py").write_bytes(b"\x00\x01")
    with pytest.raises(GradlensError, match="cannot be run"):
        check_factory(file, "net")


def test_a_missing_file_suggests_others_of_its_kind(tmp_path: Path) -> None:
    for name in ("weights.pt", "weights.py"):
        (tmp_path / name).touch()
    with pytest.raises(GradlensError) as caught:
        require_file(tmp_path / "weight.pt", "checkpoint")
    assert "did you mean weights.pt?" in str(caught.value)
