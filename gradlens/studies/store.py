"""Store finished cells on disk, so that an interrupted run can continue."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gradlens.errors import GradlensError
from gradlens.recording import Recording

CELL = "cell.json"
SCORES = ("loss", "accuracy", "average_precision", "train_loss")
"""Numbers of a snapshot besides its recording."""


@dataclass(frozen=True)
class Snapshot:
    """A network at one step of its training.

    Attributes:
        step: number of updates before it.
        recording: recording of the batches of the seed.
        train_loss: mean over the last training steps before it, at step 0 that of the first step; NaN without training.
        loss: held-out; NaN if not evaluated.
        accuracy: held-out, in [0, 1]; NaN if not evaluated.
        average_precision: held-out, of a detector, in [0, 1]; NaN if not evaluated.
    """

    step: int
    recording: Recording
    train_loss: float
    loss: float
    accuracy: float = float("nan")
    average_precision: float = float("nan")

    @property
    def scores(self) -> dict[str, float]:
        """Losses, accuracy and average precision by the name of the quantity."""
        return {name: getattr(self, name) for name in SCORES}


@dataclass(frozen=True)
class Store:
    """A folder of cells; each cell is a folder that is written elsewhere and renamed when it is complete.

    Attributes:
        folder: created by the first ``put``; None stores nothing.
        request: everything that determines the numbers of a cell; cells of another request raise an error.
    """

    folder: Path | None
    request: Mapping[str, object]

    def get(self, name: str) -> list[Snapshot] | None:
        """Return the snapshots of a finished cell, or None.

        Raises:
            GradlensError: the cell belongs to another request, or is damaged.
        """
        path = self._path(name)
        if path is None or not (path / CELL).is_file():
            return None
        try:
            document = json.loads((path / CELL).read_text(encoding="utf-8"))
            if document["request"] != _plain(self.request):
                raise GradlensError(
                    f"{path.parent} holds cells of another run ({_difference(document['request'], self.request)}); "
                    "use the options of that run, or remove the folder to start again"
                )
            return [
                Snapshot(
                    entry["step"],
                    Recording.load(path / f"{entry['step']}.safetensors"),
                    **{name: _number(entry[name]) for name in SCORES},
                )
                for entry in document["snapshots"]
            ]
        except (ValueError, LookupError, TypeError, OSError) as error:
            raise GradlensError(f"{path} is damaged ({error}); remove it and resume again") from error

    def put(self, name: str, snapshots: Sequence[Snapshot]) -> None:
        """Save a finished cell.

        Raises:
            GradlensError: it cannot be written.
        """
        path = self._path(name)
        if path is None:
            return
        staging = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            staging.mkdir(parents=True)
            for snapshot in snapshots:
                snapshot.recording.save(staging / f"{snapshot.step}.safetensors")
            entries = [
                {"step": s.step, **{name: _json(value) for name, value in s.scores.items()}}
                for s in snapshots
            ]
            document = {"cell": name, "request": _plain(self.request), "snapshots": entries}
            (staging / CELL).write_text(json.dumps(document), encoding="utf-8")
            os.replace(staging, path)
        except OSError as error:
            raise GradlensError(f"cannot write {path}: {error.strerror or error}") from error
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _path(self, name: str) -> Path | None:
        if self.folder is None:
            return None
        readable = re.sub(r"[^A-Za-z0-9._=-]+", "-", name)[:80]
        return self.folder / f"{readable}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _difference(saved: Mapping[str, object], request: Mapping[str, object]) -> str:
    current = _plain(request)
    keys = [key for key in {**saved, **current} if saved.get(key) != current.get(key)]
    return "; ".join(f"{key} {saved.get(key)}, now {current.get(key)}" for key in keys[:3])


def _plain(value: Mapping[str, object]) -> dict[str, object]:
    """Return the mapping as JSON reads it back."""
    return json.loads(json.dumps(value))  # type: ignore[no-any-return]


def _json(value: float) -> float | None:
    return None if value != value else value


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
