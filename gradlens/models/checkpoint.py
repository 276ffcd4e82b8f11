"""Load all weights from a file, or none."""

from __future__ import annotations

import pickle
import struct
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from gradlens.errors import GradlensError
from gradlens.models.files import require_file

NESTINGS = ("state_dict", "model", "model_state_dict")
PREFIXES = ("module.", "_orig_mod.")  # added by DataParallel and by torch.compile
SHOWN = 5


def load_checkpoint(model: nn.Module, path: str | Path) -> None:
    """Load the weights in ``path`` into ``model``.

    A ``.safetensors`` file is read as such, any other file with ``torch.load(weights_only=True)``, which executes no
    code. Weights under the key "state_dict", "model" or "model_state_dict" are unwrapped, and a prefix "module."
    is removed.

    Raises:
        GradlensError: the file is missing, damaged or holds more than tensors, or its weights belong to
            another model; the model is then unchanged.
    """
    path = Path(path)
    expected = model.state_dict()
    weights = _unprefixed(_unwrapped(_read(path), path), expected)
    problems = dict(misfits(expected, weights))
    if problems:
        kinds = [_listed(kind, problems) for kind in ("missing", "unexpected", "of another shape")]
        raise GradlensError(
            f"{path} holds the weights of another network: {'; '.join(text for text in kinds if text)}"
        )
    model.load_state_dict(weights, strict=False)  # strict would require num_batches_tracked


def head_classes(model: nn.Module, path: str | Path, num_classes: int) -> int | None:
    """Return the number of classes of the head in a file of weights, or None if only the head does not tell it.

    Args:
        model: the network with a head of another width.
        path: the file of weights.
        num_classes: the width of the model's head.

    Raises:
        GradlensError: the file is missing, damaged or holds more than tensors.
    """
    expected = model.state_dict()
    weights = _unprefixed(_unwrapped(_read(Path(path)), Path(path)), expected)
    widths = set()
    for key, value in expected.items():
        saved = weights.get(key)
        if saved is None or saved.shape == value.shape:
            continue
        if value.dim() == 0 or len(value) != num_classes or saved.shape[1:] != value.shape[1:]:
            return None
        widths.add(len(saved))
    return widths.pop() if len(widths) == 1 else None


def misfits(expected: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> Iterator[tuple[str, str]]:
    """Yield each key at which the weights differ from the expected state, with a description of the problem.

    Batch counters may be missing, because files older than PyTorch 0.4.1 have none.
    """
    for key, value in expected.items():
        if key not in weights:
            if not key.endswith("num_batches_tracked"):
                yield key, f"missing {key}"
        elif weights[key].shape != value.shape:
            yield key, f"of another shape {key} {list(weights[key].shape)} instead of {list(value.shape)}"
    for key in weights:
        if key not in expected:
            yield key, f"unexpected {key}"


def _listed(kind: str, problems: Mapping[str, str]) -> str:
    texts = [text.removeprefix(kind).strip() for text in problems.values() if text.startswith(kind)]
    more = ", ..." if len(texts) > SHOWN else ""
    return f"{len(texts)} {kind} ({', '.join(texts[:SHOWN])}{more})" if texts else ""


def _read(path: Path) -> object:
    require_file(path, "checkpoint")
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the pickle protocol of other tools' files
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise GradlensError(
            f"checkpoint {path} is damaged or holds more than tensors, and gradlens executes no code from a file;"
            " save model.state_dict() on its own and give that file"
        ) from error
    except (SafetensorError, RuntimeError, EOFError, OSError, LookupError, ValueError, struct.error) as error:
        raise GradlensError(
            f"checkpoint {path} is damaged or not a checkpoint ({type(error).__name__}); save or download it again"
        ) from error


def _unwrapped(content: object, path: Path) -> dict[str, Tensor]:
    for _ in NESTINGS:
        if isinstance(content, Mapping):
            nested = (content[key] for key in NESTINGS if isinstance(content.get(key), Mapping))
            content = next(nested, content)
    if isinstance(content, Mapping):
        tensors = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
        if tensors:
            return tensors
    keys = (
        ", ".join(map(str, list(content)[:SHOWN])) if isinstance(content, Mapping) else type(content).__name__
    )
    raise GradlensError(
        f"checkpoint {path} holds no weights that gradlens recognises (it holds: {keys or 'nothing'});"
        f" save model.state_dict(), alone or under one of {', '.join(NESTINGS)}"
    )


def _unprefixed(weights: dict[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    for prefix in PREFIXES:
        wrapped = all(key.startswith(prefix) for key in weights)
        if wrapped and not all(key.startswith(prefix) for key in expected):
            weights = {key.removeprefix(prefix): value for key, value in weights.items()}
    return weights
