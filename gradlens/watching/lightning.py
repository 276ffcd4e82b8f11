"""A callback for the trainer of Lightning."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import nn

from gradlens.errors import GradlensError, close_matches
from gradlens.libraries import library
from gradlens.recording.watch import Watch
from gradlens.watching.trainers import Before, TrainerWatch
from gradlens.watching.watching import WatchProblem

try:
    from lightning.pytorch import Callback
except ImportError:
    try:
        from pytorch_lightning import Callback
    except ImportError:
        Callback = object


class LightningWatch(TrainerWatch, Callback):
    """Watches the trainings of a Lightning ``Trainer``: ``Trainer(callbacks=[gl.LightningWatch(every=50)])``.

    The watched module is the first one with trainable weights that ``training_step`` calls: the ``LightningModule``
    itself if that is ``self(x)``, or its part ``model`` if that is ``self.model(x)``. A step is a forward pass of that
    module, so there are several per optimizer step under accumulation. The number of the next step is saved in the
    checkpoints of the trainer, and a training that is resumed from one continues the logs. If several processes train,
    the first one is watched.

    Args:
        watch: as in ``gl.watch``.
        module: path of the module to watch, such as ``"discriminator"``; the one that is called first if None.
        options: all other arguments of ``gl.watch`` but the model; ``scaler`` is that of the trainer.

    Attributes:
        watching: the ``Watching`` of the training, with ``rows``, ``alarms`` and ``history``.

    Raises:
        GradlensError: lightning is not installed, an option is unknown, or its value is not allowed.
    """

    def __init__(self, watch: Watch | None = None, *, module: str | None = None, **options: Any) -> None:
        if Callback is object:
            library("LightningWatch", "lightning", "lightning.pytorch")
        super().__init__(watch, **options)
        self.module = module
        self._search = ExitStack()
        self._is_searching = False

    @property
    def state_key(self) -> str:
        """Name of the callback in a checkpoint."""
        return f"LightningWatch({self.module or ''})"

    def on_train_start(self, trainer: Any, pl_module: nn.Module) -> None:
        """Begin to watch, if the module is known."""
        if not trainer.is_global_zero:
            return
        if self.module is None:
            self._is_searching = True
        else:
            self._begin(_part(pl_module, self.module), _scaler(trainer))

    def on_train_batch_start(self, trainer: Any, pl_module: nn.Module, batch: object, batch_idx: int) -> None:
        """Look for the module that ``training_step`` calls."""
        if not self._is_searching:
            return

        def called(module: nn.Module, args: Sequence[object], kwargs: Mapping[str, object]) -> None:
            trainable = any(parameter.requires_grad for parameter in module.parameters())
            if trainable and torch.is_grad_enabled() and not torch.compiler.is_compiling():
                self._stop_searching()
                self._begin(module, _scaler(trainer))
                self.watching.join(args, kwargs)

        for module in pl_module.modules():
            self._search.callback(module.register_forward_pre_hook(Before(called), with_kwargs=True).remove)

    def on_train_batch_end(self, *args: Any, **kwargs: Any) -> None:
        """End the search with the first batch."""
        if self._is_searching:
            self._stop_searching()
            text = (
                "training_step calls no uncompiled module with trainable weights, so nothing is watched; name one: "
                "LightningWatch(module='model')"
            )
            warnings.warn(text, WatchProblem, stacklevel=2)

    def on_train_end(self, trainer: Any, pl_module: nn.Module) -> None:
        """Remove all hooks and close the logs."""
        self._stop_searching()
        self._end()

    def on_exception(self, trainer: Any, pl_module: nn.Module, exception: BaseException) -> None:
        """Remove all hooks and close the logs."""
        self._stop_searching()
        self.close()

    def _stop_searching(self) -> None:
        self._is_searching = False
        self._search.close()


def _part(model: nn.Module, path: str) -> nn.Module:
    parts: dict[str, nn.Module] = dict(model.named_modules())
    if path not in parts:
        raise GradlensError(
            f"module={path!r} is not a part of the LightningModule{close_matches(path, parts)}"
        )
    return parts[path]


def _scaler(trainer: Any) -> Any:
    """Return what scales the loss in the trainer; None if it is not scaled."""
    return getattr(trainer.precision_plugin, "scaler", None)
