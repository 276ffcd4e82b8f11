"""``capture``: run batches through a model, one ordinary backward pass each, and return a recording."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from numbers import Integral
from operator import length_hint
from typing import Any, TypeVar, cast

import torch
from torch import nn

from gradlens.errors import BATCHES, GradlensError, callers_errors
from gradlens.hooks.assembling import assembled, meta_of
from gradlens.hooks.checks import check_model
from gradlens.hooks.modes import original, uncompiled
from gradlens.hooks.planned import Planned
from gradlens.hooks.state import Guard, preserved
from gradlens.hooks.steps import Loss, Step, step_of
from gradlens.hooks.watcher import Watched, Watcher
from gradlens.progress import Progress, progress_callback
from gradlens.recording import Recording
from gradlens.recording.costs import Costs
from gradlens.recording.watch import Watch, watch_of

Value = TypeVar("Value")


def capture(
    model: nn.Module,
    batches: Iterable[object],
    watch: Watch | None = None,
    *,
    loss: Loss | None = None,
    losses: Mapping[str, Loss] | None = None,
    step: Step | None = None,
    max_batches: int | None = None,
    costs: bool = True,
    throughput: int = 0,
    keep_partial: bool = False,
    progress: Progress | bool | None = None,
    meta: Mapping[str, object] | None = None,
    **options: object,
) -> Recording:
    """Record one backward pass per batch: the Gram of every gradient at the selected sites.

    The model and the batches are left unchanged, also after an exception: parameters, mode, buffers, plain attributes,
    ``.grad``, ``requires_grad``, random state. All hooks are removed. From batch to batch, the state of the model
    (running statistics, a hidden state that it keeps) develops as in training. A dry pass over a few samples, the costs
    and the speed run the step on copies of the batch; its effects outside the model and the batch happen each time.

    Args:
        model: any module, without preparation; what ``torch.compile`` has compiled runs uncompiled.
        batches: batches of equal size, read one by one, for example from a ``DataLoader``; each is
            ``(inputs, targets)``, or anything that ``step`` accepts.
        watch: what to watch, and how; the defaults of ``Watch`` if None.
        loss: ``loss(output, target) -> scalar``; cross entropy by default.
        losses: several such functions by name, instead of ``loss``. The loss is their sum; unless ``by_loss`` is False,
            each of them is measured, too.
        step: ``step(model, batch) -> scalar loss`` for any model and batch, instead of ``loss``. It may return several
            losses by name.
        max_batches: number of batches to read, such as 4 of the many of a ``DataLoader``; all if None.
        costs: count FLOPs, traffic and memory of one step.
        throughput: number of timed repeats of a step; 0 for none.
        keep_partial: on Ctrl-C return the finished batches, with ``partial`` set in ``meta``.
        progress: called with (message, done, total); in weight space, the first message is a forecast of the cost.
            By default a line in a notebook and nothing elsewhere; ``False`` for none.
        meta: entries to add to the ``meta`` of the recording.
        options: fields of ``Watch`` that replace those of ``watch``: ``sites="all"``, ``seed=3``.

    Raises:
        GradlensError: ``max_batches`` is below 1, a batch has fewer than 4 samples, a loss or gradient is not finite,
            the graph is hidden or changes between batches, the device has no float64, an option is unknown, or
            another check of ``hooks.checks`` fails.
    """
    watch = watch_of(watch, options, capture.__kwdefaults__ or ())
    step = step_of(loss, step, losses)
    model = original(model)
    check_model(model)
    further = Further()
    extra: dict[str, Any] = dict(meta or {})
    with progress_callback(progress) as show, preserved(model, watch.mode), uncompiled(), torch.enable_grad():
        report = _reporter(show, batches, max_batches)
        guard = Guard(model)
        watcher = Watcher(model, watch, step, lambda text: report(text, 0), guard)
        rest = _supplied(batches, max_batches)
        try:
            first = next(rest)
        except StopIteration:
            raise GradlensError("no batches to capture; give at least one") from None
        try:
            state, watched = watcher.first(first)
        except BaseException:
            guard.finish()
            raise
        finished = [watched]
        try:
            report("batches", 1)
            for index, batch in enumerate(rest, 1):
                finished.append(watcher.next(state, index, batch))
                report("batches", index + 1)
            look_up_dead(watcher, state, first, finished, extra)
            further.run(watcher, state, first, costs, throughput, extra)
        except KeyboardInterrupt:
            if not keep_partial:
                raise
            extra["partial"] = True
        finally:
            guard.finish()
        described = meta_of(model, watch, state)
        notes = [*cast(list[str], described["notes"]), *extra.pop("notes", ())]
        described |= {**extra, "notes": notes}
    return assembled(state, finished, watch, further.costs, further.speeds, described)


@dataclass
class Further:
    """What further runs of the step measure: its costs and its speed."""

    costs: Costs | None = None
    speeds: Mapping[str, list[float]] = field(default_factory=dict)

    def run(
        self, watcher: Watcher, state: Planned, batch: object, costs: bool, repeats: int, meta: dict[str, Any]
    ) -> None:
        """Measure what is requested; a failure adds a note to ``meta``."""
        if costs:
            failure = "the costs could not be counted"
            self.costs = auxiliary(lambda: watcher.costs(state, batch), failure, meta)
        if repeats:
            failure = "the speed could not be measured"
            self.speeds = auxiliary(lambda: watcher.speeds(state, batch, repeats), failure, meta) or {}


def look_up_dead(
    watcher: Watcher, state: Planned, batch: object, finished: Sequence[Watched], meta: dict[str, Any]
) -> None:
    """Add to ``meta`` where the gradients of the signals end that are zero in every batch, if there are any."""
    grams = [watched.grams.grams for watched in finished]
    sampled = [number for number in state.plan.signals if state.plan.sampled(number)]
    dead = [number for number in sampled if not any(gram[number].any() for gram in grams)]
    if dead:
        failure = "the cause of dead signals could not be looked up"
        causes = auxiliary(lambda: watcher.causes(state, batch, dead), failure, meta) or {}
        names = dict(zip(state.plan.signals, state.plan.signal_names, strict=True))
        meta["dead_causes"] = {names[number]: list(map(list, causes[number])) for number in causes}


def auxiliary(run: Callable[[], Value], failure: str, meta: dict[str, Any]) -> Value | None:
    """Return the result of a further run of the step; if it fails, add a note to ``meta`` and return None.

    The batches are captured by then, and a step need not be repeatable.
    """
    try:
        return run()
    except Exception as error:  # of the user's step, so it can be of any kind
        reason = (str(error).strip().splitlines() or [""])[0]
        meta["notes"] = [*meta.get("notes", ()), f"{failure}: {type(error).__name__}: {reason}"]
        return None


def _supplied(batches: Iterable[object], most: int | None) -> Iterator[object]:
    """Yield the batches, at most ``most``; an exception of the caller's data is raised as theirs."""
    if most is not None and not isinstance(most, Integral):
        raise GradlensError(
            f"max_batches={most!r} is no whole number; give 1 or more, or leave it out to read all"
        )
    if most is not None and most < 1:
        raise GradlensError(f"max_batches={most}: at least one batch is needed; leave it out to read all")
    with callers_errors(BATCHES):
        remaining = islice(batches, most)
    while True:
        with callers_errors(BATCHES):
            try:
                batch = next(remaining)
            except StopIteration:
                return
        yield batch


def _reporter(
    show: Progress | None, batches: Iterable[object], most: int | None
) -> Callable[[str, int], None]:
    """Return a function of (message, done) that reports progress; the total is the expected number of batches."""
    if show is None:
        return lambda message, done: None
    expected = min(length_hint(batches), most or sys.maxsize)
    return lambda message, done: show(message, done, max(expected, done, 1))
