"""Notes on the samples of data with boxes."""

from __future__ import annotations

import pytest

from gradlens.words.brief import all_in_brief
from gradlens.words.samples import is_note, left_out_boxes, smaller_defaults

FILE = {"crowds": 2, "boxes without area": 1}
NARROW = "boxes narrower than a pixel"


@pytest.mark.parametrize(
    ("used", "start"),
    [
        ({"image_size": 96, "batch_size": 8}, "image_size=96 and batch_size=8 are the defaults"),
        ({"batch_size": 8}, "batch_size=8 is one of the defaults"),
    ],
)
def test_the_smaller_defaults_that_are_used_are_named_in_a_note(used: dict[str, int], start: str) -> None:
    (line,) = smaller_defaults(used)
    assert line.startswith(start)
    assert is_note(line)
    assert all(is_note(brief) for brief in all_in_brief([line]))
    assert smaller_defaults({}) == []


def test_boxes_are_counted_once_per_file_and_narrow_ones_over_the_seeds() -> None:
    seeds = [{"left_out": {**FILE, NARROW: 3}}, {"left_out": FILE}, {"left_out": {**FILE, NARROW: 1}}]
    (line,) = left_out_boxes(seeds)
    assert line == (
        "left out of the boxes of the file: 2 crowds, 1 boxes without area, 4 boxes narrower than a pixel in the "
        "measured images; a larger image_size= keeps more of the narrow ones"
    )
    assert is_note(line)
    assert all(is_note(brief) for brief in all_in_brief([line]))


def test_only_what_was_left_out_is_said() -> None:
    assert left_out_boxes([{}, {"left_out": {}}]) == []
    assert left_out_boxes([{"left_out": {"crowds": 2}}]) == ["left out of the boxes of the file: 2 crowds"]
    (line,) = left_out_boxes([{"left_out": {NARROW: 1}}])
    assert "crowds" not in line
    assert not is_note("net: 3 of 60 signals are dead; use a larger image_size=")
