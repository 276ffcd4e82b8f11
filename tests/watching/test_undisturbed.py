"""A watched training is not disturbed: by errors, interruptions, hooks, other watches."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from watching.loops import STEPS, N, batches, network, of, plain

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
