"""The duplication table on signals that are copies, unrelated, dead or follow the loss."""

import numpy as np
import pytest
from oracles.residual import cka_by_regression

from gradlens.analyzers.duplication import Duplication
from gradlens.catalogue.versions import DIRECTION, VERSIONS
from gradlens.metrics import cka, direction, duplication, hsic_matrix


def row_of(table, stage, version="energy", seed=0):
    frame = table.frame
    rows = frame[(frame.stage == stage) & (frame.version == version) & (frame.seed == seed)]
    assert len(rows) == 1
    return rows.iloc[0]


@pytest.fixture
def staged(hand, draw):
    """Stage 4: three copies of different size. Stage 8: a dead signal and two partly similar ones."""
    build = hand(meta=1)
    a, b = draw(0), draw(1)
    for scale in (1.0, 10.0, 0.01):
        build.gradient(scale * a, stage="4")
    build.gradient(0 * a, stage="8")
    build.gradient(b, stage="8")
    build.gradient(np.concatenate([a, b], axis=-1), stage="8")
    build.gradient(0 * a, stage="head")
    return build.recording()


def test_one_row_per_seed_stage_and_version_and_one_for_the_whole(staged):
    frame = Duplication()(staged).frame
    assert [*dict.fromkeys(frame.stage)] == ["4", "8", "head", "whole"]
    assert [*dict.fromkeys(frame.version)] == [version.label for version in VERSIONS]
    assert len(frame) == 4 * 4
    assert set(frame.network) == {"net"}


def test_copies_in_a_stage_count_as_one_signal(staged):
    row = row_of(Duplication()(staged), "4")
    assert (row.signals, row.used, row.dead, row.reason) == (3, 3, 0, "")
    assert row.n_eff == pytest.approx(1)
    assert row.n_eff_share == pytest.approx(1 / 3)
    assert row.duplication == pytest.approx(1)
    assert row.mean_similarity == pytest.approx(1)


def test_dead_signals_are_left_out_and_counted(staged):
    row = row_of(Duplication()(staged), "8")
    live = staged.grams[[4, 5]]
    r = cka(hsic_matrix(live))[0, 1]
    p = np.array([1 + r, 1 - r]) / 2
    assert (row.signals, row.used, row.dead, row.reason) == (3, 2, 1, "")
    assert row.mean_similarity == pytest.approx(r)
    assert row.n_eff == pytest.approx(np.prod(p**-p))
    assert row.n_eff_share == pytest.approx(np.prod(p**-p) / 2)
    assert row.duplication == pytest.approx(2 - np.prod(p**-p))


def test_the_whole_is_over_all_live_signals(staged):
    row = row_of(Duplication()(staged), "whole")
    assert (row.signals, row.used, row.dead) == (7, 5, 2)
    assert row.duplication == pytest.approx(duplication(cka(hsic_matrix(staged.grams[[0, 1, 2, 4, 5]]))))


def test_a_stage_of_one_signal_reports_why_it_has_no_value(staged):
    row = row_of(Duplication()(staged), "head")
    assert np.isnan([row.duplication, row.n_eff, row.n_eff_share, row.mean_similarity]).all()
    assert row.reason == "one signal cannot duplicate itself"


def test_a_stage_of_dead_signals_reports_the_reason(hand, draw):
    build = hand()
    for scale in (0, 0, 1):
        build.gradient(scale * draw(0))
    row = row_of(Duplication()(build.recording()), "4")
    assert np.isnan(row.duplication)
    assert row.reason == "2 of 3 signals are exactly zero at this state"


def test_direction_does_not_depend_on_the_size_of_samples(hand, draw):
    build = hand()
    size = np.geomspace(0.01, 100, 16)[None, :, None]
    build.gradient(draw(0))
    build.gradient(draw(0) * size)
    table = Duplication()(build.recording())
    assert row_of(table, "whole", "direction").duplication == pytest.approx(1)
    assert row_of(table, "whole", "energy").duplication < 0.5


@pytest.fixture
def loss_driven(hand, draw, seeds):
    """The first two signals share only the loss signal, the last two another one; the loss signal is the fifth."""
    replicates = 8
    build = hand(seeds(1, replicates))
    loss, other = draw(10, replicates, width=9), draw(11, replicates, width=9)
    for number in range(4):
        shared = loss if number < 2 else other
        build.gradient(
            np.concatenate([3 * shared, draw(number, replicates, width=9)], axis=-1), stage="48"[number > 1]
        )
    build.loss = build.gradient(loss, module="fc", stage="head")
    return build.recording()


def test_given_the_loss_only_unexplained_similarity_is_left(loss_driven):
    table = Duplication()(loss_driven)
    for stage in ("4", "8"):
        assert row_of(table, stage).duplication > 0.7
    assert row_of(table, "4", "energy given loss").duplication < 0.05
    assert row_of(table, "8", "energy given loss").duplication > 0.7


@pytest.mark.parametrize("version", ["energy", "direction"])
def test_given_the_loss_equals_regressing_on_it(loss_driven, version):
    row = row_of(Duplication()(loss_driven), "whole", f"{version} given loss")
    grams = loss_driven.grams if version == "energy" else direction(loss_driven.grams)
    matrix = cka_by_regression(grams, 4)[:4, :4]
    assert row.duplication == pytest.approx(duplication(matrix), rel=1e-8)
    assert row.mean_similarity == pytest.approx(matrix[~np.eye(4, dtype=bool)].mean(), rel=1e-8)


def test_the_loss_signal_itself_is_left_out_given_the_loss(loss_driven):
    row = row_of(Duplication()(loss_driven), "whole", "energy given loss")
    assert (row.signals, row.used, row.dead) == (5, 4, 0)


def test_signals_explained_by_the_loss_report_the_reason(hand, draw):
    build = hand()
    build.gradient(draw(0))
    build.gradient(2 * draw(0))
    build.loss = build.gradient(draw(0), signal=False)
    table = Duplication()(build.recording())
    assert row_of(table, "4").duplication == pytest.approx(1)
    row = row_of(table, "4", "energy given loss")
    assert (row.used, row.dead) == (0, 0)
    assert "beyond what the loss explains" in row.reason
    assert np.isnan(row.duplication)


def test_without_a_loss_signal_there_is_no_value_given_the_loss(staged):
    row = row_of(Duplication()(staged), "4", "energy given loss")
    assert np.isnan(row.duplication)
    assert row.used == 0


def test_seeds_are_separate_and_batches_of_a_seed_are_pooled(hand, draw, seeds):
    """Copies in the first seed, unrelated in the second."""
    build = hand(seeds(2, 8))
    a = draw(0, 16)
    b = np.concatenate([a[:8], draw(1, 8)])
    build.gradient(a)
    build.gradient(b)
    table = Duplication()(build.recording())
    assert row_of(table, "whole", seed=0).duplication == pytest.approx(1)
    assert row_of(table, "whole", seed=1).duplication < 0.05


def test_signals_without_a_sample_axis_are_left_out_and_are_not_dead(hand, draw):
    build = hand()
    build.gradient(draw(0))
    build.gradient(draw(0))
    build.gradient(draw(1), sampled=False)
    row = row_of(Duplication()(build.recording()), "whole")
    assert (row.signals, row.used, row.dead) == (3, 2, 0)
    assert row.duplication == pytest.approx(1)


def test_signals_that_do_not_vary_over_samples_are_left_out(hand, draw):
    build = hand()
    build.gradient(draw(0))
    build.gradient(draw(0))
    build.gradient(np.broadcast_to(draw(1)[:, :1], (1, 16, 40)))
    row = row_of(Duplication()(build.recording()), "whole")
    assert (row.used, row.dead) == (2, 0)


def test_a_recording_of_forks_alone_has_no_table(hand, draw):
    build = hand()
    build.gradient(draw(0), signal=False)
    assert Duplication()(build.recording()) is None


def test_one_version_can_be_requested(staged):
    assert set(Duplication(versions=(DIRECTION,))(staged).frame.version) == {"direction"}
