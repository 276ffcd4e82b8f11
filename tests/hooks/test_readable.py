"""Programs that hide their layers are refused in one line that names them."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import gradlens as gl
from gradlens.errors import GradlensError

X, Y = torch.randn(8, 6), torch.arange(8) % 5


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.SiLU(), nn.Linear(8, 5))


def warm() -> nn.Module:
    program = torch.jit.script(net())
    for _ in range(3):
        program(X).sum().backward()
    return program


def inside(program: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Linear(6, 6), program)


class Checkpointed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = net()

    def forward(self, x: Tensor) -> Tensor:
        return checkpoint(self.net, x, use_reentrant=True)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: torch.jit.script(net()), "the model is a TorchScript module"),
        (warm, "the model is a TorchScript module"),
        (lambda: torch.jit.trace(net(), X), "the model is a TorchScript module"),
        (lambda: torch.jit.freeze(torch.jit.script(net().eval())), "the model .* then frozen"),
        (lambda: inside(torch.jit.script(net())), "1 is a TorchScript module"),
        (lambda: inside(torch.jit.trace(net(), X)), "1 is a TorchScript module"),
        (lambda: torch.export.export(net(), (X,)).module(), r"the model is a program of torch\.export"),
        (Checkpointed, r"although parameters .* reentrant checkpoint"),
    ],
)
def test_a_program_that_hides_its_layers_is_refused(make: Callable[[], nn.Module], line: str):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = make()
        with pytest.raises(GradlensError, match=line) as caught:
            gl.capture(model, [(X, Y)], costs=False)
    assert "\n" not in str(caught.value)


def test_a_traced_graph_of_fx_is_read_like_the_module_it_was_made_from():
    model = net()
    actual, expected = (gl.capture(m, [(X, Y)], costs=False) for m in (torch.fx.symbolic_trace(model), model))
    assert [signal.name for signal in actual.signals] == [signal.name for signal in expected.signals]
    assert (actual.grams == expected.grams).all()
