"""Findings of the diagnosis: detected, ranked, counted and explained."""

import pytest

from gradlens.analyzers.diagnosis import Diagnosis
from gradlens.analyzers.kinds import ALIKE, KINDS


@pytest.fixture
def faulty(hand, draw):
    """Two layers with one gradient, a similar, a dead and a huge one; an idle branch and a cancelling fork."""
    build = hand()
    a, b = draw(0), draw(1)
    build.gradient(a, "added.one", depth=1)
    build.gradient(a, "added.two", depth=2)
    build.gradient(a + 0.1 * draw(2), "similar", depth=3)
    build.gradient(0 * a, "dead", depth=4)
    build.gradient(1000 * b, "huge", depth=5)
    parts = [build.gradient(value, signal=False) for value in (a, 0.001 * b)]
    build.group(
        parts,
        total=build.gradient(a + 0.001 * b, signal=False),
        site="idle:relu",
        labels=("skip", "residual"),
    )
    parts = [build.gradient(value, signal=False) for value in (a, -0.9 * a)]
    build.group(
        parts, total=build.gradient(0.1 * a, signal=False), site="cancel:relu", labels=("skip", "residual")
    )
    return build.recording()


def test_each_kind_is_found(faulty):
    frame = Diagnosis()(faulty).frame
    by_kind = dict(list(frame.groupby("kind")))
    absent = {
        "silent call",
        "vanishing signal",
        "vanishing along time",
        "exploding along time",
        *ALIKE.values(),
    }
    assert set(by_kind) == set(KINDS) - absent
    assert by_kind["one gradient"][["place", "other"]].to_numpy().tolist() == [["added.one", "added.two"]]
    pair = by_kind["duplicated pair"].iloc[0]
    assert {pair["place"], pair["other"]} <= {"added.one", "added.two", "similar"}
    assert pair["rank"] == 1
    assert by_kind["duplicated pair"]["value"].is_monotonic_decreasing
    assert by_kind["dead signal"]["place"].tolist() == ["dead"]
    assert by_kind["exploding signal"]["place"].tolist() == ["huge"]
    assert by_kind["exploding signal"]["value"].iloc[0] > 100
    assert by_kind["idle branch"][["place", "other"]].to_numpy().tolist() == [["idle:relu", "residual"]]
    assert by_kind["cancelling fork"]["place"].tolist() == ["cancel:relu"]
    assert by_kind["cancelling fork"]["value"].iloc[0] == pytest.approx(0.01 / 1.81, rel=1e-9)


def test_a_vanishing_signal_is_found(hand, draw):
    build = hand()
    for number in range(3):
        build.gradient(draw(number), f"layer{number}")
    build.gradient(1e-4 * draw(4), "tiny")
    frame = Diagnosis()(build.recording()).frame
    assert frame.loc[frame["kind"] == "vanishing signal", "place"].tolist() == ["tiny"]


def test_only_the_top_findings_are_kept_and_all_are_counted(hand, draw):
    build = hand()
    for number in range(6):
        build.gradient(draw(0) + 0.3 * draw(number + 1), f"layer{number}")
    frame = Diagnosis(most=4)(build.recording()).frame
    assert len(frame) == 4
    assert set(frame["found"]) == {15}
    assert frame["rank"].tolist() == [1, 2, 3, 4]


def test_unrelated_signals_are_no_pair_and_a_head_is_not_compared(hand, draw):
    """Per element, a head's gradient is far larger than a feature map's, because pooling spreads it."""
    build = hand()
    for number in range(3):
        build.gradient(draw(number), f"layer{number}")
    build.gradient(1000 * draw(7), "fc", stage="head")
    assert Diagnosis()(build.recording()).frame.empty


def test_without_signals_there_is_no_table(hand, draw):
    build = hand()
    build.gradient(draw(0), signal=False)
    assert Diagnosis()(build.recording()) is None
