"""capture: batches through a model, one ordinary backward pass each, and what is kept of them."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from functools import partial
from operator import length_hint
from typing import Any

import numpy as np
import torch
from torch import nn

from gradlens.errors import GradlensError
from gradlens.grams.accumulator import BatchGrams
from gradlens.hooks.state import preserved
from gradlens.hooks.steps import Loss, Step, step_of
from gradlens.hooks.watcher import Watcher
from gradlens.progress import Progress, told
from gradlens.recording import Recording
from gradlens.recording.costs import Costs
from gradlens.recording.watch import Watch, watch_of
from gradlens.version import VERSION


def capture(
    model: nn.Module,
    batches: Iterable[object],
    watch: Watch | None = None,
    *,
    loss: Loss | None = None,
    step: Step | None = None,
    costs: bool = True,
    throughput: int = 0,
    keep_partial: bool = False,
    progress: Progress | bool | None = None,
    meta: Mapping[str, object] | None = None,
    **options: Any,
) -> Recording:
    """Watch one backward pass a batch and keep a Gram of every gradient at the chosen sites.

    The model is left as it was, also after an exception: mode, buffers, ``.grad``,
    ``requires_grad``, random state; no hook stays.

    Args:
        model: any module, unprepared.
        batches: of one size, read one by one (a ``DataLoader`` will do); each is
            ``(inputs, targets)``, or anything that ``step`` takes.
        watch: what to watch, and how; the defaults of ``Watch`` if None.
        loss: ``loss(output, target) -> scalar``; cross entropy by default.
        step: ``step(model, batch) -> scalar loss`` for any model and batch, instead of ``loss``.
        costs: count FLOPs, traffic and memory of one step.
        throughput: timed repeats of a step, 0 for none.
        keep_partial: on Ctrl-C return what was finished, marked in ``meta``.
        progress: called with (what, done, total), in weight space first with what it will cost; by default
            a line in a notebook and nothing elsewhere; ``False`` for none.
        meta: entries to add.
        options: fields of ``Watch`` that replace those of ``watch``: ``sites="all"``, ``seed=3``.

    Raises:
        GradlensError: see the message; among others fewer than 4 samples, a loss or gradient that
            is not finite (which batch, which site), a graph that cannot be seen, a graph that
            changes from batch to batch.
    """
    watch = watch_of(watch, options)
    run = Watcher(model, watch, step_of(loss, step))
    finished: list[BatchGrams] = []
    first: object = None
    cut = False
    counted: Costs | None = None
    speeds: Mapping[str, list[float]] = {}
    with told(progress) as tell, preserved(model, watch.mode), torch.enable_grad():
        if tell is not None:
            run.tell = partial(_remark, tell, length_hint(batches))
        try:
            for place, batch in enumerate(batches):
                first = batch if place == 0 else first
                finished.append(run.batch(place, batch))
                if tell is not None:
                    tell("batches", place + 1, max(length_hint(batches), place + 1))
            if not finished:
                raise GradlensError("no batches to capture; give at least one")
            counted = run.costs(first) if costs else None
            speeds = run.speeds(first, throughput) if throughput else {}
        except KeyboardInterrupt:
            if not (keep_partial and finished):
                raise
            cut = True
        described = _meta(model, run) | dict(meta or {})
    return run.recording(finished, counted, speeds, described | ({"partial": True} if cut else {}))


def _remark(tell: Progress, total: int, text: str) -> None:
    tell(text, 0, max(total, 1))


def _meta(model: nn.Module, run: Watcher) -> dict[str, object]:
    norms = sum("BatchNorm" in type(module).__name__ for module in model.modules())
    return {
        "gradlens": VERSION,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "threads": torch.get_num_threads(),
        "model_class": type(model).__name__,
        "mode": run.watch.mode,
        "training": model.training,
        "batch_norms": norms,
        "reduction": run.watch.reduction,
        "sites": run.watch.sites,
        "pairs": run.watch.pairs,
        "space": run.watch.space,
        "unseen_layers": run.unseen,
        "partly_seen": run.partly,
        "dry_samples": run.dry.samples if run.dry is not None else 0,
    }
