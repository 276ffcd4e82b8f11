"""Each row of a gradient belongs to its sample, also where the network reorders, selects or mixes samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

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
    (steps,) = [signal.probe.steps for signal in recording.signals if signal.name == "cell.hh_l0"]
    np.testing.assert_allclose(recording.grams[steps[0], 0], (gradient @ gradient.T).numpy(), rtol=1e-6)


class Experts(nn.Module):
    """Sends each token to two of four experts, in several spellings; ``dense`` runs every expert on every token."""

    def __init__(self, spelling: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.spelling = spelling
        self.enter, self.gate, self.leave = nn.Linear(6, 8), nn.Linear(8, 4, bias=False), nn.Linear(8, 5)
        self.experts = nn.ModuleList(nn.Linear(8, 8) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        tokens = torch.relu(self.enter(x)).reshape(-1, 8)
        weights, chosen = self.gate(tokens).softmax(-1).topk(2)
        mixed = getattr(self, self.spelling)(tokens, weights, chosen)
        return self.leave(mixed.reshape(*x.shape[:-1], 8).flatten(1, -2).mean(1) if x.dim() > 2 else mixed)

    def dense(self, tokens: Tensor, weights: Tensor, chosen: Tensor) -> Tensor:
        return sum(
            expert(tokens) * (weights * (chosen == number)).sum(1, keepdim=True)
            for number, expert in enumerate(self.experts)
        )

    def masks(self, tokens: Tensor, weights: Tensor, chosen: Tensor) -> Tensor:
        mixed, hits = torch.zeros_like(tokens), functional.one_hot(chosen, 4).permute(2, 1, 0)
        for number, expert in enumerate(self.experts):
            rank, token = torch.where(hits[number])
            read = tokens[None, token].reshape(-1, 8)
            mixed.index_add_(0, token, expert(read) * weights[token, rank, None])
        return mixed

    def written(self, tokens: Tensor, weights: Tensor, chosen: Tensor) -> Tensor:
        mixed = torch.zeros_like(tokens)
        for number, expert in enumerate(self.experts):
            token, rank = torch.where(chosen == number)
            mixed[token] += weights[token, rank, None] * expert(tokens[token])
        return mixed

    def sorted(self, tokens: Tensor, weights: Tensor, chosen: Tensor) -> Tensor:
        flat = chosen.flatten()
        order = flat.argsort(stable=True)
        parts = tokens[order // 2].split(flat.bincount(minlength=4).tolist())
        after = torch.cat([expert(part) for expert, part in zip(self.experts, parts, strict=True)])
        back = torch.empty_like(after)
        back[order] = after
        return (back.view(-1, 2, 8) * weights[..., None]).sum(1)

    def repeated(self, tokens: Tensor, weights: Tensor, chosen: Tensor) -> Tensor:
        copies, flat = tokens.repeat_interleave(2, 0), chosen.flatten()
        after = torch.empty_like(copies)
        for number, expert in enumerate(self.experts):
            after[flat == number] = expert(copies[flat == number])
        return (after.view(-1, 2, 8) * weights[..., None]).sum(1)


@pytest.mark.parametrize("spelling", ["masks", "written", "sorted", "repeated"])
@pytest.mark.parametrize("tokens", [(), (5,)], ids=["a token a sample", "five tokens a sample"])
def test_tokens_of_experts_belong_to_their_samples(spelling, tokens):
    """The gradient at an expert's output is that of the dense network, which has zeros for tokens sent elsewhere."""
    torch.manual_seed(1)
    batch = (torch.randn(N, *tokens, 6), torch.randint(0, 5, (N,)))
    dense, routed = (gl.capture(Experts(kind), [batch]) for kind in ("dense", spelling))
    expected = {signal.name: dense.grams[signal.number, 0] for signal in dense.signals}
    actual = {signal.name: routed.grams[signal.number, 0] for signal in routed.signals}
    for name in ("experts.0", "experts.1", "experts.2", "experts.3", "enter", "leave"):
        np.testing.assert_allclose(actual[name], expected[name], rtol=1e-4, atol=1e-9, err_msg=name)


class Detector(nn.Module):
    """The loss reads, image by image, the positions that a mask selects, as detectors do."""

    def __init__(self, selects: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.selects = selects
        self.first, self.last = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 2, 1)

    def forward(self, images: list[Tensor], masks: list[Tensor]) -> Tensor:
        scores = self.last(torch.relu(self.first(torch.stack(images)))).flatten(2).transpose(1, 2)
        if not self.selects:
            return (scores * torch.stack(masks)[..., None]).square().sum()
        return sum(score[mask].square().sum() for score, mask in zip(scores, masks, strict=True))


def test_a_loss_that_selects_positions_image_by_image_leaves_the_network_measured():
    batch = ([torch.randn(3, 6, 6) for _ in range(N)], [torch.rand(36) < 0.5 for _ in range(N)])
    step = lambda model, items: model(*items)  # noqa: E731
    grams = [
        gl.capture(Detector(selects), [batch], step=step, reduction="sum").signal_grams
        for selects in (True, False)
    ]
    np.testing.assert_allclose(*grams, rtol=1e-4, atol=1e-9)


def test_samples_that_were_sorted_before_the_graph_begins_stay_marked():
    """The words are sorted by length before the embedding, and only a gather puts them back."""

    class Sorted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.last = nn.Embedding(20, 8), nn.Linear(8, 5)

        def forward(self, words: Tensor) -> Tensor:
            order = words.sum(1).argsort()
            back = order.argsort()[:, None].expand(len(words), 8)
            return self.last(self.words(words[order]).mean(1).gather(0, back))

    recording = gl.capture(Sorted(), [(torch.randint(0, 20, (N, 6)), torch.randint(0, 5, (N,)))])
    assert {signal.probe.module: signal.sampled for signal in recording.signals} == {
        "words": False,
        "last": True,
    }


def test_experts_that_get_other_tokens_in_each_batch_are_measured_in_each():
    torch.manual_seed(2)
    batches = [(torch.randn(N, 5, 6), torch.randint(0, 5, (N,))) for _ in range(3)]
    together = gl.capture(Experts("written"), batches).signal_grams
    for number, batch in enumerate(batches):
        alone = gl.capture(Experts("dense"), [batch]).signal_grams[:, 0]
        order = np.argsort(alone.trace(axis1=1, axis2=2))
        expected, actual = alone[order], together[:, number]
        actual = actual[np.argsort(actual.trace(axis1=1, axis2=2))]
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-9)


class Graphs(nn.Module):
    """Messages along the edges of several graphs in one list of nodes; the nodes of a graph are added up at the end."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(3, 8), nn.Linear(8, 5)

    def forward(self, nodes: Tensor, edges: Tensor, graph: Tensor, graphs: int) -> Tensor:
        hidden = torch.relu(self.first(nodes))
        hidden = hidden + torch.zeros_like(hidden).index_add(0, edges[1], torch.tanh(hidden[edges[0]]))
        return self.last(torch.zeros(graphs, 8).index_add(0, graph, hidden))


@pytest.mark.parametrize("sizes", [(3,) * N, (1, 2, 3, 4, 5, 3, 2, 4)], ids=["equal", "of different sizes"])
def test_the_nodes_of_a_graph_belong_to_it(sizes):
    """Each graph alone gives the rows of its nodes; graphs of different sizes are compared node by node."""
    starts = np.cumsum((0, *sizes[:-1]))
    ring = lambda size: torch.stack([torch.arange(size), torch.arange(size).roll(1)])  # noqa: E731
    nodes, labels = torch.randn(sum(sizes), 3), torch.randint(0, 5, (N,))
    edges = torch.cat([ring(size) + int(start) for size, start in zip(sizes, starts, strict=True)], 1)
    graph = torch.repeat_interleave(torch.arange(N), torch.tensor(sizes))
    net, batch = Graphs(), (nodes, edges, graph, labels)
    step = lambda model, b: functional.cross_entropy(model(*b[:3], N), b[3])  # noqa: E731
    recording = gl.capture(net, [batch], step=step, samples=N)

    def alone(sample: int) -> Tensor:
        start, size = int(starts[sample]), sizes[sample]
        seen: list[Tensor] = []
        hook = net.first.register_forward_hook(
            lambda module, read, out: (out.retain_grad(), seen.append(out))[0]
        )
        index = torch.zeros(size, dtype=torch.int64)
        out = net(nodes[start : start + size], ring(size), index, 1)
        functional.cross_entropy(out, labels[sample : sample + 1]).backward()
        hook.remove()
        return functional.pad(seen[0].grad, (0, 0, 0, max(sizes) - size)).flatten()

    gradient = torch.stack([alone(sample) for sample in range(N)])
    (first,) = [signal for signal in recording.signals if signal.name == "first"]
    np.testing.assert_allclose(
        recording.grams[first.number, 0], (gradient @ gradient.T).numpy(), rtol=1e-4, atol=1e-8
    )


def test_an_expert_without_tokens_has_a_zero_gradient_and_ends_no_analysis():
    net = Experts("masks")
    with torch.no_grad():
        net.gate.weight[:3] = torch.rand(3, 8) + 0.1
        net.gate.weight[3] = -1.0
        net.enter.bias.fill_(1.0)
    inputs = torch.rand(2, N, 5, 6)
    recording = gl.capture(net, [(x, torch.randint(0, 5, (N,))) for x in inputs])
    (last,) = [signal for signal in recording.signals if signal.name == "experts.3"]
    assert last.sampled
    assert not recording.grams[last.number].any()
    flow = gl.analyze(recording).tables["flow"].frame.set_index("signal")
    assert flow.loc["experts.3", "dead"]


def test_a_batch_in_which_samples_cannot_be_told_is_left_out_with_a_reason():
    recording = gl.capture(Reordered(same, same), [(torch.randn(N, 6), torch.randint(0, 5, (N,)))] * 2)
    grams = recording.grams.copy()
    middle = recording.signals[1]
    grams[middle.number, 1] = np.nan
    analysed = gl.analyze(replace(recording, grams=grams))
    row = analysed.tables["flow"].frame.set_index("signal").loc[middle.name]
    squares = grams[middle.number, 0].diagonal()
    assert "its samples cannot be told in 1 of 2 batches" in row["reason"]
    assert row["norm"] == pytest.approx(np.sqrt(squares).mean())
    assert any("1 of 3 signals have no value in some batch" in warning for warning in analysed.warnings)


@pytest.mark.parametrize("spelling", ["masks", "written", "sorted", "repeated"])
def test_weights_of_experts_have_a_gradient_for_each_sample(spelling):
    torch.manual_seed(1)
    net, (x, y) = Experts(spelling), (torch.randn(N, 5, 6), torch.randint(0, 5, (N,)))
    recording = gl.capture(net, [(x, y)], space="weights")
    gradients: dict[str, list[Tensor]] = {f"experts.{number}": [] for number in range(4)}
    for sample in range(N):
        net.zero_grad()
        functional.cross_entropy(net(x[sample : sample + 1]), y[sample : sample + 1]).backward()
        for number, expert in enumerate(net.experts):
            gradients[f"experts.{number}"].append(expert.weight.grad.flatten().clone())
    grams = {signal.name: recording.grams[signal.number, 0] for signal in recording.signals}
    for name, rows in gradients.items():
        gradient = torch.stack(rows).double()
        np.testing.assert_allclose(grams[name], (gradient @ gradient.T).numpy(), rtol=1e-4, atol=1e-9)


def test_positions_that_a_mask_selects_belong_to_their_samples():
    """Only some tokens of each sample pass the middle layer; the others have a zero gradient there."""
    mask = torch.rand(N, 5, generator=torch.Generator().manual_seed(0)) < 0.6

    class Masked(Reordered):
        def forward(self, x: Tensor) -> Tensor:
            hidden, chosen = torch.relu(self.first(x)), mask[: len(x)]
            if self.away is same:
                middle = self.middle(hidden) * chosen[..., None]
            else:
                middle = torch.zeros_like(hidden)
                middle[chosen] = self.middle(hidden[chosen])
            return self.last((hidden + middle).mean(1))

    torch.manual_seed(1)
    batch = (torch.randn(N, 5, 6), torch.randint(0, 5, (N,)))
    selected = gl.capture(Masked(torch.relu, same), [batch]).signal_grams
    np.testing.assert_allclose(
        selected, gl.capture(Masked(same, same), [batch]).signal_grams, rtol=1e-4, atol=1e-9
    )
