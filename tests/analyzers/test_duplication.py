"""The duplication table on signals that are copies, unrelated, dead or follow the loss."""

import numpy as np
import pytest
from oracles.residual import cka_by_regression

from gradlens.analyzers.duplication import Duplication
from gradlens.catalogue.versions import DIRECTION, VERSIONS
from gradlens.metrics import cka, direction, duplication, hsic_matrix


def row(table, stage, version="energy", seed=0):
    frame = table.frame
    own = frame[(frame.stage == stage) & (frame.version == version) & (frame.seed == seed)]
    assert len(own) == 1
    return own.iloc[0]


@pytest.fixture
def staged(hand, draw):
    """Stage 4: three copies of different size. Stage 8: a dead signal, an unlike and a half-like pair."""
    build = hand(meta=1)
    a, b = draw(0), draw(1)
    for scale in (1.0, 10.0, 0.01):
        build.gradient(scale * a, stage="4")
    build.gradient(0 * a, stage="8")
    build.gradient(b, stage="8")
    build.gradient(np.concatenate([a, b], axis=-1), stage="8")
    build.gradient(0 * a, stage="head")
    return build.recording()


def test_a_row_a_seed_stage_and_version_and_one_for_the_whole(staged):
    frame = Duplication()(staged).frame
    assert [*dict.fromkeys(frame.stage)] == ["4", "8", "head", "whole"]
    assert [*dict.fromkeys(frame.version)] == [version.label for version in VERSIONS]
    assert len(frame) == 4 * 4
    assert set(frame.network) == {"net"}


def test_copies_in_a_stage_are_one_signal(staged):
    found = row(Duplication()(staged), "4")
    assert (found.signals, found.used, found.dead, found.reason) == (3, 3, 0, "")
    assert found.n_eff == pytest.approx(1)
    assert found.n_eff_share == pytest.approx(1 / 3)
    assert found.duplication == pytest.approx(1)
    assert found.mean_cka == pytest.approx(1)


def test_dead_signals_are_left_out_and_counted(staged):
    found = row(Duplication()(staged), "8")
    live = staged.grams[[4, 5]]
    r = cka(hsic_matrix(live))[0, 1]
    p = np.array([1 + r, 1 - r]) / 2
    assert (found.signals, found.used, found.dead, found.reason) == (3, 2, 1, "")
    assert found.mean_cka == pytest.approx(r)
    assert found.n_eff == pytest.approx(np.prod(p**-p))
    assert found.n_eff_share == pytest.approx(np.prod(p**-p) / 2)
    assert found.duplication == pytest.approx(2 - np.prod(p**-p))


def test_the_whole_is_over_all_live_signals(staged):
    found = row(Duplication()(staged), "whole")
    assert (found.signals, found.used, found.dead) == (7, 5, 2)
    assert found.duplication == pytest.approx(duplication(cka(hsic_matrix(staged.grams[[0, 1, 2, 4, 5]]))))


def test_a_stage_of_one_signal_says_why_it_has_no_number(staged):
    found = row(Duplication()(staged), "head")
    assert np.isnan([found.duplication, found.n_eff, found.n_eff_share, found.mean_cka]).all()
    assert found.reason == "one signal cannot duplicate itself"


def test_a_stage_of_dead_signals_says_so(hand, draw):
    build = hand()
    for scale in (0, 0, 1):
        build.gradient(scale * draw(0))
    found = row(Duplication()(build.recording()), "4")
    assert np.isnan(found.duplication)
    assert found.reason == "2 of 3 signals are exactly zero at this state"


def test_direction_does_not_see_the_size_of_samples(hand, draw):
    build = hand()
    size = np.geomspace(0.01, 100, 16)[None, :, None]
    build.gradient(draw(0))
    build.gradient(draw(0) * size)
    table = Duplication()(build.recording())
    assert row(table, "whole", "direction").duplication == pytest.approx(1)
    assert row(table, "whole", "energy").duplication < 0.5


@pytest.fixture
def follows(hand, draw, seeds):
    """The first two signals share only the loss signal, the last two something else; the loss is one of them."""
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


def test_given_the_loss_only_what_the_loss_does_not_explain_is_left(follows):
    table = Duplication()(follows)
    for stage in ("4", "8"):
        assert row(table, stage).duplication > 0.7
    assert row(table, "4", "energy given loss").duplication < 0.05
    assert row(table, "8", "energy given loss").duplication > 0.7


@pytest.mark.parametrize("version", ["energy", "direction"])
def test_given_the_loss_equals_regressing_on_it(follows, version):
    found = row(Duplication()(follows), "whole", f"{version} given loss")
    grams = follows.grams if version == "energy" else direction(follows.grams)
    matrix = cka_by_regression(grams, 4)[:4, :4]
    assert found.duplication == pytest.approx(duplication(matrix), rel=1e-8)
    assert found.mean_cka == pytest.approx(matrix[~np.eye(4, dtype=bool)].mean(), rel=1e-8)


def test_the_loss_signal_itself_is_left_out_given_the_loss(follows):
    found = row(Duplication()(follows), "whole", "energy given loss")
    assert (found.signals, found.used, found.dead) == (5, 4, 0)


def test_what_the_loss_explains_says_so(hand, draw):
    build = hand()
    build.gradient(draw(0))
    build.gradient(2 * draw(0))
    build.loss = build.gradient(draw(0), signal=False)
    table = Duplication()(build.recording())
    assert row(table, "4").duplication == pytest.approx(1)
    found = row(table, "4", "energy given loss")
    assert (found.used, found.dead) == (0, 0)
    assert "beyond what the loss explains" in found.reason
    assert np.isnan(found.duplication)


def test_without_a_loss_signal_nothing_is_given_it(staged):
    found = row(Duplication()(staged), "4", "energy given loss")
    assert np.isnan(found.duplication)
    assert found.used == 0


def test_seeds_are_apart_and_batches_of_a_seed_together(hand, draw, seeds):
    """Copies in the first seed, unrelated in the second."""
    build = hand(seeds(2, 8))
    a = draw(0, 16)
    b = np.concatenate([a[:8], draw(1, 8)])
    build.gradient(a)
    build.gradient(b)
    table = Duplication()(build.recording())
    assert row(table, "whole", seed=0).duplication == pytest.approx(1)
    assert row(table, "whole", seed=1).duplication < 0.05


def test_signals_without_a_sample_axis_are_left_out_and_are_not_dead(hand, draw):
    build = hand()
    build.gradient(draw(0))
    build.gradient(draw(0))
    build.gradient(draw(1), sampled=False)
    found = row(Duplication()(build.recording()), "whole")
    assert (found.signals, found.used, found.dead) == (3, 2, 0)
    assert found.duplication == pytest.approx(1)


def test_signals_that_do_not_vary_over_samples_are_left_out(hand, draw):
    build = hand()
    build.gradient(draw(0))
    build.gradient(draw(0))
    build.gradient(np.broadcast_to(draw(1)[:, :1], (1, 16, 40)))
    found = row(Duplication()(build.recording()), "whole")
    assert (found.used, found.dead) == (2, 0)


def test_a_recording_of_forks_alone_has_no_table(hand, draw):
    build = hand()
    build.gradient(draw(0), signal=False)
    assert Duplication()(build.recording()) is None


def test_one_version_may_be_asked_for(staged):
    assert set(Duplication(versions=(DIRECTION,))(staged).frame.version) == {"direction"}
