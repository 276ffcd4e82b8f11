"""Recurrent layers of torch, written step by step with matrix products, which keep the gradient of each product."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

State = tuple[Tensor, ...]
Kept = dict[str, list[Tensor]]
"""Results of the products with each weight (``ih``, ``hh``, ``hr``), in the order of the steps."""


def unrolled(
    weights: Mapping[str, Tensor],
    kind: str,
    steps: list[Tensor],
    suffix: str = "",
    state: State | None = None,
) -> tuple[list[Tensor], Kept]:
    """Return the output at each step ``[n, h]``, and the products.

    Args:
        weights: parameters of the layer by name.
        kind: ``RNN``, ``LSTM`` or ``GRU``.
        steps: the inputs ``[n, f]`` in the order in which the layer reads them.
        suffix: ``_l0`` and so on; empty for a cell.
        state: hidden state, and for an LSTM the cell state; zero by default.
    """
    width = weights[f"weight_hh{suffix}"].shape[0] // {"RNN": 1, "LSTM": 4, "GRU": 3}[kind]
    projection = weights.get(f"weight_hr{suffix}")
    zero = steps[0].new_zeros(len(steps[0]), width)
    hidden, cell = state or (zero if projection is None else zero[:, : len(projection)], zero)[:2]
    outputs, kept = list[Tensor](), Kept(ih=[], hh=[], hr=[])

    def product(name: str, values: Tensor) -> Tensor:
        bias = weights.get(f"bias_{name}{suffix}")
        result = nn.functional.linear(values, weights[f"weight_{name}{suffix}"], bias)
        result.retain_grad()
        kept[name].append(result)
        return result

    for read in steps:
        ih, hh = product("ih", read), product("hh", hidden)
        if kind == "RNN":
            hidden = torch.tanh(ih + hh)
        elif kind == "GRU":
            (r, z, new), (hr, hz, hn) = ih.chunk(3, 1), hh.chunk(3, 1)
            reset, update = torch.sigmoid(r + hr), torch.sigmoid(z + hz)
            hidden = (1 - update) * torch.tanh(new + reset * hn) + update * hidden
        else:
            i, f, g, o = (ih + hh).chunk(4, 1)
            cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
            hidden = torch.sigmoid(o) * torch.tanh(cell)
            hidden = hidden if projection is None else product("hr", hidden)
        outputs.append(hidden)
    return outputs, kept


def gradients_by_step(
    run: Callable[[int], tuple[Tensor, Mapping[str, list[Tensor]]]], n: int
) -> dict[str, Tensor]:
    """Return, by name, the gradient of each sample at each step ``[t, n, d]``, one sample after another.

    Args:
        run: returns the loss of one sample, and the tensors whose gradient is wanted, by name and step.
        n: samples.
    """
    samples = []
    for sample in range(n):
        loss, kept = run(sample)
        loss.backward()
        samples.append(
            {
                name: torch.stack([torch.zeros_like(t) if t.grad is None else t.grad for t in tensors])
                for name, tensors in kept.items()
                if tensors
            }
        )
    return {name: torch.cat([sample[name] for sample in samples], dim=1) for name in samples[0]}


def gram_of_steps(gradient: Tensor) -> Tensor:
    """Return the Gram ``[n, n]`` of gradients ``[t, n, d]`` whose steps lie side by side."""
    flat = gradient.transpose(0, 1).flatten(1)
    return flat @ flat.T
