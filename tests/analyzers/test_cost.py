"""Costs by stage and per image; speeds."""

import numpy as np
import pytest

import gradlens as gl
from gradlens.analyzers.cost import Cost, Throughput
from tests.detectors import scenes_batch, small_fcos


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


def test_a_layer_that_is_called_at_two_levels_counts_at_each_and_its_parameters_once(hand, draw, costs):
    build = hand()
    for stage in ("head 8 cls", "head 16 cls"):
        build.gradient(draw(0), "head.cls", stage)
    build.owners[-1] = build.owners[-1]._replace(call=1)
    counted = {"flops": {"head.cls": 500}, "parameters": {"head.cls": 30}, "saved_bytes": {"head.cls": 12}}
    build.extra["costs"] = costs(
        samples=2, by_call={"flops": {"head.cls": [400, 100]}, "saved_bytes": {"head.cls": [12]}}, **counted
    )
    frame = Cost()(build.recording()).frame.set_index("stage")
    assert frame.flops.to_dict() == {"head 8 cls": 200, "head 16 cls": 50, "whole": 250}
    assert frame.parameters.to_dict() == {"head 8 cls": 30, "head 16 cls": 0, "whole": 30}
    assert frame.saved_bytes["whole"] == 6  # the second call keeps nothing
    build.extra["costs"] = costs(samples=2, **counted)  # a recording without costs by call
    frame = Cost()(build.recording()).frame.set_index("stage")
    assert frame.flops.to_dict() == {"head 8 cls": 250, "head 16 cls": 0, "whole": 250}


def test_the_levels_of_a_shared_head_cost_as_their_convolutions_do():
    model = small_fcos().train()
    batches = [scenes_batch(seed) for seed in (0,)]
    cost = Cost()(gl.capture(model, batches, throughput=0)).frame.set_index("stage")
    fine, coarse = (cost.flops[f"head {stride} cls"] for stride in (4, 8))
    kernels = sum(p.numel() for n, p in model.head.classification_head.named_parameters() if p.dim() == 4)
    assert (fine, coarse) == (2 * 64 * kernels, 2 * 16 * kernels)
    assert cost.parameters["head 8 cls"] == 0
    assert cost.parameters["whole"] == sum(parameter.numel() for parameter in model.parameters())


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
