"""A watched training: the same weights to the bit, and the numbers of a capture."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from watching.loops import LOOPS, STEPS, Loop, N, batches, network, of, penalised, plain, trained, two_losses

import gradlens as gl
from gradlens.errors import GradlensError
from gradlens.watching.watching import watch


@pytest.mark.parametrize("loop", LOOPS, ids=lambda loop: loop.__name__)
@pytest.mark.parametrize("again", [False, True], ids=["", "checkpointed"])
def test_a_watched_training_ends_in_the_same_weights_to_the_bit(loop: Loop, again: bool) -> None:
    watched, usual = network(again), network(again)
    watching = watch(watched, every=1)
    ends = trained(loop, watched, watching), trained(loop, usual, nullcontext())
    assert all(map(torch.equal, *ends))
    assert watching.problems == {}
    assert {row.step for row in watching.rows} == set(range(STEPS))
    assert {row.backward for row in watching.rows} == ({0, 1} if loop in (two_losses, penalised) else {0})


def test_the_numbers_are_those_of_a_capture() -> None:
    model = network().eval()  # a capture draws dropout anew
    (images, targets), *_ = batches()
    recording = gl.capture(model, [(images, targets)], mode="keep", costs=False)
    with watch(model, every=1) as watching:
        functional.cross_entropy(model(images), targets).backward()
    ((_, seen),) = watching.history
    assert [signal.name for signal in seen.signals] == [signal.name for signal in recording.signals]
    np.testing.assert_allclose(seen.signal_grams, recording.signal_grams, rtol=1e-12)
    np.testing.assert_allclose(seen.loss_gram, recording.loss_gram, rtol=1e-12)
    shares = gl.analyze(recording, tables=["shares"])["shares"].frame
    rows = {row.branch: row.value for row in of(watching, "share") if row.place == shares["site"][0]}
    assert rows == pytest.approx(dict(zip(shares["branch"], shares["share"], strict=True)) | rows)


class Attention(nn.Module):
    """Tokens first or second; as many tokens as samples."""

    def __init__(self, first: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = first
        self.words = nn.Embedding(20, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=first)
        self.head = nn.Linear(8, 5)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.words(ids if self.first else ids.T)
        x = x + self.attention(x, x, x)[0]
        return self.head(x.mean(1 if self.first else 0))


class Last(nn.Module):
    """A recurrent network that is read at its last step."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words, self.rnn, self.head = nn.Embedding(20, 8), nn.GRU(8, 7, batch_first=True), nn.Linear(7, 5)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.rnn(self.words(ids))[0][:, -1])


class Both(nn.Module):
    """Returns its features, too."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words, self.body, self.head = nn.Embedding(20, 8), nn.Linear(8, 8), nn.Linear(8, 5)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(self.words(ids).mean(1)).tanh()
        return self.head(features), features


@pytest.mark.parametrize("tokens", [N, N + 1])
@pytest.mark.parametrize(
    "make",
    [lambda: Attention(True), lambda: Attention(False), Last, Both],
    ids=["first", "second", "rnn", "both"],
)
def test_any_layout_has_the_numbers_of_a_capture(make: Callable[[], nn.Module], tokens: int) -> None:
    model = make()
    ids, targets = (
        torch.randint(20, (N, tokens), generator=torch.Generator().manual_seed(0)),
        torch.arange(N) % 5,
    )

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        output = model(batch[0])
        logits = output[0] if isinstance(output, tuple) else output
        rest = output[1].square().mean() if isinstance(output, tuple) else 0.0
        return functional.cross_entropy(logits, batch[1]) + rest

    recording = gl.capture(model, [(ids, targets)], step=loss, costs=False)
    with watch(model, every=1) as watching:
        loss(model, (ids, targets)).backward()
    ((_, seen),) = watching.history
    assert [signal.name for signal in seen.signals] == [signal.name for signal in recording.signals]
    np.testing.assert_allclose(seen.signal_grams, recording.signal_grams, rtol=1e-5, atol=1e-9)
    flow = gl.analyze(recording, tables=["flow"])["flow"].frame.set_index("signal")["rms"].to_dict()
    sizes = {row.place: row.value for row in of(watching, "rms")}
    assert list(sizes) == [signal.name for signal in recording.signals]
    assert sizes == pytest.approx({name: flow[name] for name in sizes}, rel=1e-5)
    largest = {row.place: row.value for row in of(watching, "largest")}
    assert all(sizes[place] <= largest[place] for place in sizes)
    known = gl.analyze(recording, tables=["shares"]).tables.get("shares")
    expected = {} if known is None else known.frame.set_index(["site", "branch"])["share"].to_dict()
    shares = {
        (row.place, row.branch): row.value for row in watching.rows if row.quantity in ("share", "part")
    }
    assert shares == pytest.approx({key: value for key, value in expected.items() if key in shares})
    assert watching.problems == {}


def test_only_every_so_many_steps_are_measured_and_validation_does_not_count() -> None:
    model = network()
    with watch(model, every=3) as watching:
        for images, targets in batches():
            functional.cross_entropy(model(images), targets).backward()
            with torch.no_grad():
                model(images)
    assert watching.step == STEPS
    assert {row.step for row in watching.rows} == {0, 3, 6}


def test_a_second_loss_is_measured_by_itself() -> None:
    model = network().eval()
    (images, targets), *_ = batches()
    with watch(model, every=1) as watching:
        output = model(images)
        functional.cross_entropy(output, targets).backward(retain_graph=True)
        (3 * functional.cross_entropy(output, targets)).backward()
    first, second = ([row.value for row in of(watching, "rms") if row.backward == k] for k in (0, 1))
    np.testing.assert_allclose(second, [3 * value for value in first], rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_factor_of_a_scaler_is_divided_out(dtype: torch.dtype) -> None:
    (images, targets), *_ = batches()
    sizes = []
    for scale in (1.0, 1024.0):
        model = network().eval()
        scaler = torch.amp.GradScaler("cpu", init_scale=scale)
        with watch(model, every=1, scaler=scaler) as watching:
            with torch.autocast("cpu", dtype):
                loss = functional.cross_entropy(model(images), targets)
            scaler.scale(loss).backward()
        sizes.append([row.value for row in watching.rows if row.quantity in ("rms", "largest")])
    assert [row.value for row in of(watching, "scale")] == [1024.0]
    np.testing.assert_allclose(sizes[0], sizes[1], rtol=0.02)


def test_a_step_whose_scale_overflowed_is_marked_and_the_training_goes_on() -> None:
    model, scaler = network(), torch.amp.GradScaler("cpu", init_scale=2.0**40)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, every=1, scaler=scaler) as watching:
        for images, targets in batches():
            with torch.autocast("cpu", torch.float16):
                loss = functional.cross_entropy(model(images), targets)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
    finite = [row.value for row in of(watching, "finite")]
    assert finite[0] == 0
    assert 0 in watching.problems
    assert all(np.isfinite(row.value) for row in watching.rows)


def test_a_resumed_training_continues_its_steps() -> None:
    model = network()
    with watch(model, every=2) as first:
        plain(model)
    with watch(model, every=2) as second:
        second.load_state_dict(first.state_dict())
        plain(model)
    assert {row.step for row in second.rows} == {8, 10, 12, 14}
    second.load_state_dict({**first.state_dict(), "step": 12})  # back to an earlier step
    assert {row.step for row in second.rows} == {8, 10}
    with pytest.raises(GradlensError, match="not a state of a watch"):
        second.load_state_dict({"step": 3})
