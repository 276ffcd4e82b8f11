"""Sections of the validation page: values that are known exactly, or from another library."""

from __future__ import annotations

import math

import numpy as np

from benchmarks import validation_networks as networks
from benchmarks.validation_rows import Row, row
from gradlens.metrics import confusion, gradient_diversity, stiffness


def dense() -> list[Row]:
    """4. The equations of CSPNet, counted on the real graph of densenet121 and of its CSP form."""
    plain, csp = networks.dense_sources("densenet121"), networks.dense_sources("densenet121@csp")
    blocks = (6, 12, 24, 16)
    readers = [length - layer + 1 for length in blocks for layer in range(1, length + 1)]
    width = networks.read_channels("densenet121"), networks.read_channels("densenet121@csp")
    closed = networks.closed_channels(blocks, gamma=0.0), networks.closed_channels(blocks, gamma=0.5)
    return [
        row("readers of x_1 … x_m (eq. 1: m − l later layers, and the transition)", [*readers[:6], "…"],
            [*plain.layers[:6], "…"], plain.layers == readers),
        row("the same in CSPDenseNet (eq. 3: T_T instead of the transition)", [*readers[:6], "…"],
            [*csp.layers[:6], "…"], csp.layers == readers),
        row("readers of x_0 in DenseNet (every layer and the transition), blocks 1 to 4",
            [length + 1 for length in blocks], plain.inputs, plain.inputs == [length + 1 for length in blocks]),
        row("readers of x_0'' in CSPDenseNet (every layer and T_T)", [length + 1 for length in blocks],
            csp.inputs, csp.inputs == [length + 1 for length in blocks]),
        row("readers of x_0' in CSPDenseNet (eq. 4: T_U alone)", [1, 1, 1, 1], csp.bypass,
            csp.bypass == [1, 1, 1, 1]),
        row("channels of the concatenations, Σ (c m + (m² + m) d / 2)", closed[0], width[0], width[0] == closed[0]),
        row("the same with half of c bypassing the block", closed[1], width[1], width[1] == closed[1]),
    ]  # fmt: skip


def agreement() -> list[Row]:
    """5. Diversity, stiffness and confusion of gradients with known values."""
    half = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    gram = half @ half.T
    within, across = stiffness(gram, np.array([0, 0, 1, 1]))
    angle = np.array([[1.0, 0.0], [math.cos(2.0), math.sin(2.0)]])
    least = confusion(angle @ angle.T)
    equal, crossed, paired = (gradient_diversity(grams) for grams in (np.ones((8, 8)), np.eye(8), gram))
    return [
        row("diversity, 8 equal gradients", "1/8", equal, equal == 1 / 8),
        row("diversity, 8 orthogonal gradients", 1.0, crossed, crossed == 1),
        row("diversity, two orthogonal pairs", 0.5, paired, paired == 0.5),
        row(
            "stiffness within and across classes, one direction per class",
            [1.0, 0.0],
            [within, across],
            (within, across) == (1.0, 0.0),
        ),
        row(
            "confusion of two gradients at an angle of 2 rad",
            round(math.cos(2.0), 6),
            round(least, 6),
            abs(least - math.cos(2.0)) < 1e-12,
        ),
    ]


def weights() -> list[Row]:
    """6. Per-sample and weight-space Grams against torch.func, float64, no BatchNorm."""
    worst, layers = networks.against_torch_func("convnext_atto")
    signals, compared = networks.against_single_samples("convnext_atto")
    return [
        row(
            f"Grams of per-sample gradients at the outputs of {compared} layers of convnext_atto, against one "
            "backward pass per sample", "equal", f"largest relative difference {signals:.1e}", signals < 1e-6,
            "the same samples",
        ),
        row(
            f"Grams of per-sample weight gradients, {layers} weights of convnext_atto, against torch.func.vmap(grad)",
            "equal", f"largest relative difference {worst:.1e}", worst < 1e-6,
            "float64, 4 samples of 32 pixels; layer scale (a bare parameter) belongs to no layer and is left out",
        )
    ]  # fmt: skip


def costs() -> list[Row]:
    """7. FLOPs against fvcore's counter, which counts a multiply-add once."""
    rows = []
    for name in ("resnet50", "densenet121", "cspresnet50"):
        flops, multiply_adds = networks.flops(name)
        same = abs(flops / (2 * multiply_adds) - 1) < 1e-3
        claim = f"2 × {multiply_adds / 1e9:.4f} G"
        rows.append(row(f"FLOPs of {name} at 224 px", claim, f"{flops / 1e9:.4f} G", same))
    return rows
