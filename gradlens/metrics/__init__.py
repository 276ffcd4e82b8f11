"""Metrics of Gram matrices, without models, graphs or files.

Shapes use the letters of docs/notation.md: ``n`` samples, ``l`` signals, ``s`` replicates,
``b`` branches. A Gram is ``K = G Gᵀ`` ``[n, n]`` in float64, ``G`` with one row per sample.

The line ``import name as name`` makes a metric public.
"""

from gradlens.metrics.agreement import confusion as confusion
from gradlens.metrics.agreement import cosines_of_samples as cosines_of_samples
from gradlens.metrics.agreement import diversities as diversities
from gradlens.metrics.agreement import gradient_diversity as gradient_diversity
from gradlens.metrics.agreement import stiffness as stiffness
from gradlens.metrics.cca import Canonical as Canonical
from gradlens.metrics.cca import canonical as canonical
from gradlens.metrics.duplication import duplication as duplication
from gradlens.metrics.duplication import duplication_bias as duplication_bias
from gradlens.metrics.duplication import effective_number as effective_number
from gradlens.metrics.duplication import mean_similarity as mean_similarity
from gradlens.metrics.forks import coherence as coherence
from gradlens.metrics.forks import cosine_sums as cosine_sums
from gradlens.metrics.forks import energy_shares as energy_shares
from gradlens.metrics.forks import mean_cosine as mean_cosine
from gradlens.metrics.forks import pair_inner_products as pair_inner_products
from gradlens.metrics.forks import polarisation_error as polarisation_error
from gradlens.metrics.hsic import cka as cka
from gradlens.metrics.hsic import direction as direction
from gradlens.metrics.hsic import hsic_by_replicate as hsic_by_replicate
from gradlens.metrics.hsic import hsic_matrix as hsic_matrix
from gradlens.metrics.hsic import is_constant as is_constant
from gradlens.metrics.hsic import is_rounding as is_rounding
from gradlens.metrics.hsic import partial_hsic as partial_hsic
from gradlens.metrics.hsic import u_center as u_center
from gradlens.metrics.inference import Association as Association
from gradlens.metrics.inference import Paired as Paired
from gradlens.metrics.inference import association as association
from gradlens.metrics.inference import holm as holm
from gradlens.metrics.inference import p_of_half_widths as p_of_half_widths
from gradlens.metrics.inference import paired as paired
from gradlens.metrics.intervals import Interval as Interval
from gradlens.metrics.intervals import Line as Line
from gradlens.metrics.intervals import fitted_line as fitted_line
from gradlens.metrics.intervals import half_widths as half_widths
from gradlens.metrics.intervals import mean_interval as mean_interval
from gradlens.metrics.intervals import slope as slope
from gradlens.metrics.noise import Noise as Noise
from gradlens.metrics.noise import noise as noise
from gradlens.metrics.noise import noise_scale as noise_scale
from gradlens.metrics.noise import signal_to_noise as signal_to_noise
from gradlens.metrics.null import Null as Null
from gradlens.metrics.null import permutation_null as permutation_null
from gradlens.metrics.null import split_half as split_half
from gradlens.metrics.paths import Step as Step
from gradlens.metrics.paths import mean_jaccard as mean_jaccard
from gradlens.metrics.paths import mean_length as mean_length
from gradlens.metrics.paths import path_counts as path_counts
from gradlens.metrics.paths import path_shares as path_shares
from gradlens.metrics.paths import reuse as reuse
from gradlens.metrics.polarisation import Products as Products
from gradlens.metrics.polarisation import Weighted as Weighted
from gradlens.metrics.polarisation import further_weight as further_weight
from gradlens.metrics.polarisation import products as products
from gradlens.metrics.rarefaction import rarefied_duplication as rarefied_duplication
from gradlens.metrics.rarefaction import rarefied_number as rarefied_number
from gradlens.metrics.rarefaction import similarity_by_lag as similarity_by_lag
from gradlens.metrics.spectrum import effective_rank as effective_rank
from gradlens.metrics.spectrum import participation_ratio as participation_ratio
from gradlens.metrics.spectrum import ranks as ranks
from gradlens.metrics.spectrum import stable_rank as stable_rank
