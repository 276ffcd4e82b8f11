"""Metrics of Gram matrices, without models, graphs or files.

Shapes use the letters of docs/notation.md: ``n`` samples, ``l`` signals, ``s`` replicates,
``b`` branches. A Gram is ``K = G Gᵀ`` ``[n, n]`` in float64, ``G`` with one row per sample.
"""

from gradlens.metrics.agreement import confusion, gradient_diversity, stiffness
from gradlens.metrics.cca import Canonical, canonical
from gradlens.metrics.duplication import duplication, effective_number, mean_similarity
from gradlens.metrics.forks import coherence, energy_shares, mean_cosine, pair_inner_products
from gradlens.metrics.hsic import cka, direction, hsic_matrix, is_constant, partial_hsic, u_center
from gradlens.metrics.inference import Association, Paired, association, holm, paired
from gradlens.metrics.intervals import Interval, Line, fitted_line, half_widths, mean_interval, slope
from gradlens.metrics.noise import Noise, noise, noise_scale, signal_to_noise
from gradlens.metrics.null import Null, permutation_null, split_half
from gradlens.metrics.paths import Step, mean_jaccard, mean_length, path_counts, path_shares, reuse
from gradlens.metrics.spectrum import effective_rank, participation_ratio, stable_rank

__all__ = [
    "Association",
    "Canonical",
    "Interval",
    "Line",
    "Noise",
    "Null",
    "Paired",
    "Step",
    "association",
    "canonical",
    "cka",
    "coherence",
    "confusion",
    "direction",
    "duplication",
    "effective_number",
    "effective_rank",
    "energy_shares",
    "fitted_line",
    "gradient_diversity",
    "half_widths",
    "holm",
    "hsic_matrix",
    "is_constant",
    "mean_cosine",
    "mean_interval",
    "mean_jaccard",
    "mean_length",
    "mean_similarity",
    "noise",
    "noise_scale",
    "pair_inner_products",
    "paired",
    "partial_hsic",
    "participation_ratio",
    "path_counts",
    "path_shares",
    "permutation_null",
    "reuse",
    "signal_to_noise",
    "slope",
    "split_half",
    "stable_rank",
    "stiffness",
    "u_center",
]
