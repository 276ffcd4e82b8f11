"""Sections of the validation page: path lengths, shattering and independent data, against theory."""

from __future__ import annotations

import math

import numpy as np

from benchmarks import validation_networks as networks
from benchmarks.validation_rows import Row, row
from gradlens.metrics import cka, hsic_matrix, path_counts, path_shares


def veit() -> list[Row]:
    """1. Path lengths of a 54-block ResNet, and which of them carry the gradient."""
    recording, graph = networks.recorded_resnet(blocks=54)
    flags, steps = networks.block_flags(recording), networks.energy_steps(recording)
    counts = path_counts(len(graph.nodes), steps, flags)[networks.stem(recording)]
    binomial = [math.comb(54, k) for k in range(55)]
    share = 100 * sum(counts[5:18]) / sum(counts)
    middle = 100 * sum(counts[19:36]) / sum(counts)
    energy = path_shares(len(graph.nodes), steps, flags)[networks.stem(recording)]
    measured = 100 * float(energy[5:18].sum())
    mean = float((np.arange(len(energy)) * energy).sum())
    sampled = networks.sampled_lengths(blocks=54)
    drawn = 100 * float(sampled[5:18].sum() / sampled.sum())
    centre = float((np.arange(55) * sampled).sum() / sampled.sum())
    return [
        row(
            "number of paths of each length, 54 blocks",
            "binomial(54, k)",
            "equal, exactly",
            counts == binomial,
        ),
        row("paths of 5 to 17 blocks", "0.4537 % of all", f"{share:.4f} %", round(share, 4) == 0.4537),
        row("paths of 19 to 35 blocks", "98.0 % of all", f"{middle:.1f} %", round(middle, 1) == 98.0),
        row(
            "gradient from paths of 5 to 17 blocks, sampled as in Veit (norm of the path's gradient × number of paths)",
            "most of it (ResNet-110)",
            f"{drawn:.0f} % at initialisation, mean length {centre:.1f} of 54",
            drawn > 50,
            "freshly initialised, digits, eval statistics of one batch; Veit does not state how long it was trained",
        ),
        row(
            "the same, from path lengths weighted by energy (one backward pass)",
            "most of it",
            f"{measured:.0f} %, mean length {mean:.1f} of 54",
            measured > 50,
            "squared norms without cross terms, while Veit uses norms times counts: both place most of the gradient on "
            "short paths, but this approximation halves the mean length",
        ),
    ]


def balduzzi() -> list[Row]:
    """2. Correlation of the gradients of two inputs against depth."""
    base = networks.decay(networks.correlations("plain", (1, 2, 3, 4, 5, 6)))
    rest = networks.decay(networks.correlations("residual", (1, 2, 4, 6, 8, 10)))
    deep = (2, 4, 8, 16, 32, 64)
    scaled = networks.power(networks.correlations("scaled", deep))
    batch = networks.power(networks.correlations("normalised", deep))
    exact = networks.power(
        {depth: math.prod((k + 0.5) / (k + 1) for k in range(1, depth + 1)) for depth in deep}
    )
    return [
        row("plain ReLU network: factor per layer", "1/2 (theorem 1)", f"{base:.3f}", abs(base - 0.5) < 0.05),
        row(
            "residual, no BatchNorm: factor per layer",
            "3/4 (theorem 2)",
            f"{rest:.3f}",
            abs(rest - 0.75) < 0.05,
        ),
        row(
            "residual, scaled as theorem 3 assumes: exponent of the depth",
            f"-1/2 for deep networks; {exact:.2f} over these depths",
            f"{scaled:.2f}",
            abs(scaled - exact) < 0.08,
            "the theorem's product for depths of 2 to 64 layers",
        ),
        row(
            "residual, normalised by the batch: exponent of the depth",
            "-1/2",
            f"{batch:.2f}",
            abs(batch + 0.5) < 0.08,
            "differs because the theorem assumes that each layer adds variance 1; a ReLU's output that is centred "
            "over the batch has only 1 - 1/π, so the scale grows by 0.68 per layer and the exponent tends "
            "to -1/2 / 0.68 = -0.73",
        ),
    ]


def independence() -> list[Row]:
    """3. CKA of independent data at n = 32."""
    draw = np.random.default_rng(0)
    rows = []
    for features, published in ((100, 0.74), (10_000, 0.997)):
        biased, unbiased = [], []
        for _ in range(20):
            grams = np.stack([g @ g.T for g in draw.normal(size=(2, 32, features))])[:, None]
            unbiased.append(cka(hsic_matrix(grams))[0, 1])
            centred = [_centred(gram[0]) for gram in grams]
            product = (centred[0] * centred[1]).sum()
            biased.append(product / math.sqrt((centred[0] ** 2).sum() * (centred[1] ** 2).sum()))
        mean_biased, mean_unbiased = float(np.mean(biased)), float(np.mean(unbiased))
        rows.append(
            row(
                f"biased CKA, {features} features",
                f"{published}",
                f"{mean_biased:.3f}",
                abs(mean_biased - published) < 0.02,
            )
        )
        rows.append(
            row(
                f"unbiased CKA, {features} features",
                "about 0",
                f"{mean_unbiased:+.3f}",
                abs(mean_unbiased) < 0.03,
            )
        )
    return rows


def _centred(gram: np.ndarray) -> np.ndarray:
    n = len(gram)
    centre = np.eye(n) - 1 / n
    return np.asarray(centre @ gram @ centre)
