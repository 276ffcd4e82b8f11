"""The numbers of one backward pass in a training, as rows of one long table. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from gradlens.analyzers.branches import Shares
from gradlens.analyzers.duplication import Duplication
from gradlens.analyzers.signals import WHOLE
from gradlens.catalogue.versions import ENERGY, ENERGY_GIVEN_LOSS
from gradlens.catalogue.watched import AXES, FINITE, watched
from gradlens.errors import GradlensError
from gradlens.graph.probes import SeriesProbe
from gradlens.metrics.hsic import FEWEST
from gradlens.recording import Recording


class Series(NamedTuple):
    """Where and of what there is a number in each step; the attributes are those of ``Row``."""

    backward: int
    stage: str
    place: str
    branch: str
    quantity: str


class Row(NamedTuple):
    """One number.

    Attributes:
        step: forward pass of the training with gradients, counted from 0.
        backward: 0 for the first backward pass through the graph of that forward pass, 1 for a second one.
        stage: stage of the place; ``whole`` for the network.
        place: name of a signal or of a fork; empty for a stage.
        branch: label of a branch at a fork; empty elsewhere.
        quantity: what was measured, a name in ``gradlens.catalogue.watched``, or a number that the loop has logged.
        value: the number; NaN if it has no value.
    """

    step: int
    backward: int
    stage: str
    place: str
    branch: str
    quantity: str
    value: float

    @property
    def series(self) -> Series:
        """What the numbers of one place and quantity have in common from step to step."""
        return Series(*self[1:6])


COLUMNS = Row._fields
TYPES: Mapping[str, type] = {"step": int, "backward": int, "value": float}
"""Types of the columns that are no text."""


def rows_of(
    recording: Recording, step: int, backward: int, largest: Mapping[int, float], scale: float = 1.0
) -> list[Row]:
    """Return the numbers of a recording of one batch.

    Args:
        recording: of one backward pass; of several processes, a replicate for each.
        step: of the training.
        backward: number of the backward pass.
        largest: by probe, the largest absolute element of a gradient of the summed loss.
        scale: factor of the loss, which is divided out already.
    """
    signals = [*_signals(recording, largest), *_recurrences(recording, largest), *_left_out(recording)]
    cells = [*signals, *_branches(recording), *_stages(recording), *_last(1.0, scale)]
    return [Row(step, backward, *cell) for cell in cells]


def not_finite(
    step: int, backward: int, stage: str, site: str, samples: float, scale: float = 1.0
) -> list[Row]:
    """Return the rows of a backward pass with a gradient that is not finite.

    Args:
        step: of the training.
        backward: number of the backward pass.
        stage: of the first such gradient that arrived.
        site: the operation that passes it back.
        samples: share of the samples in which it is.
        scale: factor of the loss.
    """
    cells = [(stage, site, "", "not_finite", samples), *_last(0.0, scale)]
    return [Row(step, backward, *cell) for cell in cells]


def logged(step: int, numbers: Mapping[str, object]) -> list[Row]:
    """Return the rows of numbers that the loop has logged.

    Args:
        step: of the training.
        numbers: by name; a tensor has one element.

    Raises:
        GradlensError: a name is one of gradlens, or a value is no number.
    """
    rows = []
    for name, value in numbers.items():
        if watched(name) is not None or name in AXES:
            raise GradlensError(f"log({name}=...): {name} is a name of gradlens; choose another one")
        try:
            number = float(value.item() if hasattr(value, "item") else value)  # type: ignore[arg-type]
        except Exception:  # of the object of a metric, whatever it is
            raise GradlensError(f"log({name}=...): a {type(value).__name__} is not a single number") from None
        rows.append(Row(step, 0, WHOLE, "", "", name, number))
    return rows


def ends_a_pass(row: Row) -> bool:
    """Return whether a row is the last one of a backward pass."""
    return row.quantity == FINITE


def is_logged(row: Row) -> bool:
    """Return whether a row is a number that the loop has logged, such as its loss."""
    return watched(row.quantity) is None


def complete(rows: Sequence[Row]) -> list[Row]:
    """Return rows without those of a backward pass at the end that was cut off: ``finite`` is the last row of each."""
    last = max((index for index, row in enumerate(rows) if ends_a_pass(row) or is_logged(row)), default=-1)
    return list(rows[: last + 1])


Cell = tuple[str, str, str, str, float]
"""Stage, place, branch, quantity and value of a row."""


def _last(finite: float, scale: float) -> Iterator[Cell]:
    if scale != 1.0:
        yield WHOLE, "", "", "scale", scale
    yield WHOLE, "", "", "finite", finite


def _signals(recording: Recording, largest: Mapping[int, float]) -> Iterator[Cell]:
    """Yield the numbers of the layers that a gradient has reached."""
    for signal in recording.signals:
        if signal.number not in largest:
            continue
        place = signal.stage, signal.name, ""
        yield (*place, "largest", largest[signal.number])
        if signal.sampled:
            squares = np.clip(np.diagonal(recording.grams[signal.number], axis1=1, axis2=2), 0.0, None)
            elements = max(signal.probe.elements(recording.n), 1)
            yield (*place, "energy", float(squares.sum()))
            yield (*place, "rms", float(np.sqrt(squares / elements).mean()))
            yield (*place, "dead", float(not squares.any()))


def _recurrences(recording: Recording, largest: Mapping[int, float]) -> Iterator[Cell]:
    """Yield how the norm of the gradient changes over the time steps of each recurrent layer."""
    for signal in recording.signals:
        if not isinstance(signal.probe, SeriesProbe) or signal.number not in largest or not signal.sampled:
            continue
        energies = [
            float(np.trace(recording.grams[step], axis1=1, axis2=2).sum()) for step in signal.probe.steps
        ]
        reached = next((step for step, energy in enumerate(energies) if energy > 0), len(energies))
        steps = len(energies) - 1 - reached
        if steps > 0 and energies[-1] > 0:
            gain = float(np.sqrt(energies[reached] / energies[-1]))
            place = signal.stage, signal.name, ""
            yield (*place, "gain_per_step", gain ** (1 / steps))
            yield (*place, "gain_over_steps", gain if not reached else 0.0)


def _left_out(recording: Recording) -> Iterator[Cell]:
    """Yield the parts of the network that are not trained, although others are."""
    for layer in recording.provenance.unreached_layers:
        yield WHOLE, layer, "", "unreached", 1.0
    for module in recording.provenance.frozen_inside:
        yield WHOLE, module, "", "frozen", 1.0


def _branches(recording: Recording) -> Iterator[Cell]:
    table, recurrent = Shares()(recording), _recurrent(recording)
    if table is None:
        return
    forks: set[str] = set()
    for row in table.frame.to_dict("records"):
        place = row["stage"], row["site"]
        if row["site"] in recurrent or not np.isfinite(row["share"]):
            continue
        yield (*place, row["branch"], "share" if row["where"] == "fork" else "part", float(row["share"]))
        if row["where"] == "fork" and row["site"] not in forks and np.isfinite(row["coherence"]):
            forks.add(row["site"])
            yield (*place, "", "coherence", float(row["coherence"]))


def _recurrent(recording: Recording) -> set[str]:
    """Return the sites of forks inside recurrent layers, whose steps share what is read at the last one."""
    plan = recording.plan
    modules = {plan.owners[node].module for probe in plan.series.values() for node in probe.uses}
    return {group.site for group in plan.groups if plan.owners[group.source_key.node].module in modules}


def _stages(recording: Recording) -> Iterator[Cell]:
    table = Duplication((ENERGY, ENERGY_GIVEN_LOSS))(recording) if recording.n >= FEWEST else None
    if table is None:
        return
    for row in table.frame.to_dict("records"):
        given = row["version"] != ENERGY.label
        name = "duplication_given_loss" if given else "duplication"
        if np.isfinite(row["rarefied_duplication"]):
            yield row["stage"], "", "", name, float(row["rarefied_duplication"])
        if not given and np.isfinite(row["mean_similarity"]):
            yield row["stage"], "", "", "mean_similarity", float(row["mean_similarity"])
