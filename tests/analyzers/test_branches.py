"""Branches of forks, parts of splits: similarity, cosine, shares and coherence from hand-made vectors."""

import numpy as np
import pytest

from gradlens.analyzers.branches import Branches, Shares
from gradlens.analyzers.structure import cross_terms
from gradlens.metrics import cka, hsic_matrix


def fork(hand, a, b, **meta):
    """Two contributions to one tensor, and their sum."""
    build = hand(((0, 0),), **meta)
    numbers = [build.gradient(g[None], signal=False) for g in (a, b)]
    total = build.gradient((a + b)[None])
    build.group(numbers, total, labels=("skip", "residual"))
    return build


def vectors():
    """Cosines 1, 0, -1, 0.6, and a sample without gradient on the second branch."""
    a = np.array([[1.0, 0], [2, 0], [3, 0], [5, 0], [1, 1]])
    b = np.array([[7.0, 0], [0, 4], [-3, 0], [3, 4], [0, 0]])
    return a, b


def test_the_cosine_of_two_branches_is_exact(hand):
    (row,) = Branches()(fork(hand, *vectors()).recording()).frame.itertuples()
    assert row.cosine == pytest.approx((1 + 0 - 1 + 0.6) / 4)
    assert row.cosine_exact
    assert (row.branch_a, row.branch_b, row.site, row.where, row.kind) == (
        "skip",
        "residual",
        "block:add",
        "fork",
        "residual",
    )


def test_shares_and_coherence_match_the_vectors(hand):
    a, b = vectors()
    frame = Shares()(fork(hand, a, b).recording()).frame
    total = (a**2).sum() + (b**2).sum()
    assert frame.branch.tolist() == ["skip", "residual"]
    assert frame.share.tolist() == pytest.approx([(a**2).sum() / total, (b**2).sum() / total])
    assert frame.coherence.tolist() == pytest.approx([((a + b) ** 2).sum() / total] * 2)
    assert frame.weighted_layers.tolist() == [0, 1]


@pytest.mark.parametrize(("factor", "coherence"), [(1.0, 2.0), (-1.0, 0.0), (0.0, 1.0)])
def test_coherence_of_equal_cancelling_and_lone_branches(hand, factor, coherence):
    a, _ = vectors()
    frame = Shares()(fork(hand, a, factor * a).recording()).frame
    assert frame.coherence.tolist() == pytest.approx([coherence] * 2)


def test_shares_and_coherence_are_means_over_seeds_like_their_intervals(hand, seeds):
    """One seed's gradients are 100 times as large: seeds count equally, batches of a seed by their energy."""
    a, b = vectors()
    firsts, seconds = np.stack([a, 100 * b, a]), np.stack([b, 100 * a, -b])
    build = hand(seeds(3))
    numbers = [build.gradient(g, signal=False) for g in (firsts, seconds)]
    build.group(numbers, build.gradient(firsts + seconds), labels=("skip", "residual"))
    recording = build.recording()
    frame = Shares()(recording).frame
    single = [Shares()(recording.of_seed(seed)).frame for seed in recording.seeds]
    assert frame.share.tolist() == pytest.approx(np.mean([rows.share for rows in single], axis=0))
    assert frame.coherence[0] == pytest.approx(np.mean([rows.coherence[0] for rows in single]))
    ((_, size),) = cross_terms(recording)
    assert size == pytest.approx(np.mean([abs(rows.coherence[0] - 1) for rows in single]))


def test_a_fork_without_gradient_has_no_shares(hand):
    a, _ = vectors()
    frame = Shares()(fork(hand, 0 * a, 0 * a).recording()).frame
    assert frame.share.isna().all()
    assert frame.coherence.isna().all()


def test_similarity_is_the_cka_of_the_branch_grams(hand, draw):
    a, b = draw(0)[0], draw(0)[0] + draw(1)[0]
    (row,) = Branches()(fork(hand, a, b).recording()).frame.itertuples()
    expected = cka(hsic_matrix(np.stack([a @ a.T, b @ b.T])[:, None]))[0, 1]
    assert row.energy == pytest.approx(expected)
    assert 0.2 < row.energy < 0.9
    assert np.isnan(row.energy_given_loss)


def test_parts_of_a_split_have_similarity_and_no_cosine(hand, draw):
    build = hand()
    g = draw(0)
    numbers = [build.gradient(g[..., :20], signal=False), build.gradient(g[..., 20:], signal=False)]
    build.group(numbers, build.gradient(g), where="split", kind="parallel", labels=("bypass", "dense"))
    recording = build.recording()
    (row,) = Branches()(recording).frame.itertuples()
    assert np.isfinite(row.energy)
    assert np.isnan(row.cosine)
    assert not row.cosine_exact
    shares = Shares()(recording).frame
    assert shares.share.sum() == pytest.approx(1)
    assert shares.share[0] == pytest.approx((g[..., :20] ** 2).sum() / (g**2).sum())
    assert shares.coherence.isna().all()


def test_a_branch_of_several_gradients_is_their_concatenation(hand, draw):
    build = hand()
    g = draw(0)
    first = (build.gradient(g[..., :10], signal=False), build.gradient(g[..., 10:30], signal=False))
    build.group([first, build.gradient(g[..., 30:], signal=False)], where="merge", kind="parallel")
    recording = build.recording()
    (row,) = Branches()(recording).frame.itertuples()
    a, b = g[0, :, :30], g[0, :, 30:]
    assert row.energy == pytest.approx(cka(hsic_matrix(np.stack([a @ a.T, b @ b.T])[:, None]))[0, 1])
    assert Shares()(recording).frame.share[0] == pytest.approx((a**2).sum() / (g**2).sum())


@pytest.mark.parametrize(("pairs", "exact"), [("sketch", False), ("exact", True)])
def test_three_branches_take_cosines_from_recorded_inner_products(hand, draw, pairs, exact):
    build = hand(pairs=pairs)
    branches = [draw(number) for number in range(3)]
    numbers = [build.gradient(g, signal=False) for g in branches]
    group = build.group(numbers, build.gradient(np.sum(branches, axis=0)))
    build.inner[group] = np.array([[(a * b).sum(-1) for b in branches] for a in branches]).transpose(
        2, 0, 1, 3
    )
    frame = Branches()(build.recording()).frame
    expected = [
        np.mean(
            (branches[a] * branches[b]).sum(-1)
            / np.sqrt((branches[a] ** 2).sum(-1) * (branches[b] ** 2).sum(-1))
        )
        for a, b in ((0, 1), (0, 2), (1, 2))
    ]
    assert frame.cosine.tolist() == pytest.approx(expected)
    assert frame.cosine_exact.tolist() == [exact] * 3


def test_three_branches_without_inner_products_have_no_cosine(hand, draw):
    build = hand()
    branches = [draw(number) for number in range(3)]
    build.group([build.gradient(g) for g in branches], build.gradient(np.sum(branches, axis=0)))
    frame = Branches()(build.recording()).frame
    assert frame.cosine.isna().all()
    assert not frame.cosine_exact.any()


def test_a_dead_branch_is_named(hand, draw):
    g = draw(0)[0]
    (row,) = Branches()(fork(hand, g, 0 * g).recording()).frame.itertuples()
    assert np.isnan(row.energy)
    assert np.isnan(row.cosine)
    assert row.reason == "residual is exactly zero at this state"


def test_similarity_is_a_mean_over_seeds(hand, draw, seeds):
    """Equal in the first seed, unrelated in the second."""
    build = hand(seeds(2))
    a, b = draw(0, 2), draw(1, 2)
    b[0] = a[0]
    build.group([build.gradient(a), build.gradient(b)], build.gradient(a + b))
    recording = build.recording()
    (row,) = Branches()(recording).frame.itertuples()
    per_seed = [Branches()(recording.of_seed(seed)).frame.energy[0] for seed in (0, 1)]
    assert per_seed[0] == pytest.approx(1)
    assert abs(per_seed[1]) < 0.5
    assert row.energy == pytest.approx(np.mean(per_seed))


def test_without_groups_there_is_no_table(hand, draw):
    build = hand()
    build.gradient(draw(0))
    assert Branches()(build.recording()) is None
    assert Shares()(build.recording()) is None


def test_the_reason_holds_over_all_batches(hand, draw):
    """A branch that varies too little over all batches has no similarity, though it varies enough in some."""
    build = hand([(0, batch) for batch in range(4)])
    flat = draw(0, 4)
    flat[0] = 1e8
    numbers = [build.gradient(g, signal=False) for g in (flat, draw(1, 4))]
    build.group(numbers, where="split", labels=("bypass", "dense"))
    (row,) = Branches()(build.recording()).frame.itertuples()
    assert np.isnan(row.energy)
    assert row.reason == "bypass has no sample axis, or does not vary over samples"
