"""Recordings made by hand, for warnings and findings."""

import pytest


@pytest.fixture
def sound(hand, draw, seeds, costs):
    """Factory of a recording without warnings; each option adds a reason for one."""

    def make(name="a", count=3, batches=8, n=16, dead=0, lost=0, forked=True, loss=True, signals=3, **sizes):
        build = hand(seeds(count, batches), network=name)
        s = count * batches
        g = draw(0, s, n)
        for number in range(signals):
            build.gradient(draw(number, s, n))
        for _ in range(dead):
            build.gradient(0 * g)
        for _ in range(lost):
            build.gradient(g, sampled=False)
        if forked:
            build.group([0, 1], 2)
        if loss:
            build.loss = build.gradient(g, signal=False)
        build.extra["costs"] = costs(
            2, {"conv": sizes.get("parameters", 10)}, {"conv": sizes.get("flops", 8)}
        )
        return build.recording()

    return make
