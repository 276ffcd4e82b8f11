"""A callback for the ``Trainer`` of transformers."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import Any

from torch import nn
from torch.utils.hooks import RemovableHandle

from gradlens.errors import GradlensError
from gradlens.libraries import library
from gradlens.recording.watch import Watch
from gradlens.watching.trainers import Before, TrainerWatch

try:
    from transformers import Trainer, TrainerCallback
except ImportError:
    TrainerCallback = object

KEY = "gradlens"
"""Name of the state of the watch among those of callbacks in ``trainer_state.json``."""


class TransformersWatch(TrainerWatch, TrainerCallback):
    """Watches the trainings of a ``Trainer`` of transformers: ``Trainer(callbacks=[gl.TransformersWatch(every=50)])``.

    A step is a forward pass of the model, so there are several per optimizer step under accumulation. The number of the
    next step is saved in the checkpoints of the trainer, and a training that is resumed from one continues the logs. If
    several processes train, the first one is watched.

    The trainer does not tell its callbacks about an exception. After one, the hooks are removed before the next forward
    pass of the model, or by ``close``.

    Args:
        watch: as in ``gl.watch``.
        options: all other arguments of ``gl.watch`` but the model; ``scaler`` is that of the trainer.

    Attributes:
        watching: the ``Watching`` of the training, with ``rows``, ``alarms`` and ``history``.

    Raises:
        GradlensError: transformers is not installed, an option is unknown, or its value is not allowed.
    """

    def __init__(self, watch: Watch | None = None, **options: Any) -> None:
        if TrainerCallback is object:
            library("TransformersWatch", "transformers", "transformers.trainer")
        super().__init__(watch, **options)
        self._guard: RemovableHandle | None = None

    def on_train_begin(
        self, args: Any, state: Any, control: Any, *, model: nn.Module, optimizer: Any = None, **kwargs: Any
    ) -> None:
        """Begin to watch."""
        if not state.is_world_process_zero:
            return
        if args.torch_compile or args.n_gpu > 1:
            raise GradlensError(
                "the trainer compiles or copies the model after it was watched; watch a training without "
                "torch_compile=True and DataParallel (one GPU per process), or leave the callback out"
            )
        if KEY in state.stateful_callbacks:
            self.load_state_dict(state.stateful_callbacks[KEY])
        self._begin(model, getattr(optimizer, "scaler", None))
        if _is_training():
            guard = Before(self._check)
            self._guard = model.register_forward_pre_hook(guard, prepend=True, with_kwargs=True)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Leave the number of the next step for a checkpoint."""
        if self._is_open:
            state.stateful_callbacks[KEY] = self.state_dict()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Remove all hooks and close the logs."""
        self._end()

    def close(self) -> None:
        """Remove all hooks and close the logs."""
        super().close()
        if self._guard is not None:
            self._guard.remove()
            self._guard = None

    def _check(self, module: nn.Module, args: Sequence[object], kwargs: Mapping[str, object]) -> None:
        """Remove the hooks of a training that an exception has ended."""
        if not _is_training():
            self.close()


def _is_training() -> bool:
    """Return whether a function further up is ``Trainer.train``."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code is not Trainer.train.__code__:
        frame = frame.f_back
    return frame is not None
