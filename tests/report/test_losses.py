"""The page of a result of several losses: captions, the leading figure and the tables."""

import pytest
from ledgers import LOSSES, conflicts, duplication_by_loss, efficiency, losses

from gradlens.report import page
from gradlens.report.captions import caption
from gradlens.report.opening import leading
from gradlens.report.sections import sections
from gradlens.results import Result, Table


def test_the_ledger_leads_the_page():
    assert leading(["duplication", "flow", "contrasts", "losses", "conflicts"]) == "losses"


def test_the_caption_of_the_ledger_has_the_shares_and_where_the_largest_is_lowest_and_highest():
    text = caption("losses", losses(["net"]))
    assert text == (
        "net: classification 75 %, bbox_regression 12 %, centerness 12 % of the energy; classification from 40 %"
        " (stride 4) to 70 % (head 8 box)."
    )


def test_the_caption_of_conflicts_counts_the_signals_in_conflict():
    frame = conflicts(["net"], names=("cls", "box"))
    signals = frame[frame["level"] == "signal"]
    count = int((signals["conflict"] > 0.5).sum())
    assert caption("conflicts", frame) == (
        f"net: cls and box: mean cosine 0.00, more than half of the samples in conflict at {count} of {len(signals)}"
        " signals."
    )


def test_the_caption_of_duplication_has_it_as_measured_and_given_each_loss():
    text = caption("duplication_by_loss", duplication_by_loss(["net"]))
    given = ", ".join(
        f"{value} given {loss}" for value, loss in zip(("0.500", "0.400", "0.300"), LOSSES, strict=True)
    )
    assert text == f"net: D_m 0.500 over the whole network; {given}, 0.200 given all losses."


def test_the_caption_of_efficiency_has_the_numbers_of_backbone_and_network():
    text = caption("efficiency", efficiency(["net"]))
    assert "15.0\N{NARROW NO-BREAK SPACE}G FLOPs per image, 5.00\N{NARROW NO-BREAK SPACE}G" in text
    assert (
        "in the backbone, 3.333 images per second, 10.0 images per second in the backbone, D_m 0.500." in text
    )


@pytest.mark.parametrize("name", ["losses", "conflicts", "duplication_by_loss", "efficiency"])
def test_a_table_without_values_has_a_caption_without_numbers(name):
    make = {"losses": losses, "conflicts": conflicts, "duplication_by_loss": duplication_by_loss}
    frame = make.get(name, efficiency)(["net"])
    frame[frame.select_dtypes("float").columns] = float("nan")
    assert "nan" not in caption(name, frame)


def test_the_page_has_the_tables_with_their_stages_in_order():
    frames = {"losses": losses(["net"]), "conflicts": conflicts(["net"])}
    result = Result(
        {name: Table(name, frame, "") for name, frame in frames.items()}, {"a": "net"}, "Finding."
    )
    shown = {section["name"]: section for section in sections(result, {})}
    assert list(shown) == ["losses", "conflicts"]
    text = page.page(result, {})
    assert "Ledger of the losses" in text
    assert "neck 16 top-down" in text
