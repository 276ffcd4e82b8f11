"""The exactness table: errors of the sums at forks."""

import numpy as np

from gradlens.analyzers.between_branches import branch_correlation
from gradlens.analyzers.branches import Branches, Shares
from gradlens.analyzers.diagnosis import Diagnosis
from gradlens.analyzers.exactness import Exactness


def test_each_fork_shows_its_worst_batch(hand, draw, seeds):
    build = hand(seeds(1, 3), dry_samples=4)
    a, b = build.gradient(draw(0, 3)), build.gradient(draw(1, 3))
    total = build.gradient(draw(2, 3))
    first = build.group([a, b], total, site="one")
    build.group([a, b], where="merge", site="merge")
    build.group([a, b], total, site="unmeasured")
    build.dry[first], build.projected[first] = 0.0, np.array([1e-8, 3e-7, 0.0])
    frame = Exactness()(build.recording()).frame
    assert frame.site.tolist() == ["one", "unmeasured"]
    assert frame.contributions.tolist() == [2, 2]
    assert frame.dry_samples.tolist() == [4, 4]
    assert (frame.error[0], frame.projected_error[0]) == (0.0, 3e-7)
    assert frame.loc[1, ["error", "projected_error"]].isna().all()


def test_merges_alone_have_no_table(hand, draw):
    build = hand()
    numbers = [build.gradient(draw(0)), build.gradient(draw(1))]
    build.group(numbers, where="merge")
    assert Exactness()(build.recording()) is None


def test_forks_inside_the_loss_share_one_row_and_are_in_no_table_of_the_network(hand, draw):
    build = hand()
    parts = [build.gradient(draw(number), f"conv{number}", signal=False) for number in range(5)]
    build.group(parts[:2], total=parts[2], site="block:add")
    build.group(parts[:3], total=parts[3], site="(loss):sub", stage="loss")
    build.group(parts[:2], total=parts[4], site="(loss):mul", stage="loss")
    build.dry = {0: 0.0, 1: 1e-7, 2: 0.0}
    build.projected = {1: np.array([1e-6, 3e-6]), 2: np.array([2e-6, 0.0])}
    recording = build.recording()
    frame = Exactness()(recording).frame
    assert frame["site"].tolist() == ["block:add", "(loss), 2 forks"]
    assert frame["contributions"].tolist() == [2, 5]
    assert frame["error"].tolist() == [0.0, 1e-7]
    assert frame["projected_error"].tolist()[1] == 3e-6
    for table in (Branches()(recording), Shares()(recording)):
        assert set(table.frame["site"]) == {"block:add"}
    assert set(Diagnosis()(recording).frame["stage"]) <= {"4"}
    assert branch_correlation(recording).keys() == {"4", "whole"}


def test_a_network_whose_only_forks_are_in_its_loss_has_no_branches(hand, draw):
    build = hand()
    parts = [build.gradient(draw(number), f"conv{number}") for number in range(3)]
    build.group(parts[:2], total=parts[2], site="(loss):sub", stage="loss")
    recording = build.recording()
    assert Branches()(recording) is None
    assert Shares()(recording) is None
    assert Exactness()(recording).frame["site"].tolist() == ["(loss), 1 fork"]
