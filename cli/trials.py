"""Small experiments that check the parts of torch that gradlens uses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Trial:
    """A part of torch, its purpose in gradlens, and the problem (empty if it works)."""

    name: str
    purpose: str
    problem: str = ""


def _contributions() -> None:
    """At a fork of two, hooks see both summands and a prehook their sum."""
    import torch

    source: Any = torch.ones(3, requires_grad=True) * 2
    first, second = source * 3, source * 5
    seen: list[float] = []
    for branch in (first, second):
        branch.grad_fn.register_hook(lambda inputs, _: seen.append(float(inputs[0][0])))
    source.grad_fn.register_prehook(lambda outputs: seen.append(float(outputs[0][0])))
    (first + second).sum().backward()
    _expect(sorted(seen), [3.0, 5.0, 8.0])


def _edges() -> None:
    """A node lists the producers that it reads, slot by slot."""
    import torch

    source: Any = torch.ones(3, requires_grad=True) * 2
    node = (source * source).grad_fn
    _expect([(producer, slot) for producer, slot in node.next_functions], [(source.grad_fn, 0)] * 2)


def _sequence() -> None:
    """Nodes are numbered in the order of the forward pass, and the next number can be read."""
    import torch

    before = int(torch._C._autograd._get_sequence_nr())
    first: Any = torch.ones(3, requires_grad=True) * 2
    second = first * 3
    _expect([first.grad_fn._sequence_nr(), second.grad_fn._sequence_nr()], [before, before + 1])


def _shapes() -> None:
    """A node knows the shapes of its outputs."""
    import torch

    node: Any = torch.ones(2, 3, requires_grad=True).sum(dim=1).grad_fn
    _expect([tuple(entry.shape) for entry in node._input_metadata], [(2,)])


def _saved() -> None:
    """The node of a convolution gives access to its weight and its input."""
    import torch

    layer = torch.nn.Conv2d(1, 2, 3)
    image = torch.ones(1, 1, 4, 4)
    node: Any = layer(image).grad_fn
    _expect([tuple(node._saved_weight.shape), tuple(node._saved_input.shape)], [(2, 1, 3, 3), (1, 1, 4, 4)])


def _bytes() -> None:
    """Hooks receive the tensors that are saved for backward."""
    import torch

    kept: list[int] = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor.nbytes)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        torch.ones(4, requires_grad=True).exp()
    _expect(kept, [16])


def _flops() -> None:
    """A product of 2 x 3 by 3 x 4 takes 48 FLOPs."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        torch.ones(2, 3) @ torch.ones(3, 4)
    _expect(counter.get_total_flops(), 48)


def _capture() -> None:
    """A capture of a tiny network with a fork is exact."""
    import torch
    from torch import nn

    from gradlens.analyzers import ANALYZERS
    from gradlens.data import load_data
    from gradlens.hooks import capture

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.inner, self.head = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1), nn.Linear(4, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.stem(x)
            return self.head((x + self.inner(x)).mean((2, 3)))  # type: ignore[no-any-return]

    data = load_data("random", batch_size=4, batches=1, image_size=8, seed=0)
    table = ANALYZERS["exactness"](capture(Residual(), data, seed=0))
    _expect(None if table is None else table.frame["error"].tolist(), [0.0])


TRIALS: dict[str, tuple[str, Callable[[], None]]] = {
    "Node.register_hook": ("the contribution of every branch", _contributions),
    "Node.next_functions": ("the graph", _edges),
    "Node._sequence_nr": ("the names of sites", _sequence),
    "Node._input_metadata": ("stages", _shapes),
    "Node._saved_weight": ("weight space", _saved),
    "saved_tensors_hooks": ("bytes saved for backward", _bytes),
    "flop_counter": ("FLOPs", _flops),
    "a capture": ("everything: contributions add up exactly", _capture),
}


def trials() -> list[Trial]:
    """Run all experiments; an error of an experiment becomes its problem."""
    results = []
    for name, (purpose, experiment) in TRIALS.items():
        try:
            experiment()
        except Exception as error:
            text = " ".join(str(error).split())
            results.append(Trial(name, purpose, f"{type(error).__name__}: {text}"))
        else:
            results.append(Trial(name, purpose))
    return results


def _expect(value: object, expected: object) -> None:
    if value != expected:
        raise ValueError(f"returned {value} instead of {expected}")
