"""The file of a recording: arrays in the safetensors format, everything else as JSON in its metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from gradlens.errors import GradlensError

FORMAT = 5
"""Version of the format. Format 1 lacks the names of the parameters of a weight; formats 1 and 2 have probes of one
type and groups without their parts; formats 1 to 3 have no signals with steps,
formats 1 to 4 no losses beside their sum. All can still be read."""
DAMAGES = (SafetensorError, LookupError, TypeError, ValueError, AttributeError, OSError)
"""Exceptions from reading a foreign or damaged file."""

Arrays = Mapping[str, NDArray[Any]]


def write(path: str | Path, document: Mapping[str, object], arrays: Arrays) -> Path:
    """Write a document and arrays, and return the path.

    Raises:
        GradlensError: the file cannot be written.
    """
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    text = json.dumps({"format": FORMAT, **document})
    try:
        save_file(contiguous, str(path), metadata={"gradlens": text})
    except (OSError, SafetensorError) as error:
        raise GradlensError(f"cannot write {path}: {error}") from error
    return Path(path)


def read(path: str | Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return the document and the arrays of a file.

    Raises:
        GradlensError: the file does not exist, or its format is newer than ``FORMAT``.
        Exception: one of ``DAMAGES`` if it is not a recording.
    """
    if not Path(path).is_file():
        raise GradlensError(f"{path} does not exist; Recording.save writes such a file")
    with safe_open(str(path), framework="numpy") as file:
        document = json.loads((file.metadata() or {})["gradlens"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if document["format"] > FORMAT:
        raise GradlensError(
            f"{path} has format {document['format']}; this version of gradlens reads up to {FORMAT}; update gradlens"
        )
    return document, arrays


def by_group(arrays: Mapping[str, NDArray[np.float64]], name: str) -> dict[int, NDArray[np.float64]]:
    """Return the arrays ``name.0``, ``name.7`` by the number of their group."""
    prefix = f"{name}."
    return {int(key.removeprefix(prefix)): value for key, value in arrays.items() if key.startswith(prefix)}
