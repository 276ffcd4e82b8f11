"""Size, rank and agreement of signals, and the slope over depth."""

import numpy as np
import pytest
import torch
from torch import nn

import gradlens as gl
from gradlens.analyzers.flow import CANCELLED, DEAD, Flow, flow_slope


def test_rms_is_per_sample_and_element(hand):
    build = hand()
    g = np.zeros((1, 4, 3, 2, 2))
    g[0, :, ...] = np.array([1.0, 2.0, 3.0, 6.0])[:, None, None, None]
    build.gradient(g, "a.conv", "8", depth=5)
    (row,) = Flow()(build.recording()).frame.itertuples()
    assert row.rms == pytest.approx(3)
    assert row.rms_spread == pytest.approx(np.std([1, 2, 3, 6]))
    assert row.norm == pytest.approx(3 * np.sqrt(12))
    assert (row.network, row.stage, row.signal, row.role, row.depth) == (
        "net",
        "8",
        "a.conv",
        "signal",
        5,
    )
    assert not row.dead


def test_ranks_and_agreement_are_means_over_batches(hand, seeds):
    """A batch of orthogonal samples, then one of equal ones."""
    build = hand(seeds(1, 2))
    build.gradient(np.stack([np.eye(4), np.tile(np.eye(4)[0], (4, 1))]))
    build.extra["labels"] = np.array([[0, 0, 1, 1], [0, 0, 1, 1]])
    (row,) = Flow()(build.recording()).frame.itertuples()
    for name in ("effective_rank", "stable_rank", "participation_ratio"):
        assert getattr(row, name) == pytest.approx((4 + 1) / 2, rel=1e-5)
    assert row.diversity == pytest.approx((1 + 1 / 4) / 2)
    assert (row.stiffness_within, row.stiffness_across, row.confusion) == pytest.approx((0.5, 0.5, 0.5))


def test_classes_are_compared_within_a_batch(hand, seeds):
    """Samples 0 and 1 agree in the first batch and share a class only there."""
    build = hand(seeds(1, 2))
    g = np.eye(4)
    g[1] = g[0]
    build.gradient(np.stack([g, g]))
    build.extra["labels"] = np.array([[0, 0, 1, 2], [0, 1, 2, 3]])
    (row,) = Flow()(build.recording()).frame.itertuples()
    assert row.stiffness_within == pytest.approx(1)  # the second batch has no pair within a class
    assert row.stiffness_across == pytest.approx((0 + 1 / 6) / 2)


def test_without_labels_every_pair_is_across(hand):
    build = hand()
    build.gradient(np.ones((1, 4, 2)))
    (row,) = Flow()(build.recording()).frame.itertuples()
    assert np.isnan(row.stiffness_within)
    assert row.stiffness_across == pytest.approx(1)


def test_a_dead_signal_is_marked_and_has_size_zero(hand):
    build = hand()
    build.gradient(np.zeros((1, 4, 2)))
    (row,) = Flow()(build.recording()).frame.itertuples()
    assert row.dead
    assert (row.rms, row.norm) == (0, 0)
    assert np.isnan([row.effective_rank, row.diversity, row.confusion]).all()


def test_only_recordings_of_all_sites_show_other_gradients(hand, draw):
    build = hand(sites="signals")
    build.gradient(draw(0), "relu", signal=False)
    build.gradient(draw(1), "conv")
    build.gradient(draw(2), "odd", sampled=False)
    assert Flow()(build.recording()).frame.role.tolist() == ["signal"]
    build.meta["sites"] = "all"
    frame = Flow()(build.recording()).frame
    assert list(zip(frame.signal, frame.role, strict=True)) == [("relu:conv", "other"), ("conv", "signal")]


def test_the_slope_is_in_decades_per_layer(hand, draw):
    """RMS falls tenfold every second layer; the dead signal and the one without samples do not count."""
    build = hand()
    for depth in range(1, 6):
        build.gradient(draw(0) * 10 ** (-depth / 2), depth=depth, stage="4" if depth < 4 else "8")
    build.gradient(0 * draw(0), depth=6, stage="8")
    build.gradient(draw(0), depth=7, stage="8", sampled=False)
    recording = build.recording()
    assert flow_slope(recording) == pytest.approx(-0.5)
    assert flow_slope(recording, "8") == pytest.approx(-0.5)


def test_the_slope_does_not_depend_on_the_number_of_elements(hand):
    build = hand()
    for depth, width in enumerate((2, 200, 7)):
        build.gradient(np.full((1, 4, width), 10.0**depth), depth=depth)
    assert flow_slope(build.recording()) == pytest.approx(1)


def test_one_depth_has_no_slope(hand, draw):
    build = hand()
    build.gradient(draw(0), depth=3)
    build.gradient(draw(1), depth=3)
    assert np.isnan(flow_slope(build.recording()))


class OnePosition(nn.Module):
    """A batch norm that sees one position per sample: the gradients in front of it cancel over the batch."""

    def __init__(self):
        super().__init__()
        self.stem, self.norm, self.head = nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 4)

    def forward(self, x):
        return self.head(torch.tanh(self.norm(self.stem(x))))


@pytest.mark.parametrize("precision", [torch.float32, torch.float64])
def test_gradients_that_cancel_have_no_diversity_and_a_reason(precision):
    torch.manual_seed(0)
    batch = (torch.randn(16, 6, dtype=precision), torch.arange(16) % 4)
    recording = gl.capture(OnePosition().to(precision), [batch], costs=False)
    frame = Flow()(recording).frame.set_index("signal")
    assert np.isnan(frame.loc["stem", "diversity"])
    assert frame.loc["stem", "reason"] == CANCELLED
    assert np.isfinite(frame.loc["head", "diversity"])
    assert frame.loc["head", "reason"] == ""


def test_signals_without_labels_or_gradients_have_a_reason():
    torch.manual_seed(0)
    x = torch.randn(6, 6)
    model = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4))
    recording = gl.capture(model, [x], step=lambda m, b: m(b).pow(2).mean(), costs=False)
    assert "stiffness_within: no labels" in Flow()(recording).frame["reason"].iloc[0]
    recording = gl.capture(model, [x], step=lambda m, b: m(b[:1]).pow(2).sum() + 0 * m(b).sum(), costs=False)
    reasons = Flow()(recording).frame["reason"]
    assert any("fewer than two samples have a gradient" in reason or reason == DEAD for reason in reasons)
