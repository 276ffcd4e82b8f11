"""Costs by stage and per image; speeds."""

import numpy as np
import pytest

from gradlens.analyzers.cost import Cost, Throughput


@pytest.fixture
def recording(hand, draw, costs):
    build = hand()
    build.gradient(draw(0), "stem.conv", "2")
    build.gradient(draw(0), "body.0.conv", "4")
    build.gradient(draw(0), "body.0.bn", "4", signal=False)
    build.gradient(draw(0), "body.1", "4")
    build.gradient(draw(0), "fc", "head")
    build.extra["costs"] = costs(
        samples=2,
        parameters={"stem.conv": 10, "body.0.conv": 20, "body.0.bn": 4, "fc": 7, "unused": 1},
        flops={"stem.conv": 200, "body.0.conv": 400, "body.1": 100, "fc": 20},
        traffic={"stem.conv": 8, "body.1.inner": 6},
        traffic_bytes={"stem.conv": 32},
        saved_bytes={"": 50, "body.0.bn": 64},
        largest=[200, 400, 100, 20],
        peak_bytes=1000,
    )
    return build.recording()


def test_costs_are_assigned_to_stages_and_counted_per_image(recording):
    frame = Cost()(recording).frame.set_index("stage")
    assert frame.index.tolist() == ["2", "4", "head", "whole"]
    assert frame.flops.tolist() == [100, 250, 10, 360]
    assert frame.layers.tolist() == [1, 2, 1, 4]
    assert frame.traffic_elements.tolist() == [4, 3, 0, 7]
    assert frame.traffic_bytes.tolist() == [16, 0, 0, 16]
    assert frame.saved_bytes.tolist() == [0, 32, 25, 57]


def test_parameters_are_not_per_image_and_unplaced_ones_are_in_the_head(recording):
    frame = Cost()(recording).frame.set_index("stage")
    assert frame.parameters.tolist() == [10, 24, 8, 42]


def test_peak_and_bottleneck_are_of_the_whole(recording):
    frame = Cost()(recording).frame.set_index("stage")
    assert frame.peak_bytes["whole"] == 500
    assert frame.bottleneck["whole"] == pytest.approx(400 / 180)
    assert frame.loc[["2", "4", "head"], ["peak_bytes", "bottleneck"]].isna().all(axis=None)


def test_without_counted_costs_there_is_no_table(hand, draw):
    build = hand()
    build.gradient(draw(0))
    assert Cost()(build.recording()) is None


def test_speeds_are_medians_with_their_range(hand, draw):
    build = hand()
    build.gradient(draw(0))
    build.extra["throughput"] = {"forward": [10.0, 40.0, 20.0], "forward + backward": [4.0, 6.0], "none": []}
    table = Throughput()(build.recording())
    rows = table.frame[["pass", "images_per_second", "low", "high", "repeats"]].to_numpy().tolist()
    assert rows == [["forward", 20, 10, 40, 3], ["forward + backward", 5, 4, 6, 2]]
    assert not table.reproducible
    build.extra["throughput"] = {}
    assert Throughput()(build.recording()) is None


def test_without_layers_there_is_no_bottleneck(hand, draw, costs):
    build = hand()
    build.gradient(draw(0))
    build.extra["costs"] = costs()
    assert np.isnan(Cost()(build.recording()).frame.bottleneck.iloc[-1])
