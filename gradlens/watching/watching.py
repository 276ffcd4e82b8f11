"""``watch``: measure the gradient flow of every few steps of a training loop that stays as it is."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from torch import nn

from gradlens.analyzers.signals import WHOLE
from gradlens.errors import GradlensError
from gradlens.hooks.live import Live
from gradlens.hooks.passes import Pass
from gradlens.recording import Recording
from gradlens.recording.births import Birth, sample_words
from gradlens.recording.watch import Watch, watch_of
from gradlens.results import Result
from gradlens.watching.alarms import RULES, Alarm, History, Rule, alarms_in
from gradlens.watching.arguments import KEPT, check_arguments, kept_of, logs_of
from gradlens.watching.grams import Grams
from gradlens.watching.logs import Log, ReadableLog
from gradlens.watching.processes import processes_of
from gradlens.watching.reading import alarms_of, watched_result
from gradlens.watching.rows import Row, logged, not_finite, rows_of
from gradlens.watching.steps import Steps
from gradlens.watching.telling import tell

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
    keep: int | str | Path = KEPT,
    rules: Mapping[str, Rule] | None = None,
    on_alarm: Callable[[Alarm], object] | None = None,
    quiet: bool = False,
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
            ``rows`` keeps theirs only. ``"grams"`` also writes the recording of each into a file, in the folder
            ``grams`` in that of a log; a ``pathlib.Path`` writes them into that folder.
        rules: of the alarms, by name; all of ``RULES`` if None.
        on_alarm: called with each alarm; alarms are then not shown.
        quiet: do not show alarms when they occur, on stderr or in a notebook.
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
    check_arguments(model, scaler, on_alarm)
    logs = logs_of(to)
    known = RULES if rules is None else rules
    shown = tell if on_alarm is None and not quiet else None
    return Watching(model, chosen, every, logs, scaler, kept_of(keep, logs), known, on_alarm, shown)


_PARAMETERS = tuple(watch.__kwdefaults__ or ())


class Watching:
    """A watched training; made by ``watch``, and used as a context.

    Under ``DistributedDataParallel`` the first process has the rows, alarms and recordings of all of them.

    Attributes:
        history: (step, recording) of the last measured backward passes.
        alarms: what was found wrong so far.
        problems: by step, why it could not be measured.
        births: by step, where its first value that is NaN or infinite was born; steps of which it is known.
    """

    def __init__(
        self,
        model: nn.Module,
        watch: Watch,
        every: int,
        logs: Sequence[Log],
        scaler: Scaler | None,
        kept: tuple[int, Grams | None],
        rules: Mapping[str, Rule],
        on_alarm: Callable[[Alarm], object] | None,
        tell: Callable[[Sequence[Alarm]], object] | None,
    ) -> None:
        self._processes = processes_of(model)
        self._first = self._processes is None or self._processes.first
        self._logs = logs if self._first else ()
        self._rules, self._on_alarm, self._tell = rules, on_alarm, tell
        keep, grams = kept
        self._grams = grams if self._first else None
        live = Live(model, watch, (lambda: 1.0) if scaler is None else scaler.get_scale)
        agree = None if self._processes is None else self._processes.agree
        self._steps = Steps(model, live, every, self._problem, self._receive, agree)
        self._past = History()
        self._warned = False
        self._received = 0
        self._rows: deque[list[Row]] = deque(maxlen=keep if logs else None)
        self.history: deque[tuple[int, Recording]] = deque(maxlen=keep)
        self.alarms: list[Alarm] = []
        self.problems: dict[int, str] = {}
        self.births: dict[int, Birth] = {}

    @property
    def rows(self) -> list[Row]:
        """The rows of the measured steps in order: all of this process, or the last ones if there is a log."""
        return [row for rows in self._rows for row in rows]

    @property
    def step(self) -> int:
        """Number of the next step."""
        return self._steps.step

    def __enter__(self) -> Watching:
        """Put a hook on the model."""
        if self._steps.is_open:
            raise GradlensError("this watch is open already; make a new one with gl.watch")
        if self._processes is not None:
            self._processes.open()
        self._steps.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove all hooks and close the logs."""
        self.close()
        if kind is None and self._steps.begun and not self._received and not self.problems:
            text = "a watched training has no measured step: no gradient came back through the outputs of the model"
            warnings.warn(text, WatchProblem, stacklevel=2)

    def join(self, args: Sequence[object], kwargs: Mapping[str, object]) -> None:
        """Take a call of the model that began before the block as a step, with the arguments of the call."""
        self._steps.begin(args, kwargs)

    def close(self) -> None:
        """Remove all hooks and close the logs; the rows stay."""
        try:
            self._steps.close()
        finally:
            if self._processes is not None:
                self._processes.close()
            for log in self._logs:
                self._guarded(self.step, log, log.close)

    def log(self, **numbers: object) -> None:
        """Write numbers of the loop beside the flow: ``watching.log(loss=loss, accuracy=0.9)``.

        They are rows of the stage ``whole`` at the last step that has begun, measured or not; of several processes, the
        numbers of the first one. A tensor is copied to the CPU, which waits for a GPU: log what the loop reads anyway,
        or every few steps. What cannot be written is a problem, not an error.
        """
        step = max(self.step - 1, 0)
        try:
            if not self._steps.is_open:
                raise GradlensError(
                    "log was called outside of the with block of the watch; it writes nothing there"
                )
            rows = logged(step, numbers)
        except GradlensError as error:
            self._problem(step, error)
            return
        if not self._first:
            return
        if self._rows:
            self._rows[-1] += rows
        else:
            self._rows.append(rows)
        self._write(step, rows)

    def result(self) -> Result:
        """Return the tables of the steps so far, from a log in a folder if there is one; also while the loop runs.

        ``gl.load(folder)`` reads the same from the folder of the log.

        Raises:
            GradlensError: no step was measured yet.
        """
        readable = next((log for log in self._logs if isinstance(log, ReadableLog)), None)
        if readable is None and self._logs:
            limit = f"only the last {len(self._rows)} measured backward passes are kept; log to gl.CsvLog(FOLDER), too"
            return watched_result(self.rows, self.alarms, self.problems, [limit])
        rows = self.rows if readable is None else readable.read()
        return watched_result(rows, alarms_of(rows, self._rules), self.problems)

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
        self._steps.step = state["step"]
        earlier = ([row for row in rows if row.step < self.step] for rows in self._rows)
        self._rows = deque(filter(None, earlier), self._rows.maxlen)
        self.history = deque((kept for kept in self.history if kept[0] < self.step), self.history.maxlen)
        self.alarms = [alarm for alarm in self.alarms if alarm.step < self.step]
        self.problems = {step: text for step, text in self.problems.items() if step < self.step}
        self.births = {step: birth for step, birth in self.births.items() if step < self.step}
        self._past = History()
        for rows in self._rows:
            self._past.add(rows)
        for log in self._logs:
            log.resume(self.step)
        if self._grams is not None:
            self._grams.resume(self.step)

    def _receive(self, step: int, finished: Pass) -> None:
        """Take what a backward pass left, in all processes: look for alarms, and write its rows."""
        others = None if finished.alone else self._processes
        whole = finished if others is None else others.combine(finished)
        if whole is None:  # the first process has it
            self._received += 1
            return
        try:
            rows = self._taken(step, whole)
            self._past.add(rows)
            alarms = alarms_in(rows, self._past, self._rules, whole.birth)
        except Exception as error:  # the training has to go on
            self._problem(step, error)
            return
        self._received += 1
        self._rows.append([*rows])
        self._write(step, rows)
        if self._grams is not None and whole.recording is not None:
            write = partial(self._grams.write, step, whole.index, whole.recording)
            self._guarded(step, self._grams, write)
        if self._tell is not None:
            self._tell(alarms)
        for alarm in alarms:
            self.alarms.append(alarm)
            if self._on_alarm is not None:
                self._on_alarm(alarm)

    def _taken(self, step: int, finished: Pass) -> list[Row]:
        if finished.recording is not None:
            self.history.append((step, finished.recording))
            return rows_of(finished.recording, step, finished.index, finished.largest, finished.scale)
        if finished.broken is None:
            raise GradlensError(finished.problem)
        stage, site, samples, n = finished.broken
        birth = finished.birth
        self.problems[step] = f"{finished.problem}, in {sample_words(samples, n)}"
        if birth is not None:
            self.births.setdefault(step, birth)
            self.problems[step] = str(birth)
            stage, site, samples = birth.stage or WHOLE, birth.site, birth.samples or samples
        return not_finite(step, finished.index, stage, site, len(samples) / n, finished.scale)

    def _write(self, step: int, rows: Sequence[Row]) -> None:
        for log in self._logs:
            self._guarded(step, log, partial(log.write, step, rows))

    def _guarded(self, step: int, log: object, write: Callable[[], None]) -> None:
        """Let a log write; a full disk, or a server that is gone, does not stop the training."""
        try:
            write()
        except Exception as error:
            text = f"{type(log).__name__} could not write ({type(error).__name__}: {error})"
            self._problem(step, GradlensError(text))

    def _problem(self, step: int, error: Exception) -> None:
        known = isinstance(error, GradlensError)
        self.problems[step] = str(error) if known else f"{type(error).__name__}: {error}"
        if not self._warned:
            self._warned = True
            text = f"step {step} of a watched training: {self.problems[step]}. The training goes on"
            warnings.warn(f"{text}; watching.problems has later problems", WatchProblem, stacklevel=2)
