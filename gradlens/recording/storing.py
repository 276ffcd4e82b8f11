"""A recording as a document and arrays, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gradlens.recording import by_loss, codec
from gradlens.recording.file import by_group

if TYPE_CHECKING:
    from gradlens.recording.recording import Recording

Arrays = Mapping[str, NDArray[Any]]


def stored(recording: Recording) -> tuple[dict[str, object], dict[str, NDArray[Any]]]:
    """Return the document and the arrays of a recording for its file."""
    arrays: dict[str, NDArray[Any]] = {"grams": recording.grams}
    tables: dict[str, Mapping[int, NDArray[np.float64]]] = {
        "inner": recording.inner,
        "projected": recording.projected_errors,
        "carried": recording.carried,
    }
    for name, by_number in tables.items():
        arrays |= {f"{name}.{number}": value for number, value in by_number.items()}
    optional = {"halves": recording.halves, "labels": recording.labels}
    losses, of_losses = by_loss.stored(recording.by_loss)
    document = {
        "plan": codec.plan_document(recording.plan),
        "dry_errors": {str(group): error for group, error in recording.dry_errors.items()},
        "replicates": recording.replicates,
        "costs": codec.costs_document(recording.costs),
        "throughput": dict(recording.throughput),
        "losses": losses,
        "meta": dict(recording.meta),
    }
    return document, {**arrays, **of_losses, **{k: v for k, v in optional.items() if v is not None}}


def read(document: codec.Document, arrays: Arrays) -> dict[str, Any]:
    """Return the fields of the recording that ``stored`` described, in this format or an older one."""
    return {
        "plan": codec.read_plan(document["plan"]),
        "grams": arrays["grams"],
        "inner": by_group(arrays, "inner"),
        "projected_errors": by_group(arrays, "projected"),
        "carried": by_group(arrays, "carried"),
        "dry_errors": {int(group): error for group, error in document["dry_errors"].items()},
        "labels": arrays.get("labels"),
        "halves": arrays.get("halves"),
        "replicates": tuple((seed, batch) for seed, batch in document["replicates"]),
        "costs": codec.read_costs(document["costs"]),
        "throughput": document["throughput"],
        "by_loss": by_loss.read(document.get("losses", []), arrays),
        "meta": document["meta"],
    }
