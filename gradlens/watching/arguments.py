"""Checks of the arguments of ``watch``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from torch import nn

from gradlens.errors import GradlensError
from gradlens.hooks.checks import check_model
from gradlens.watching.grams import FOLDER, Grams
from gradlens.watching.logs import Log, ReadableLog

KEPT = 8
"""Backward passes of which the recordings are in memory if they are in files, too."""


def check_arguments(model: object, scaler: object, on_alarm: object) -> None:
    """Raise if an argument has another kind than it needs.

    Raises:
        GradlensError: it has, or the model cannot be watched.
    """
    if not isinstance(model, nn.Module):
        raise GradlensError(f"gl.watch needs a torch.nn.Module, not a {type(model).__name__}")
    if any(type(module).__name__.startswith("FSDP") for module in model.modules()):
        raise GradlensError(
            "fully_shard splits the parameters among processes, and gl.watch does not find them there; watch a "
            "training with DistributedDataParallel, or of one process"
        )
    if isinstance(model, nn.DataParallel):
        raise GradlensError(
            "DataParallel copies the model in each step; watch a training with DistributedDataParallel"
        )
    if scaler is not None and not callable(getattr(scaler, "get_scale", None)):
        raise GradlensError(
            f"scaler= is a {type(scaler).__name__}; give the torch.amp.GradScaler of the loop"
        )
    if on_alarm is not None and not callable(on_alarm):
        raise GradlensError(f"on_alarm= is a {type(on_alarm).__name__}, not a function of an alarm")
    check_model(model)
    if model._compiled_call_impl is not None:
        raise GradlensError(
            "model.compile() compiles the hooks of the model, too, so that no step can run uncompiled; watch "
            "torch.compile(model) and call that"
        )


def kept_of(keep: object, logs: Iterable[Log]) -> tuple[int, Grams | None]:
    """Return how many recordings are kept in memory, and the files that all are written to, if there are any.

    Raises:
        GradlensError: it is no number, or there is no folder for the files.
    """
    if isinstance(keep, Path):
        return KEPT, Grams(keep)
    if keep == FOLDER:
        folders = [log.folder for log in logs if isinstance(log, ReadableLog)]
        if not folders:
            raise GradlensError(
                f"keep={FOLDER!r} writes into the folder of a log; add to=gl.CsvLog(FOLDER), or give a folder as "
                "keep=pathlib.Path(FOLDER)"
            )
        return KEPT, Grams(folders[0] / FOLDER)
    if type(keep) is not int or keep < 0:
        raise GradlensError(
            f"keep={keep!r} is not a number of backward passes; give 0 or more, such as {KEPT}, or {FOLDER!r}"
        )
    return keep, None


def logs_of(to: Log | Iterable[Log]) -> list[Log]:
    """Return the logs of an argument: one, or several.

    Raises:
        GradlensError: one of them is not a log.
    """
    if isinstance(to, (str, Path)):
        raise GradlensError(f"to={str(to)!r} is a path, not a log; give to=gl.CsvLog({str(to)!r})")
    logs = list(to) if isinstance(to, Iterable) else [to]
    for log in logs:
        if not all(hasattr(log, name) for name in ("write", "resume", "close")):
            raise GradlensError(
                f"to= has a {type(log).__name__}, which is not a log; give gl.CsvLog(FOLDER), or an object with the "
                "methods write, resume and close"
            )
    return logs
