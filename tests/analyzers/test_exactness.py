"""The exactness table: errors of the sums at forks."""

import numpy as np

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
