"""Known results of the field, reproduced with gradlens: ``python -m benchmarks.validation``.

Writes docs/validation.json (numbers and their environment) and docs/validation.md (the same as a page), each
with the published claim, our figure, and agreement or the reason for none. Some minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import validation_networks as networks
from benchmarks import validation_null as null
from gradlens.metrics import (
    cka,
    confusion,
    gradient_diversity,
    hsic_matrix,
    path_counts,
    path_shares,
    stiffness,
)
from gradlens.version import VERSION

DOCS = Path(__file__).resolve().parent.parent / "docs"
Row = dict[str, Any]


def row(what: str, claim: object, result: object, agrees: bool, remark: str = "") -> Row:
    return {"what": what, "claim": claim, "ours": result, "agrees": bool(agrees), "remark": remark}


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


def alarms() -> list[Row]:
    """8. False alarms of ``compare`` between two sets of weights of one architecture, and of the table learning."""
    return [*null.alarm_rows(*null.rates(), row), *null.learning_rows(row), *null.pairing_rows(row)]


SECTIONS: dict[str, tuple[str, Callable[[], list[Row]]]] = {
    "veit": ("Path lengths (Veit, Wilber & Belongie 2016, arXiv 1605.06431)", veit),
    "balduzzi": ("Shattering (Balduzzi et al. 2017, arXiv 1702.08591)", balduzzi),
    "independence": (
        "Independent data (Kornblith 2019; Nguyen 2021; values of the biased estimator from our own simulation)",
        independence,
    ),
    "dense": ("DenseNet and CSPDenseNet (Huang 2017; Wang et al. 2019, arXiv 1911.11929)", dense),
    "agreement": ("Diversity, stiffness, confusion (Yin 2018; Fort 2019; Sankararaman 2020)", agreement),
    "weights": ("Per-sample weight gradients (torch.func)", weights),
    "costs": ("FLOPs (fvcore)", costs),
    "alarms": (
        "False alarms (5 groups of 16 sets of weights of resnet18, 600 pairs, 3 seeds, digits, 32 px, 4 batches of 32)",
        alarms,
    ),
}


def page(document: dict[str, Any]) -> str:
    """Return the validation page as Markdown."""
    lines = [
        "# Validation", "",
        "Known results of the field, compared with the results of gradlens. They agree in all rows but one, which",
        "gives the reason. *Published* is the value of the source or of theory. `python -m benchmarks.validation`",
        "writes this page; [validation.json](validation.json) has the numbers and the environment of the run.", "",
    ]  # fmt: skip
    for section in document["sections"].values():
        lines += [
            f"## {section['title']}",
            "",
            "| what | published | ours | agrees |",
            "| --- | --- | --- | --- |",
        ]
        for entry in section["rows"]:
            verdict = "yes" if entry["agrees"] else "**no**"
            remark = f"; {entry['remark']}" if entry["remark"] else ""
            lines.append(f"| {entry['what']}{remark} | {entry['claim']} | {entry['ours']} | {verdict} |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, comma-separated")
    parser.add_argument("--out", type=Path, default=DOCS)
    options = parser.parse_args()
    sections = {}
    for name in options.only.split(","):
        title, measure = SECTIONS[name]
        begin = time.perf_counter()
        rows = measure()
        sections[name] = {"title": title, "seconds": round(time.perf_counter() - begin, 1), "rows": rows}
        print(
            name,
            *(f"\n  {entry['agrees']} {entry['what']}: {entry['ours']} ({entry['claim']})" for entry in rows),
            flush=True,
        )
    environment = {
        "gradlens": VERSION,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
    }
    document = {"environment": environment, "sections": sections}
    (options.out / "validation.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    (options.out / "validation.md").write_text(page(document), encoding="utf-8")


if __name__ == "__main__":
    main()
