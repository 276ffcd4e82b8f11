"""Where losses are compared, and how their gradients agree there: the numbers behind ``losses`` and ``conflicts``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gradlens.analyzers.replicates import mean_known, over_replicates
from gradlens.analyzers.signals import WHOLE, signals_of, stages_of
from gradlens.metrics import energy_shares
from gradlens.metrics.hsic import Array
from gradlens.recording import Recording

LEVELS = (
    "A signal is one weighted layer, a branch one contribution at a fork or part of a split; a stage, or the whole "
    "network, is the mean over its live signals."
)
Measure = Callable[[Recording, Sequence[int]], Mapping[str, Array]]


@dataclass(frozen=True)
class Scope:
    """A gradient at which losses are compared.

    Attributes:
        level: ``signal``, ``branch`` or ``stage``.
        where: name of the signal, address of the branch, or stage.
        stage: label of the stage.
        depth: weighted layers from the input, of a signal; else NaN.
        order: rank of the signal in depth order; else NaN.
        members: by gradient that counts, the probes whose gradients side by side are that gradient.
    """

    level: str
    where: str
    stage: str
    depth: float
    order: float
    members: tuple[tuple[int, ...], ...]

    def columns(self, recording: Recording) -> dict[str, object]:
        """Return the columns that say where a row is."""
        names = ("level", "where", "stage", "depth", "order")
        return {"network": recording.name, **{name: getattr(self, name) for name in names}}


def scopes_of(recording: Recording) -> Iterator[Scope]:
    """Yield the signals in depth order, the branches of forks and parts of splits, then the stages and ``whole``."""
    for order, signal in enumerate(recording.signals):
        if signal.sampled:
            numbers: tuple[int, ...] = (signal.number,)
            yield Scope("signal", signal.name, signal.stage, float(signal.probe.depth), order, (numbers,))
    for group in recording.plan.network_groups.values():
        for label, members in zip(group.labels, group.members, strict=True):
            if all(map(recording.plan.sampled, members)) and group.where != "merge":
                yield Scope("branch", f"{group.site}: {label}", group.stage, np.nan, np.nan, (members,))
    for stage in (*stages_of(recording), WHOLE):
        signals = [recording.signals[index] for index in signals_of(recording, stage)]
        of_stage: list[tuple[int, ...]] = [(signal.number,) for signal in signals if signal.sampled]
        if of_stage:
            yield Scope("stage", stage, stage, np.nan, np.nan, tuple(of_stage))


def with_intervals(
    recording: Recording, scopes: Sequence[Scope], measure: Measure
) -> list[dict[str, tuple[Array, Array, Array]]]:
    """Return a measure at each place as (mean over seeds, low, high) by name.

    Args:
        recording: of several losses.
        scopes: where to measure.
        measure: maps a recording of one seed and the probes of one gradient to arrays by name.
    """
    gradients = list(dict.fromkeys(members for scope in scopes for members in scope.members))
    index = {members: number for number, members in enumerate(gradients)}

    def at_scopes(replicate: Recording) -> dict[str, Array]:
        values = [measure(replicate, members) for members in gradients]
        stacked = {name: np.stack([value[name] for value in values]) for name in values[0]}
        return {
            f"{number} {name}": mean_known(array[[index[members] for members in scope.members]])
            for number, scope in enumerate(scopes)
            for name, array in stacked.items()
        }

    values = over_replicates(at_scopes, recording)
    by_scope: list[dict[str, tuple[Array, Array, Array]]] = [{} for _ in scopes]
    for key, mean in values.means.items():
        number, name = key.split(" ", 1)
        half = values.half_widths[key]
        by_scope[int(number)][name] = (mean, mean - half, mean + half)
    return by_scope


def energies_of(recording: Recording, members: Sequence[int]) -> dict[str, Array]:
    """Return ``energy`` and ``share`` of each loss ``[k]``, and the ``coherence`` of all."""
    energies = np.stack(
        [recording.of_loss(name).energies[list(members)].sum(axis=0) for name in recording.losses]
    )
    total = recording.energies[list(members)].sum()
    energy = energies.sum(axis=1)
    whole = energy.sum()
    return {
        "energy": energy / (recording.n * energies.shape[1]),
        "share": energy_shares(energy),
        "coherence": np.array(total / whole if whole > 0 else np.nan),
    }


def cosines_of(recording: Recording, members: Sequence[int]) -> dict[str, Array]:
    """Return ``cosine``, ``cosine_of_mean``, ``conflict`` and ``lost`` of each pair of losses, ``[c]``.

    ``lost`` is the share of the samples with a gradient of both losses whose cosine is hidden by rounding.
    """
    by_loss, rows = recording.by_loss, list(members)
    assert by_loss is not None
    inner = by_loss.read("products")[:, rows].sum(axis=1)
    of_sums = by_loss.read("mean_products")[:, rows].sum(axis=1)
    grams = {name: recording.of_loss(name).grams[rows].sum(axis=0) for name in by_loss.names}
    squares = {name: np.diagonal(gram, axis1=-2, axis2=-1) for name, gram in grams.items()}
    sums = {name: np.clip(gram.sum(axis=(-2, -1)), 0.0, None) for name, gram in grams.items()}
    values: dict[str, list[float]] = {name: [] for name in ("cosine", "cosine_of_mean", "conflict", "lost")}
    for pair, (a, b) in enumerate(by_loss.pairs):
        cosines, alive = _cosines(inner[pair], squares[a] * squares[b])
        known = np.isfinite(cosines)
        means, _ = _cosines(of_sums[pair], sums[a] * sums[b])
        values["cosine"].append(float(cosines[known].mean()) if known.any() else np.nan)
        values["cosine_of_mean"].append(float(mean_known(means)))
        values["conflict"].append(float((cosines[known] < 0).mean()) if known.any() else np.nan)
        values["lost"].append(float((alive & ~known).sum() / alive.sum()) if alive.any() else np.nan)
    return {name: np.array(column) for name, column in values.items()}


def _cosines(inner: Array, norms: Array) -> tuple[Array, np.ndarray]:
    """Return the cosines, NaN where a norm is zero or rounding hides the product, and where both norms are positive."""
    alive = norms > 0
    cosines = np.divide(inner, np.sqrt(norms), out=np.full_like(inner, np.nan), where=alive)
    return np.clip(cosines, -1.0, 1.0), alive
