"""A watched training is not disturbed: by errors, interruptions, hooks, copies, checkpoints, compiled parts."""

from __future__ import annotations

import copy
import gc
import io
import pickle
import warnings
import weakref
from collections.abc import Callable
from contextlib import nullcontext

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from watching.loops import STEPS, N, batches, network, of, plain, trained

from gradlens.errors import GradlensError
from gradlens.watching.watching import WatchProblem, watch


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
    assert len(alive) == STEPS


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


def test_hooks_of_the_user_do_not_see_the_pass_over_a_few_samples() -> None:
    model, seen, counts = network().eval(), [], []
    model[1].register_forward_hook(lambda module, args, output: seen.append(output))
    model[2].register_full_backward_hook(lambda module, *gradients: counts.append("module"))
    model[0].weight.register_hook(lambda gradient: counts.append("parameter"))
    (images, targets), *_ = batches()
    with watch(model, every=1) as watching:
        loss = functional.cross_entropy(model(images), targets) + seen[0].square().mean()
        loss.backward()
    assert [tensor.shape[0] for tensor in seen] == [N]
    assert sorted(counts) == ["module", "parameter"]
    assert watching.rows
    assert watching.problems == {}


class Steps(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.rnn, self.head = nn.LSTM(4, 6, batch_first=True), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        inner = checkpoint(lambda value: self.rnn(value)[0], x, use_reentrant=False)
        return self.head(inner[:, -1])


def test_a_recurrent_layer_in_a_checkpoint_is_left_as_it_is() -> None:
    model = Steps()
    with watch(model, every=1) as watching:
        functional.cross_entropy(model(torch.randn(N, 3, 4)), torch.arange(N) % 5).backward()
    assert {row.place for row in of(watching, "rms")} >= {"head"}
    assert watching.problems == {}


def test_a_checkpoint_around_the_model_is_measured_once_per_step() -> None:
    watched, usual = network(), network()

    def loop(model: nn.Module) -> None:
        for images, targets in batches()[:3]:
            output = checkpoint(model, images.requires_grad_(), use_reentrant=False)
            functional.cross_entropy(output, targets).backward()

    watching = watch(watched, every=1)
    trained(loop, watched, watching)
    trained(loop, usual, nullcontext())
    assert watching.step == 3
    assert {row.step for row in watching.rows} == {0, 1, 2}
    pairs = zip(watched.parameters(), usual.parameters(), strict=True)
    assert all(torch.equal(a.grad, b.grad) for a, b in pairs)


def test_a_compiled_function_that_calls_the_model_runs_as_before() -> None:
    model = network().eval()
    (images, targets), *_ = batches()
    step = torch.compile(lambda x: functional.cross_entropy(model(x), targets), backend="eager")
    with watch(model, every=1) as watching:
        step(images).backward()
    assert watching.step == 0


def test_an_exception_of_the_model_reaches_the_loop_through_two_watches() -> None:
    class Failing(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            if x.sum() > 1e6:
                raise ValueError("too large")
            return super().forward(x)

    model = Failing(4, 4)
    with watch(model, every=1) as first, watch(model, every=1) as second:
        with pytest.raises(ValueError, match="too large"):
            model(torch.full((N, 4), 1e7))
        model(torch.randn(N, 4)).square().mean().backward()
    assert not model._forward_hooks
    for watching in (first, second):
        assert {row.step for row in watching.rows} == {1}
        assert watching.problems == {}


def test_an_interrupted_forward_pass_leaves_no_hook_for_the_next_step() -> None:
    class Interrupted(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            if x[0, 0] == 7 and len(x) == N:  # not in the pass over a few samples
                raise KeyboardInterrupt
            return super().forward(x)

    model = Interrupted(4, 4)
    with watch(model, every=2) as watching, warnings.catch_warnings():
        warnings.simplefilter("ignore", WatchProblem)
        with pytest.raises(KeyboardInterrupt):
            model(torch.full((N, 4), 7.0))
        for _ in range(2):
            model(torch.randn(N, 4)).square().mean().backward()
    assert {row.step for row in watching.rows} == {2}
    assert set(watching.problems) == {0}


def test_a_lazy_layer_draws_the_same_weights() -> None:
    ends = []
    for around in (lambda model: watch(model, every=1), lambda model: nullcontext()):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Dropout(), nn.LazyLinear(6), nn.Dropout(), nn.LazyLinear(5))
        with around(model):
            for _ in range(2):
                functional.cross_entropy(model(torch.randn(N, 4)), torch.arange(N) % 5).backward()
        ends.append([*model.parameters(), torch.rand(3)])
    assert all(map(torch.equal, *ends))


def test_a_log_that_fails_does_not_stop_the_training_and_the_others() -> None:
    class Full:
        def write(self, step: int, rows: object) -> None:
            raise OSError("no space left")

        def resume(self, step: int) -> None: ...

        def close(self) -> None:
            raise OSError("no space left")

    class Kept(Full):
        def __init__(self) -> None:
            self.steps: list[int] = []

        def write(self, step: int, rows: object) -> None:
            self.steps.append(step)

    model, log = network(), Kept()
    watching = watch(model, every=3, to=[Full(), log])

    def loop() -> None:
        with watching:
            plain(model)

    with pytest.warns(WatchProblem, match=r"Full could not write \(OSError: no space left\)"):
        loop()
    assert log.steps == [0, 3, 6]


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
