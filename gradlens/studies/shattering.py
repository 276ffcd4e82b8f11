"""Shattered gradients: how fast a network's gradient decorrelates along a line of inputs."""

from __future__ import annotations

import math

import pandas as pd
import torch
from torch import Tensor, nn

from gradlens.errors import GradlensError
from gradlens.hooks.state import preserved
from gradlens.results import Table

BATCH = 32
"""Points per forward pass in eval mode, in which samples are independent of each other."""


def shattering(
    model: nn.Module,
    first: Tensor,
    second: Tensor,
    *,
    points: int = 128,
    lags: int = 16,
    mode: str = "eval",
) -> Table:
    """Return the autocorrelation of the input gradient along the line from one input to another.

    Balduzzi et al. 2017, *The shattered gradients problem*, arXiv 1702.08591: in deep plain ReLU networks
    the gradients of neighbouring inputs decorrelate like white noise, in residual networks like brown noise.
    The differentiated value is the mean of the outputs; the model is left unchanged.

    Args:
        model: takes a batch of inputs and returns a tensor.
        first: one input, ``[...]`` without a batch axis.
        second: another input of the same shape.
        points: number of points on the line, both ends included.
        lags: number of distances to measure, in steps between points.
        mode: ``eval``, or ``train``, in which BatchNorm normalises over the whole line as one batch.

    Returns:
        One row per lag: ``autocorrelation`` of the centred gradients (1 at lag 0; NaN if the gradient does not
        change at all) and ``cosine``, the mean cosine of the gradients without centring.

    Raises:
        GradlensError: the shapes differ, or there are fewer points than ``lags + 1``.
    """
    if first.shape != second.shape:
        raise GradlensError(
            f"the inputs have shapes {tuple(first.shape)} and {tuple(second.shape)}; give two inputs of equal shape"
        )
    if not 1 <= lags < points:
        raise GradlensError(
            f"{lags} lags over {points} points; use at least one lag and more points than lags"
        )
    gradients = _gradients(model, first, second, points, mode).double()
    centred = gradients - gradients.mean(dim=0)
    variance = float(centred.square().sum(dim=1).mean())
    if variance <= 1e-12 * float(gradients.square().sum(dim=1).mean()):
        variance = math.nan
    spacing = float((second - first).norm()) / (points - 1)
    rows = [
        {
            "lag": lag,
            "distance": lag * spacing,
            "autocorrelation": _mean_product(centred, lag) / variance,
            "cosine": _mean_product(nn.functional.normalize(gradients, dim=1), lag),
        }
        for lag in range(lags + 1)
    ]
    return Table(
        "shattering",
        pd.DataFrame(rows),
        "Similarity of the input gradients of two points on a line, by their distance.",
        how=(
            f"Gradient of the mean output at {points} points between two inputs, in {mode} mode; autocorrelation "
            "of the centred gradients (Balduzzi et al. 2017, arXiv 1702.08591), and mean cosine."
        ),
        units={"distance": "in the input's units", "autocorrelation": "1 at lag 0", "cosine": "-1 to 1"},
    )


def _gradients(model: nn.Module, first: Tensor, second: Tensor, points: int, mode: str) -> Tensor:
    """Return the gradients ``[points, d]``."""
    positions = torch.linspace(0, 1, points, dtype=first.dtype, device=first.device)
    line = first + positions.reshape(-1, *[1] * first.dim()) * (second - first)
    gradients = []
    with preserved(model, mode), torch.enable_grad():
        for chunk in line.split(len(line) if model.training else BATCH):
            inputs = chunk.detach().requires_grad_()
            outputs = model(inputs)
            (gradient,) = torch.autograd.grad(outputs.flatten(1).mean(dim=1).sum(), inputs)
            gradients.append(gradient.flatten(1))
    return torch.cat(gradients)


def _mean_product(rows: Tensor, lag: int) -> float:
    return float((rows[: len(rows) - lag] * rows[lag:]).sum(dim=1).mean())
