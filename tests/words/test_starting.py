"""The line about gains that start at zero."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gradlens.recording import Recording
from gradlens.words.starting import is_about_start, started

Factory = Callable[..., Recording]
GAINS = ["layer1.0.bn3.weight"]


def test_networks_without_such_gains_have_no_line(sound: Factory) -> None:
    assert started([sound(), sound("b")]) == []
    assert started([sound().with_meta(zero_init=True, zero_gains=[])]) == []


@pytest.mark.parametrize(
    ("zero_init", "line"),
    [
        (False, "gains that the library initialises with zero are set to one{}; zero_init=True keeps them"),
        (True, "gains that the library initialises with zero are kept{}; zero_init=False sets them to one"),
    ],
)
def test_one_line_says_what_became_of_them(sound: Factory, zero_init: bool, line: str) -> None:
    a, b = (sound(name).with_meta(zero_init=zero_init, zero_gains=GAINS) for name in "ab")
    assert started([a]) == [line.format("")]
    assert is_about_start(line)
    assert not is_about_start(
        "a: 2 signals are dead; warmup_steps=10 or zero_init=False shows whether they stay"
    )
    assert started([a, b]) == [line.format(" in a, b")]
    assert started([a, sound("c")]) == [line.format(" in a")]
    assert started([a, b, a, b, sound("c")]) == [line.format(" in 4 of 5 networks")]
    assert line.split("{}", maxsplit=1)[0] in repr(a)
    assert line.split("{}", maxsplit=1)[0] in a._repr_html_()
