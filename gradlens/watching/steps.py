"""The steps of a training: hooks on the model that count its forward passes, and measure every so many of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from gradlens.errors import GradlensError
from gradlens.hooks.calls import NO_KWARGS
from gradlens.hooks.live import NONE, Live
from gradlens.hooks.modes import uncompiled
from gradlens.hooks.passes import Pass


class Steps:
    """Counts forward passes with gradients, and lets every so many be measured.

    Args:
        model: whose calls are counted.
        live: what measures them.
        every: steps from one measured step to the next.
        problem: called with a step that cannot be measured, and the reason.
        receive: called with a step and what a backward pass through it left.
        agree: called with each step that is to be measured and why it cannot be, empty if it can; returns why none of
            the processes measures it. None if there is one process only.

    Attributes:
        step: number of the next step.
        begun: steps that were to be measured.
    """

    def __init__(
        self,
        model: nn.Module,
        live: Live,
        every: int,
        problem: Callable[[int, Exception], None],
        receive: Callable[[int, Pass], None],
        agree: Callable[[int, str], str] | None = None,
    ) -> None:
        self._model, self._live, self._every = model, live, every
        self._problem, self._receive, self._agree = problem, receive, agree
        self._handle: RemovableHandle | None = None
        self._leave: _Leave | None = None
        self._eager = ExitStack()
        self.step = self.begun = 0

    @property
    def is_open(self) -> bool:
        """Whether the model has a hook."""
        return self._handle is not None

    def open(self) -> None:
        """Put a hook on the model."""
        self._handle = self._model.register_forward_pre_hook(_Entrance(self), with_kwargs=True)

    def close(self) -> None:
        """Remove all hooks."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None
        self._drop()
        self._live.close()

    def begin(self, args: Sequence[object], kwargs: Mapping[str, object]) -> None:
        """Count a forward pass; prepare to measure it if it is its turn."""
        step = self.step
        self.step = step + 1
        if self._leave is not None:
            if not self._leave.failed:
                text = "the model was called again before this call had returned"
                self._problem(self._leave.step, GradlensError(text))
            self._drop()
        if step % self._every:
            return
        self.begun += 1
        self._live.answer()
        leave = _Leave(self, step)
        try:
            self._eager.enter_context(uncompiled())
            self._live.enter(args, kwargs)
        except Exception as error:
            self._drop()
            if self._agree is None:
                self._problem(step, error)
                return
            leave.problem = error  # the other processes learn it after the forward pass
        except BaseException:
            self._drop()
            raise
        self._leave = leave
        leave.handle = self._model.register_forward_hook(leave, always_call=True)

    def returned(self, leave: _Leave, output: object) -> None:
        """Watch the backward passes through the forward pass that has just returned."""
        self._eager.close()
        if output is None:  # it raised an exception: torch iterates over the hooks, so none is removed now
            leave.failed = True
            self._live.interrupt()
            return
        if leave.handle is not None:
            leave.handle.remove()
        self._leave = None
        step, problem, watched = leave.step, leave.problem, False
        if problem is None:
            try:
                watched = self._live.watch(output, lambda finished: self._receive(step, finished))
            except Exception as error:
                problem = error
        if self._agree is not None:
            own = "no gradient can come back through the outputs" if problem is None else str(problem)
            reason = self._agree(step, "" if watched else own)
            if reason and watched:
                self._live.forget()
            problem = GradlensError(reason) if reason else None
        if problem is not None:
            self._problem(step, problem)

    def _drop(self) -> None:
        """Undo what was prepared for a forward pass that did not return."""
        if self._leave is not None and self._leave.handle is not None:
            self._leave.handle.remove()
        self._leave = None
        self._live.leave()
        self._eager.close()


class _Entrance:
    """The hook before each forward pass; copies of the model do not watch."""

    def __init__(self, steps: Steps | None = None) -> None:
        self._steps = steps

    def __call__(
        self, module: nn.Module, args: Sequence[object], kwargs: Mapping[str, object] = NO_KWARGS
    ) -> None:
        if torch.compiler.is_compiling():  # a function of the user is compiled that calls the model
            return
        recomputed = torch._C._current_graph_task_id() != NONE  # by a checkpoint around the model
        if self._steps is None or not self._steps.is_open:  # a copy; or closed by another hook of this call
            return
        if torch.is_grad_enabled() and not recomputed:
            self._steps.begin(args, kwargs)

    def __deepcopy__(self, memo: object) -> _Entrance:
        return _Entrance()

    def __reduce__(self) -> tuple[type[_Entrance], tuple[()]]:
        return _Entrance, ()


class _Leave:
    """The hook after a forward pass that is measured."""

    def __init__(self, steps: Steps | None = None, step: int = 0) -> None:
        self._steps, self.step = steps, step
        self.handle: RemovableHandle | None = None
        self.problem: Exception | None = None
        self.failed = False

    def __call__(self, module: nn.Module, args: object, output: object) -> None:
        if self._steps is not None:
            self._steps.returned(self, output)

    def __deepcopy__(self, memo: object) -> _Leave:
        return _Leave()

    def __reduce__(self) -> tuple[type[_Leave], tuple[()]]:
        return _Leave, ()
