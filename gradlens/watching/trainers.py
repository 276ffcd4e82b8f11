"""What the callbacks for the trainers of other libraries share: one watch, opened by each training of a trainer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from gradlens.errors import GradlensError
from gradlens.recording.watch import Watch
from gradlens.watching.arguments import logs_of
from gradlens.watching.watching import Scaler, Watching, watch


class TrainerWatch:
    """Opens a watch when a trainer begins to train, and closes it at the end; later trainings continue its steps.

    Args:
        watched: what to watch, and how: the argument ``watch`` of ``gl.watch``.
        options: all other arguments of ``gl.watch`` but the model, which is that of the trainer. The scaler is that of
            the trainer, too, if there is one.

    Raises:
        GradlensError: an option is unknown, or its value is not allowed.
    """

    def __init__(self, watched: Watch | None = None, **options: Any) -> None:
        if "to" in options:
            options["to"] = logs_of(options["to"])
        self._scaler = _TrainerScaler()
        self._watched, self._options = watched, {"scaler": self._scaler, **options}
        self._made(nn.Identity())  # a wrong option is an error now, not when the training begins
        self._watching: Watching | None = None
        self._model: nn.Module | None = None
        self._state: Mapping[str, Any] = {}
        self._is_open = False

    @property
    def watching(self) -> Watching:
        """The watch of the training, with its rows and alarms; also after the training.

        Raises:
            GradlensError: no training has begun.
        """
        if self._watching is None:
            raise GradlensError("nothing is watched yet: the trainer has not begun to train")
        return self._watching

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed training needs to continue the rows; empty if no training has begun."""
        return self._watching.state_dict() if self._watching is not None else dict(self._state)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue at the step of a state when the next training begins."""
        self._state = state_dict

    def close(self) -> None:
        """Remove all hooks and close the logs, however the training has ended."""
        if self._is_open:
            self._is_open = False
            self.watching.close()

    def _begin(self, model: nn.Module, scaler: Scaler | None) -> None:
        """Watch the training of a model that is about to begin."""
        self.close()
        self._scaler.scaler = scaler
        state = self._state
        if model is not self._model:
            state = state or self.state_dict()
            self._watching, self._model = self._made(model), model
        if state:
            self.watching.load_state_dict(state)
        self._state = {}
        self.watching.__enter__()
        self._is_open = True

    def _made(self, model: nn.Module) -> Watching:
        return watch(model, self._watched, **self._options)

    def _end(self) -> None:
        """Close at the end of a training; warn if no step of it was measured."""
        if self._is_open:
            self.watching.__exit__(None, None, None)
        self.close()


class _TrainerScaler:
    """The scaler of the trainer, which is known when the training begins."""

    def __init__(self) -> None:
        self.scaler: Scaler | None = None

    def get_scale(self) -> float:
        """Return its factor; 1 if there is none."""
        return 1.0 if self.scaler is None else self.scaler.get_scale()


class Before:
    """A hook before the forward passes of a module; copies of the module do not have it.

    Args:
        call: called with the module and its arguments; None for no call.
    """

    def __init__(
        self, call: Callable[[nn.Module, Sequence[object], Mapping[str, object]], None] | None = None
    ) -> None:
        self._call = call

    def __call__(self, module: nn.Module, args: Sequence[object], kwargs: Mapping[str, object]) -> None:
        """Call with the module and its arguments."""
        if self._call is not None:
            self._call(module, args, kwargs)

    def __reduce__(self) -> tuple[type[Before], tuple[()]]:
        return Before, ()
