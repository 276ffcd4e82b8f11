"""A watched model that is copied, compiled, checkpointed, or whose graph changes."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from contextlib import nullcontext

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from watching.loops import N, batches, network, of, plain, trained

from gradlens.errors import GradlensError
from gradlens.watching.watching import watch


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


def test_a_compiled_model_is_compiled_again_after_two_watches() -> None:
    graphs = []

    def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., object]:
        graphs.append(graph)
        return graph

    compiled = torch.compile(network(), backend=backend)
    with watch(compiled, every=1), watch(compiled, every=1):
        plain(compiled)
    assert graphs == []
    plain(compiled)
    assert graphs


def test_a_compiled_function_that_calls_the_model_runs_as_before() -> None:
    model = network().eval()
    (images, targets), *_ = batches()
    step = torch.compile(lambda x: functional.cross_entropy(model(x), targets), backend="eager")
    with watch(model, every=1) as watching:
        step(images).backward()
    assert watching.step == 0


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
