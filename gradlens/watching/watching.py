"""``watch``: measure the gradient flow of every few steps of a training loop that stays as it is."""

from __future__ import annotations

import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Protocol

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from gradlens.errors import GradlensError
from gradlens.hooks.aside import is_aside
from gradlens.hooks.live import Live, Pass
from gradlens.recording import Recording
from gradlens.recording.watch import Watch, watch_of
from gradlens.watching.alarms import RULES, Alarm, History, Rule, alarms_in
from gradlens.watching.arguments import check_arguments, logs_of
from gradlens.watching.logs import Log
from gradlens.watching.rows import Row, not_finite, rows_of, sample_words

FORMAT = 1
"""Of the state of a watch."""


class Scaler(Protocol):
    """What scales the loss, as ``torch.amp.GradScaler``."""

    def get_scale(self) -> float:
        """Return the factor."""


class WatchProblem(UserWarning):
    """A step of a training could not be measured; the training itself goes on."""


def watch(
    model: nn.Module,
    watch: Watch | None = None,
    *,
    every: int = 50,
    to: Log | Iterable[Log] = (),
    scaler: Scaler | None = None,
    keep: int = 8,
    rules: Mapping[str, Rule] | None = None,
    on_alarm: Callable[[Alarm], object] | None = None,
    **options: object,
) -> Watching:
    """Measure the gradient flow of a training that runs inside a ``with`` block, and leave it as it is.

    A step is a forward pass of the model with gradients. The backward passes through every so many of them are measured
    as by ``capture``, but without passes of its own: the gradient that the loop computes, before clipping. Several
    backward passes through one forward pass, such as one per loss, are measured one by one. The other steps take one
    call of a hook more.

    Args:
        model: any module; hooks are put on it, and removed at the end of the block.
        watch: what to watch, and how; the defaults of ``Watch`` if None. ``mode`` and ``by_loss`` have no meaning here.
        every: steps from one measured step to the next; the first step is measured.
        to: logs that the rows are written to.
        scaler: the ``GradScaler`` of the loop; its factor is divided out.
        keep: number of the last measured backward passes of which ``history`` keeps the recordings; if there is a log,
            ``rows`` keeps theirs only.
        rules: of the alarms, by name; all of ``RULES`` if None.
        on_alarm: called with each alarm.
        options: fields of ``Watch`` that replace those of ``watch``: ``sites="all"``, ``samples=32``.

    Raises:
        GradlensError: ``every`` is below 1, an option is unknown, the space is that of weights, a part of the model is
            a program of TorchScript, or the model is compiled in place.
    """
    chosen = watch_of(watch, options, _PARAMETERS)
    if type(every) is not int or every < 1:
        raise GradlensError(f"every={every!r} is not a number of steps; give 1 or more, such as 50")
    if chosen.of_weights:
        raise GradlensError(
            "a training is watched in the space of activations; for that of weights, capture the model between steps"
        )
    check_arguments(model, scaler, keep, on_alarm)
    return Watching(
        model, chosen, every, logs_of(to), scaler, keep, RULES if rules is None else rules, on_alarm
    )


_PARAMETERS = tuple(watch.__kwdefaults__ or ())


class Watching:
    """A watched training; made by ``watch``, and used as a context.

    Attributes:
        step: number of the next forward pass with gradients.
        history: (step, recording) of the last measured backward passes.
        alarms: what was found wrong so far.
        problems: by step, why it could not be measured.
    """

    def __init__(
        self,
        model: nn.Module,
        watch: Watch,
        every: int,
        logs: Sequence[Log],
        scaler: Scaler | None,
        keep: int,
        rules: Mapping[str, Rule],
        on_alarm: Callable[[Alarm], object] | None,
    ) -> None:
        self._model, self._every, self._logs = model, every, logs
        self._rules, self._on_alarm = rules, on_alarm
        self._live = Live(model, watch, (lambda: 1.0) if scaler is None else scaler.get_scale)
        self._handles: list[RemovableHandle] = []
        self._eager = ExitStack()
        self._past = History()
        self._warned = False
        self.step = 0
        self._rows: deque[list[Row]] = deque(maxlen=keep if logs else None)
        self.history: deque[tuple[int, Recording]] = deque(maxlen=keep)
        self.alarms: list[Alarm] = []
        self.problems: dict[int, str] = {}

    @property
    def rows(self) -> list[Row]:
        """The rows of the measured steps in order: all of this process, or the last ones if there is a log."""
        return [row for rows in self._rows for row in rows]

    def __enter__(self) -> Watching:
        """Put a hook on the model."""
        if self._handles:
            raise GradlensError("this watch is open already; make a new one with gl.watch")
        hook = _Entrance(self)
        self._handles = [self._model.register_forward_pre_hook(hook, with_kwargs=True)]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove all hooks and close the logs."""
        self.close()

    def close(self) -> None:
        """Remove all hooks and close the logs; the rows stay."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._eager.close()
        self._live.close()
        if self.step and not self._rows and not self.problems:
            text = "a watched training has no measured step: no gradient came back through the outputs of the model"
            warnings.warn(text, WatchProblem, stacklevel=2)
        for log in self._logs:
            log.close()

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed training needs to continue the rows: the number of the next step."""
        return {"format": FORMAT, "step": self.step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue at the step of a state; the logs drop what they have of it and of later steps.

        Raises:
            GradlensError: the state is not one of ``state_dict``.
        """
        if (
            not isinstance(state, Mapping)
            or state.get("format") != FORMAT
            or type(state.get("step")) is not int
        ):
            raise GradlensError("this is not a state of a watch; give what its state_dict returned")
        self.step = state["step"]
        self._rows = deque((rows for rows in self._rows if rows[0].step < self.step), self._rows.maxlen)
        self.history = deque((kept for kept in self.history if kept[0] < self.step), self.history.maxlen)
        self.alarms = [alarm for alarm in self.alarms if alarm.step < self.step]
        self.problems = {step: text for step, text in self.problems.items() if step < self.step}
        self._past = History()
        for rows in self._rows:
            self._past.add(rows)
        for log in self._logs:
            log.resume(self.step)

    def _begin(self, args: Sequence[object], kwargs: Mapping[str, object]) -> None:
        """Count a forward pass; prepare to measure it if it is its turn."""
        step = self.step
        self.step = step + 1
        if step % self._every:
            return
        with self._reported(step):
            if "torch._dynamo" in sys.modules:  # else nothing is compiled
                self._eager.enter_context(torch.compiler.set_stance("force_eager"))
            self._live.enter(args, kwargs)
            leave = _Leave(self, step)
            leave.handle = self._model.register_forward_hook(leave, always_call=True)
        if step in self.problems:
            self._eager.close()

    def _returned(self, step: int, output: object) -> None:
        """Watch the backward passes through the forward pass that has just returned."""
        self._eager.close()
        with self._reported(step):
            self._live.watch(output, lambda found: self._receive(step, found))

    def _receive(self, step: int, found: Pass) -> None:
        """Take what a backward pass left: write its rows, and look for alarms."""
        alarms: list[Alarm] = []
        with self._reported(step):
            alarms = self._taken(step, found)
        for alarm in alarms:
            self.alarms.append(alarm)
            if self._on_alarm is not None:
                self._on_alarm(alarm)

    def _taken(self, step: int, found: Pass) -> list[Alarm]:
        if found.problem:
            self.problems[step] = found.problem
        if found.recording is not None:
            rows = rows_of(found.recording, step, found.index, found.largest, found.scale)
            self.history.append((step, found.recording))
        elif found.broken is not None:
            stage, site, samples, n = found.broken
            rows = not_finite(step, found.index, stage, site, len(samples) / n, found.scale)
            self.problems[step] = f"{found.problem}, in {sample_words(samples, n)}"
        else:
            raise GradlensError(found.problem)
        self._rows.append(rows)
        self._past.add(rows)
        alarms = alarms_in(rows, self._past, self._rules)
        for log in self._logs:
            try:
                log.write(step, rows)
            except Exception as error:  # a full disk, a server that is gone
                raise GradlensError(
                    f"{type(log).__name__} could not write ({type(error).__name__}: {error})"
                ) from error
        return alarms

    def _problem(self, step: int, error: Exception) -> None:
        self.problems[step] = (
            str(error) if isinstance(error, GradlensError) else f"{type(error).__name__}: {error}"
        )
        if not self._warned:
            self._warned = True
            text = f"step {step} of a watched training: {self.problems[step]}. The training goes on"
            warnings.warn(f"{text}; watching.problems has later problems", WatchProblem, stacklevel=2)

    def _reported(self, step: int) -> _Reported:
        return _Reported(self, step)


class _Reported:
    """Turns an error in a block into an entry of ``problems``, so that the training goes on; warns of the first."""

    def __init__(self, watching: Watching, step: int) -> None:
        self._watching, self._step = watching, step

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        self._watching._problem(self._step, error)
        return True


class _Entrance:
    """The hook before each forward pass; copies of the model do not watch."""

    def __init__(self, watching: Watching | None = None) -> None:
        self._watching = watching

    def __call__(self, module: nn.Module, args: Sequence[object], kwargs: Mapping[str, object]) -> None:
        if self._watching is not None and torch.is_grad_enabled() and not is_aside():
            self._watching._begin(args, kwargs)

    def __deepcopy__(self, memo: object) -> _Entrance:
        return _Entrance()

    def __reduce__(self) -> tuple[type[_Entrance], tuple[()]]:
        return _Entrance, ()


class _Leave(_Entrance):
    """The hook after a forward pass that is measured; it removes itself."""

    def __init__(self, watching: Watching | None = None, step: int = 0) -> None:
        super().__init__(watching)
        self._step = step
        self.handle: RemovableHandle | None = None

    def __call__(self, module: nn.Module, args: object, output: object) -> None:
        if is_aside():
            return
        if self.handle is not None:
            self.handle.remove()
        if self._watching is not None:
            self._watching._returned(self._step, output)

    def __deepcopy__(self, memo: object) -> _Leave:
        return _Leave()
