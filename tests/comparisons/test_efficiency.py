"""Cost and speed of backbone and whole network, beside duplication as measured and given each loss."""

import pandas as pd
import pytest
from ledgers import LOSSES, duplication_by_loss

from gradlens.catalogue.losses import FORWARD, FORWARD_OF_BACKBONE
from gradlens.comparisons.efficiency import efficiency
from gradlens.results import Table

STAGES = {"4": 1.0, "8": 2.0, "neck 8 top-down": 3.0, "head 8 box": 4.0, "head": 0.5, "whole": 10.5}


def tables(stages=STAGES, speeds=(FORWARD, FORWARD_OF_BACKBONE, "forward + backward")):
    cost = pd.DataFrame(
        [{"network": "net", "stage": stage, "flops": flops} for stage, flops in stages.items()]
    )
    timed = [{"network": "net", "pass": name, "images_per_second": 10.0 + at, "low": 9.0, "high": 12.0}
             for at, name in enumerate(speeds)]  # fmt: skip
    frames = {
        "cost": cost,
        "throughput": pd.DataFrame(timed),
        "duplication_by_loss": duplication_by_loss(["net"]),
    }
    return {name: Table(name, frame, "") for name, frame in frames.items() if len(frame)}


def values(frame, quantity):
    return frame[frame["quantity"] == quantity].set_index("part")["value"].to_dict()


def test_the_backbone_is_the_sum_over_the_stages_named_by_a_stride():
    frame = efficiency(tables()).frame
    assert values(frame, "flops") == {"backbone": 3.0, "whole": 10.5}


def test_speeds_are_of_the_forward_pass_with_their_range():
    frame = efficiency(tables()).frame
    assert values(frame, "images_per_second") == {"whole": 10.0, "backbone": 11.0}
    assert set(frame.loc[frame["quantity"] == "images_per_second", "high"]) == {12.0}


def test_duplication_is_that_of_all_signals_then_given_each_loss():
    frame = efficiency(tables()).frame
    rows = frame[frame["quantity"] == "rarefied_duplication"]
    by_loss = duplication_by_loss(["net"]).query("stage == 'whole'").set_index("loss")
    expected = {"": by_loss.loc["all", "rarefied_duplication"]} | {
        loss: by_loss.loc[loss, "rarefied_duplication_given"] for loss in (*LOSSES, "all")
    }
    assert rows.set_index("loss")["value"].to_dict() == pytest.approx(expected)


def test_without_speeds_the_other_numbers_are_there():
    frame = efficiency(tables(speeds=())).frame
    assert set(frame["quantity"]) == {"flops", "rarefied_duplication"}


def test_the_blocks_of_a_network_without_strides_are_its_backbone():
    frame = efficiency(tables(stages={"blocks.0": 1.0, "head": 1.0, "whole": 2.0})).frame
    assert values(frame, "flops") == {"backbone": 1.0, "whole": 2.0}


@pytest.mark.parametrize("missing", ["cost", "duplication_by_loss"])
def test_a_result_of_one_loss_or_without_costs_has_no_such_table(missing):
    assert efficiency({name: table for name, table in tables().items() if name != missing}) is None
