"""Layers of one network against layers of another."""

import numpy as np

from gradlens.comparisons.cross import cross_network
from gradlens.metrics import cka, hsic_matrix


def build_recording(hand, seeds, features, name):
    build = hand(seeds, network=name)
    for module, values in features.items():
        build.gradient(values, module=module, stage=module[0])
    return build.recording()


def test_each_pair_of_layers_is_compared_once(hand, draw, seeds):
    replicates = seeds(1, 3)
    a, b, c = (draw(number, replicates=3) for number in range(3))
    first = build_recording(hand, replicates, {"x.a": a, "x.b": b}, "one")
    second = build_recording(hand, replicates, {"x.a": 2 * a, "y.c": c, "y.dead": 0 * c}, "two")
    table = cross_network(first, second)
    assert table is not None
    frame = table.frame.set_index(["signal_a", "signal_b"])
    assert len(frame) == 6
    assert frame.loc[("x.a", "x.a"), "energy"] == np.float64(1.0) or np.isclose(
        frame.loc[("x.a", "x.a"), "energy"], 1
    )
    grams = np.stack([value @ value.transpose(0, 2, 1) for value in (b, c)])
    assert np.isclose(frame.loc[("x.b", "y.c"), "energy"], cka(hsic_matrix(grams))[0, 1])
    assert frame.loc[("x.a", "y.dead"), ["energy", "direction"]].isna().all()
    assert frame.loc[("x.b", "y.c"), ["stage_a", "stage_b", "order_a", "order_b"]].tolist() == [
        "x",
        "y",
        1,
        1,
    ]


def test_the_mean_is_over_seeds(hand, draw, seeds):
    replicates = seeds(2, 2)
    a, b = draw(0, replicates=4), draw(1, replicates=4)
    first, second = (
        build_recording(hand, replicates, {"x.a": a}, "one"),
        build_recording(hand, replicates, {"x.b": b}, "two"),
    )
    table = cross_network(first, second)
    grams = np.stack([value @ value.transpose(0, 2, 1) for value in (a, b)])
    expected = np.mean([cka(hsic_matrix(grams[:, batches]))[0, 1] for batches in (slice(0, 2), slice(2, 4))])
    assert np.isclose(table.frame["energy"].iloc[0], expected)


def test_a_network_without_signals_has_no_table(hand, draw):
    first = build_recording(hand, ((0, 0),), {"x.a": draw(0)}, "one")
    build = hand()
    build.gradient(draw(1), signal=False)
    assert cross_network(first, build.recording()) is None
