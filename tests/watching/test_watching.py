"""A watched training: the same weights to the bit, the numbers of a capture, and nothing left behind."""

from __future__ import annotations

import copy
import gc
import io
import pickle
import warnings
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

import gradlens as gl
from gradlens.errors import GradlensError
from gradlens.watching.rows import Row
from gradlens.watching.watching import Watching, WatchProblem, watch

N, STEPS = 6, 8


class Block(nn.Module):
    """A residual block with dropout."""

    def __init__(self, again: bool = False) -> None:
        super().__init__()
        self.again = again
        self.conv, self.norm, self.drop = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Dropout(0.1)

    def residual(self, x: Tensor) -> Tensor:
        return self.drop(self.norm(self.conv(x)))

    def forward(self, x: Tensor) -> Tensor:
        inner = checkpoint(self.residual, x, use_reentrant=False) if self.again else self.residual(x)
        return functional.relu_(x + inner)


def network(again: bool = False) -> nn.Sequential:
    torch.manual_seed(0)
    blocks = [Block(again), Block(again)]
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)
    )


def batches(steps: int = STEPS) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [(torch.randn(N, 3, 8, 8, generator=generator), torch.arange(N) % 5) for _ in range(steps)]


Loop = Callable[[nn.Module], None]


def plain(model: nn.Module) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for images, targets in batches():
        optimizer.zero_grad(set_to_none=True)
        functional.cross_entropy(model(images), targets).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


def accumulated(model: nn.Module) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for index, (images, targets) in enumerate(batches()):
        (functional.cross_entropy(model(images), targets) / 2).backward()
        if index % 2:
            optimizer.step()
            optimizer.zero_grad()


def two_losses(model: nn.Module) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for images, targets in batches():
        output = model(images)
        functional.cross_entropy(output, targets).backward(retain_graph=True)
        output.square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()


def penalised(model: nn.Module) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for images, targets in batches():
        images.requires_grad_(True)
        loss = functional.cross_entropy(model(images), targets)
        (slope,) = torch.autograd.grad(loss, images, create_graph=True)
        (loss + slope.square().sum()).backward()
        optimizer.step()
        optimizer.zero_grad()


def autocast(model: nn.Module) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for images, targets in batches():
        with torch.autocast("cpu", torch.bfloat16):
            loss = functional.cross_entropy(model(images), targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()


LOOPS: list[Loop] = [plain, accumulated, two_losses, penalised, autocast]


def trained(loop: Loop, model: nn.Module, around: AbstractContextManager[object]) -> list[Tensor]:
    torch.manual_seed(2)
    with around:
        loop(model)
    return [*model.state_dict().values(), torch.get_rng_state()]


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


def of(watching: Watching, quantity: str) -> list[Row]:
    return [row for row in watching.rows if row.quantity == quantity]


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


def test_nothing_is_left_behind_after_an_exception() -> None:
    model = network()

    def interrupted() -> None:
        with watching:
            plain(model)
            raise RuntimeError("stop")

    watching = watch(model, every=1)
    with pytest.raises(RuntimeError, match="stop"):
        interrupted()
    assert not any(
        getattr(module, name)
        for module in model.modules()
        for name in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
    )
    rows = len(watching.rows)
    plain(model)
    assert len(watching.rows) == rows


def test_copies_of_the_model_do_not_watch() -> None:
    model = network()
    images, targets = batches()[0]
    with watch(model, every=1) as watching:
        copies = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
        file = io.BytesIO()
        torch.save(model, file)
        file.seek(0)
        copies.append(torch.load(file, weights_only=False))
        for twin in copies:
            functional.cross_entropy(twin(images), targets).backward()
        assert watching.rows == []
        assert watching.step == 0
        functional.cross_entropy(model(images), targets).backward()
    assert watching.rows


def test_no_graph_is_kept_alive() -> None:
    model, alive = network(), []
    hook = model[1].register_forward_hook(
        lambda module, args, output: alive.append(weakref.ref(output.untyped_storage()))
    )
    gc.collect()
    gc.disable()
    try:
        with watch(model, every=1) as watching:
            for images, targets in batches():
                functional.cross_entropy(model(images), targets).backward()
                assert [reference for reference in alive if reference() is not None] == []
    finally:
        gc.enable()
        hook.remove()
    assert watching.rows
    assert len(alive) == STEPS + 1  # a dry pass, too


def test_a_compiled_model_runs_uncompiled_in_measured_steps_only(capsys: pytest.CaptureFixture[str]) -> None:
    graphs = []

    def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., object]:
        def run(*arguments: object) -> object:
            graphs.append(watching.step - 1)
            return graph(*arguments)

        return run

    model = network()
    compiled = torch.compile(model, backend=backend)
    with watch(compiled, every=3) as watching:
        plain(compiled)
    assert graphs == [1, 2, 4, 5, 7]
    assert {row.step for row in watching.rows} == {0, 3, 6}
    assert "1.conv" in {row.place for row in watching.rows}
    assert watching.problems == {}
    model.compile(backend=backend)
    with pytest.raises(GradlensError, match=r"watch torch.compile\(model\)"):
        watch(model)


def test_a_graph_that_changes_is_followed_by_name() -> None:
    class Skipping(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            for index, layer in enumerate(self):
                if index != watching.step % 3:
                    x = layer(x)
            return x

    model = Skipping(*(nn.Linear(4, 4) for _ in range(3)))
    with watch(model, every=1) as watching:
        for size in (6, 6, 6, 5):
            functional.cross_entropy(model(torch.randn(size, 4)), torch.arange(size) % 4).backward()
    places = [{row.place for row in of(watching, "rms") if row.step == step} for step in range(4)]
    assert places == [{"0", "2"}, {"0", "1"}, {"1", "2"}, {"0", "2"}]


def test_forward_passes_without_a_backward_pass_leave_no_rows_and_no_graph() -> None:
    model, alive = network(), []
    hook = model[1].register_forward_hook(
        lambda module, args, output: alive.append(weakref.ref(output.untyped_storage()))
    )
    watching = watch(model, every=1)

    def loop() -> None:
        with watching:
            for images, _ in batches():
                model(images)

    gc.collect()
    gc.disable()
    try:
        with pytest.warns(WatchProblem, match="no measured step"):
            loop()
        assert [reference for reference in alive if reference() is not None] == []
    finally:
        gc.enable()
        hook.remove()
    assert watching.rows == []


def test_an_error_while_a_gradient_is_reduced_does_not_stop_the_training() -> None:
    model = network().eval()
    (images, targets), *_ = batches()
    parameters = dict(model.named_parameters())

    def value(values: dict[str, Tensor]) -> Tensor:
        return functional.cross_entropy(torch.func.functional_call(model, values, (images,)), targets)

    expected = torch.func.grad(value)(parameters)
    with warnings.catch_warnings(), watch(model, every=1) as watching:
        warnings.simplefilter("ignore", WatchProblem)
        found = torch.func.grad(value)(parameters)
        assert set(watching.problems) == {0}
        functional.cross_entropy(model(images), targets).backward()
    assert all(torch.equal(found[name], expected[name]) for name in parameters)
    assert {row.step for row in watching.rows} == {1}


def test_a_backward_pass_after_an_interrupted_one_is_measured() -> None:
    model = network().eval()
    (images, targets), *_ = batches()
    stop = [True]

    def interrupt(gradient: Tensor) -> None:
        if stop:
            raise KeyboardInterrupt

    with watch(model, every=1) as watching:
        features = model[:2](images)
        loss = functional.cross_entropy(model(images), targets)
        model[0].weight.register_hook(interrupt)
        with pytest.raises(KeyboardInterrupt):
            loss.backward(retain_graph=True)
        assert watching.rows == []
        stop.clear()
        loss.backward()
    assert features is not None
    assert len(of(watching, "rms")) == 4


def test_two_watches_on_one_model_see_the_same() -> None:
    model = network()
    with watch(model, every=1) as first, watch(model, every=2) as second:
        plain(model)
    assert second.rows == [row for row in first.rows if row.step % 2 == 0]


def test_what_cannot_be_measured_is_reported_once_and_the_training_goes_on() -> None:
    class Pair(nn.Linear):
        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return super().forward(torch.cat([a, b[:, :3]]))

    model = Pair(3, 4)

    def loop() -> None:
        for _ in range(STEPS):
            model(torch.randn(6, 3), torch.randn(5, 4)).square().mean().backward()

    text = r"step 0 of a watched training: .* cannot be found, .* pass it: gl.watch\(..., samples=N\)"
    with watch(model, every=1) as watching, pytest.warns(WatchProblem, match=text) as seen:
        loop()
    assert set(watching.problems) == set(range(STEPS))
    assert len(seen) == 1


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_batch_of_few_samples_has_all_numbers_but_duplication(n: int) -> None:
    model = network().eval()
    images, targets = batches()[0]
    with watch(model, every=1) as watching:
        functional.cross_entropy(model(images[:n]), targets[:n]).backward()
    assert watching.problems == {}
    assert {row.quantity for row in watching.rows} == {
        "energy", "rms", "largest", "dead", "share", "coherence", "finite",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": 0}, "every=0 is not a number of steps"),
        ({"every": 2.5}, "every=2.5 is not a number of steps"),
        ({"space": "weights"}, "space of activations"),
        ({"evry": 2}, "did you mean every"),
        ({"to": "flow"}, r"to='flow' is a path, not a log; give to=gl.CsvLog\('flow'\)"),
        ({"to": [3]}, "a int, which is not a log"),
        ({"scaler": 1024.0}, "scaler= is a float"),
        ({"keep": -1}, "keep=-1 is not a number"),
        ({"on_alarm": 3}, "on_alarm= is a int"),
    ],
)
def test_wrong_options_are_refused_in_one_line(options: dict[str, object], message: str) -> None:
    with pytest.raises(GradlensError, match=message):
        watch(network(), **options)


def test_a_model_of_fully_shard_is_refused_in_one_line() -> None:
    sharded = type("FSDPLinear", (nn.Linear,), {})  # as fully_shard names the class
    with pytest.raises(GradlensError, match="fully_shard splits the parameters"):
        watch(nn.Sequential(sharded(2, 2)))


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
