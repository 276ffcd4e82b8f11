"""Each row of a gradient belongs to its sample, also where the network reorders, selects or mixes samples."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence

import gradlens as gl

N = 8
ORDER = torch.tensor([3, 0, 7, 1, 6, 2, 5, 4])


class Reordered(nn.Module):
    """Computes its middle layer with the samples in another order, and puts them back."""

    def __init__(self, away: Callable[[Tensor], Tensor], back: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.away, self.back = away, back
        self.first, self.middle, self.last = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.back(torch.relu(self.middle(self.away(torch.relu(self.first(x)))))))


def same(x: Tensor) -> Tensor:
    return x


SPELLINGS = {
    "index": (lambda h: h[ORDER], lambda h: h[ORDER.argsort()]),
    "index_select": (lambda h: h.index_select(0, ORDER), lambda h: h.index_select(0, ORDER.argsort())),
    "index_copy back": (lambda h: h[ORDER], lambda h: torch.zeros_like(h).index_copy(0, ORDER, h)),
    "index_add back": (lambda h: h[ORDER], lambda h: torch.zeros_like(h).index_add(0, ORDER, h)),
    "index_put back": (lambda h: h[ORDER], lambda h: torch.zeros_like(h).index_put((ORDER,), h)),
    "roll": (lambda h: h.roll(3, 0), lambda h: h.roll(-3, 0)),
    "flip": (lambda h: h.flip(0), lambda h: h.flip(0)),
    "in parts": (lambda h: torch.cat([h[5:], h[:5]]), lambda h: h.roll(5, 0)),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_reordered_samples_are_put_back(name):
    batch = (torch.randn(N, 6), torch.randint(0, 5, (N,)))
    plain = gl.capture(Reordered(same, same), [batch]).signal_grams
    moved = gl.capture(Reordered(*SPELLINGS[name]), [batch])
    np.testing.assert_allclose(moved.signal_grams, plain, rtol=1e-5, atol=1e-9)


def test_an_order_that_cannot_be_told_is_marked_and_left_out():
    """A gather with one index per element saves no order of rows."""
    index = ORDER[:, None].expand(N, 8)
    net = Reordered(
        lambda h: h.gather(0, index), lambda h: h.gather(0, ORDER.argsort()[:, None].expand(N, 8))
    )
    recording = gl.capture(net, [(torch.randn(N, 6), torch.randint(0, 5, (N,)))])
    sampled = {signal.probe.module: signal.sampled for signal in recording.signals}
    assert sampled == {"first": False, "middle": False, "last": True} or sampled["first"]
    assert not sampled["middle"]


def test_an_index_along_channels_or_time_does_not_concern_the_samples():
    net = Reordered(lambda h: h[:, ORDER], lambda h: h.flip(1))
    recording = gl.capture(net, [(torch.randn(N, 6), torch.randint(0, 5, (N,)))])
    assert all(signal.sampled and not signal.probe.rows for signal in recording.signals)


def test_messages_between_samples_leave_the_rows_in_order():
    class Mixing(Reordered):
        def forward(self, x: Tensor) -> Tensor:
            h = torch.relu(self.first(x))
            return self.last(torch.relu(self.middle(h + h.roll(1, 0))))

    net, (x, y) = Mixing(same, same), (torch.randn(N, 6), torch.randint(0, 5, (N,)))
    recording = gl.capture(net, [(x, y)])
    hidden = net.first(x)
    hidden.retain_grad()
    h = torch.relu(hidden)
    functional.cross_entropy(net.last(torch.relu(net.middle(h + h.roll(1, 0)))), y).backward()
    gradient = hidden.grad * N
    np.testing.assert_allclose(
        recording.signal_grams[0, 0], (gradient @ gradient.T).numpy(), rtol=1e-4, atol=1e-9
    )


def test_a_packed_sequence_is_read_in_the_order_of_the_batch():
    """Sample by sample, the gradient at the hidden projection of the first step of a GRU."""
    torch.manual_seed(0)
    lengths = torch.tensor([4, 3, 2, 4, 1, 2, 3, 4])
    cell, head = nn.GRU(6, 8, batch_first=True).double(), nn.Linear(8, 5).double()

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell, self.head = cell, head

        def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
            packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            return self.head(self.cell(packed)[1][-1])

    x, y = torch.randn(N, 4, 6).double(), torch.randint(0, 5, (N,))
    step = lambda model, batch: functional.cross_entropy(model(batch[0], batch[1]), batch[2])  # noqa: E731
    recording = gl.capture(Net(), [(x, lengths, y)], step=step)

    def alone(sample: int) -> Tensor:
        hidden, first = torch.zeros(1, 8).double(), None
        for time in range(int(lengths[sample])):
            entering = functional.linear(x[sample : sample + 1, time], cell.weight_ih_l0, cell.bias_ih_l0)
            recurrent = functional.linear(hidden, cell.weight_hh_l0, cell.bias_hh_l0)
            recurrent.retain_grad()
            first = recurrent if first is None else first
            (r, z, n), (hr, hz, hn) = entering.chunk(3, 1), recurrent.chunk(3, 1)
            update = torch.sigmoid(z + hz)
            candidate = torch.tanh(n + torch.sigmoid(r + hr) * hn)
            hidden = candidate + update * (hidden - candidate)
        functional.cross_entropy(head(hidden), y[sample : sample + 1]).backward()
        return first.grad[0]

    gradient = torch.stack([alone(sample) for sample in range(N)])
    (signal,) = [signal for signal in recording.signals if signal.probe.shape == (N, 24)]
    np.testing.assert_allclose(recording.grams[signal.number, 0], (gradient @ gradient.T).numpy(), rtol=1e-6)
