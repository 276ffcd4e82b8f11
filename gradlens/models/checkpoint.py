"""Weights from a file, all of them or none."""

from __future__ import annotations

import pickle
import struct
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from gradlens.errors import GradlensError

NESTINGS = ("state_dict", "model", "model_state_dict")
PREFIXES = ("module.", "_orig_mod.")  # left by DataParallel and by torch.compile
SHOWN = 5


def load_checkpoint(model: nn.Module, path: str | Path) -> None:
    """Load the weights in ``path`` into ``model``.

    A file that ends in ``.safetensors`` is read as such, any other with
    ``torch.load(weights_only=True)``: nothing in it is executed. Dicts that keep the weights under
    "state_dict", "model" or "model_state_dict" are unwrapped, and a prefix "module." is taken off.

    Raises:
        GradlensError: the file is missing, damaged or holds other things than tensors, or its
            weights are not those of this model (nothing is loaded then).
    """
    path = Path(path)
    own = model.state_dict()
    given = _unprefixed(_unwrapped(_read(path), path), own)
    problems = dict(misfits(own, given))
    if problems:
        kinds = [_listed(kind, problems) for kind in ("missing", "unexpected", "of another shape")]
        raise GradlensError(
            f"{path} holds the weights of another network: {'; '.join(text for text in kinds if text)}"
        )
    model.load_state_dict(given, strict=False)  # strict would ask for num_batches_tracked


def misfits(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> Iterator[tuple[str, str]]:
    """What keeps ``given`` from being the state ``own``: pairs of a key and what is wrong with it.

    Batch counters may be missing: files older than PyTorch 0.4.1 have none.
    """
    for key, value in own.items():
        if key not in given:
            if not key.endswith("num_batches_tracked"):
                yield key, f"missing {key}"
        elif given[key].shape != value.shape:
            yield key, f"of another shape {key} {list(given[key].shape)} instead of {list(value.shape)}"
    for key in given:
        if key not in own:
            yield key, f"unexpected {key}"


def _listed(kind: str, problems: Mapping[str, str]) -> str:
    found = [text.removeprefix(kind).strip() for text in problems.values() if text.startswith(kind)]
    more = ", ..." if len(found) > SHOWN else ""
    return f"{len(found)} {kind} ({', '.join(found[:SHOWN])}{more})" if found else ""


def _read(path: Path) -> Any:
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise GradlensError(f"checkpoint {path} {what}; give a file of weights")
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the pickle protocol of foreign files
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise GradlensError(
            f"checkpoint {path} is damaged or holds more than tensors, and gradlens runs no code from a file;"
            " save model.state_dict() alone and give that"
        ) from error
    except PermissionError as error:
        raise GradlensError(f"checkpoint {path} may not be read; change its permissions") from error
    except (SafetensorError, RuntimeError, EOFError, OSError, LookupError, ValueError, struct.error) as error:
        raise GradlensError(
            f"checkpoint {path} is damaged or no checkpoint at all ({type(error).__name__}); make or fetch it again"
        ) from error


def _unwrapped(content: Any, path: Path) -> dict[str, Tensor]:
    for _ in NESTINGS:
        inner = [
            key for key in NESTINGS if isinstance(content, Mapping) and isinstance(content.get(key), Mapping)
        ]
        if not inner:
            break
        content = content[inner[0]]
    if isinstance(content, Mapping):
        tensors = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
        if tensors:
            return tensors
    keys = (
        ", ".join(map(str, list(content)[:SHOWN])) if isinstance(content, Mapping) else type(content).__name__
    )
    raise GradlensError(
        f"checkpoint {path} holds no weights that gradlens finds (it holds: {keys or 'nothing'});"
        f" save model.state_dict(), alone or under one of {', '.join(NESTINGS)}"
    )


def _unprefixed(given: dict[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    for prefix in PREFIXES:
        wrapped = all(key.startswith(prefix) for key in given)
        if wrapped and not all(key.startswith(prefix) for key in own):
            given = {key.removeprefix(prefix): value for key, value in given.items()}
    return given
