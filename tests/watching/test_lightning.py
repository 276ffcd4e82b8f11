"""A training of Lightning is watched by a callback: the same weights, no hook left, checkpoints, scaled losses."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from oracles.extras import needs
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader
from watching.loops import STEPS, batches, hooks_of, network, of

import gradlens as gl
from gradlens.errors import GradlensError
from gradlens.watching.logs import read_rows
from gradlens.watching.watching import WatchProblem

needs("lightning")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import lightning.pytorch as pl
    from lightning.pytorch.callbacks import Callback, ModelCheckpoint
    from lightning.pytorch.plugins import MixedPrecision

pytestmark = [
    pytest.mark.extra,
    pytest.mark.filterwarnings("ignore:.*LeafSpec"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists"),
    pytest.mark.filterwarnings("ignore::lightning.fabric.utilities.warnings.PossibleUserWarning"),
]


class Module(pl.LightningModule):
    """Calls a part of itself in training, as most do."""

    def __init__(self, stop: BaseException | None = None) -> None:
        super().__init__()
        self.loss, self.model, self.frozen = (
            nn.CrossEntropyLoss(),
            network(),
            nn.Linear(3, 3).requires_grad_(False),
        )
        self.stop, self.validated = stop, 0

    def training_step(self, batch: list[Tensor], index: int) -> Tensor:
        images, targets = batch
        self.frozen(torch.ones(1, 3))
        loss = self.loss(self.model(images), targets)
        if self.stop is not None and index == 3:
            loss.register_hook(self.raised)
        return loss

    def raised(self, gradient: Tensor) -> None:
        raise self.stop

    def validation_step(self, batch: list[Tensor], index: int) -> None:
        self.model(batch[0])
        self.validated += 1

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)


class Forward(Module):
    """Calls itself in training."""

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images)

    def training_step(self, batch: list[Tensor], index: int) -> Tensor:
        return functional.cross_entropy(self(batch[0]), batch[1])


def trainer(*callbacks: Callback, epochs: int = 1, **options: Any) -> pl.Trainer:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    defaults = {"accelerator": "cpu", "enable_checkpointing": False, "gradient_clip_val": 1.0, **quiet}
    return pl.Trainer(max_epochs=epochs, callbacks=list(callbacks), **{**defaults, **options})


def fitted(model: pl.LightningModule, training: pl.Trainer, **options: Any) -> list[Tensor]:
    torch.manual_seed(2)
    loaders = [DataLoader(batches(count), batch_size=None) for count in (STEPS, 2)]
    training.fit(model, *loaders, **options)
    return [*model.state_dict().values(), torch.get_rng_state()]


def fp16() -> MixedPrecision:
    return MixedPrecision(
        "16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=3)
    )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"accumulate_grad_batches": 3},
        {"precision": "bf16-mixed"},
        {"plugins": fp16, "gradient_clip_val": None},
    ],
    ids=["plain", "accumulated", "bf16", "scaled"],
)
def test_the_weights_are_those_of_an_unwatched_training(options: dict[str, Any]) -> None:
    def chosen() -> dict[str, Any]:
        return {name: value() if callable(value) else value for name, value in options.items()}

    watch, watched = gl.LightningWatch(every=3), Module()
    ends = fitted(watched, trainer(watch, **chosen())), fitted(Module(), trainer(**chosen()))
    assert all(map(torch.equal, *ends))
    assert hooks_of(watched) == 0
    assert watch.watching.step == STEPS
    assert {row.step for row in watch.watching.rows} == {0, 3, 6}
    assert watch.watching.problems == {}
    assert watched.validated == 4  # two of them before the training


def test_the_factor_of_the_trainers_scaler_is_divided_out() -> None:
    scaled, plain = gl.LightningWatch(every=1), gl.LightningWatch(every=1)
    fitted(Module(), trainer(scaled, plugins=fp16(), gradient_clip_val=None))
    fitted(Module(), trainer(plain, gradient_clip_val=None))
    assert [row.value for row in of(scaled.watching, "scale")] == [1024.0] * 3 + [2048.0] * 3 + [4096.0] * 2
    values = ([row.value for row in of(watch.watching, "rms")] for watch in (scaled, plain))
    assert next(values) == pytest.approx(next(values), rel=0.1)


def test_a_training_that_is_resumed_from_a_checkpoint_continues_its_log(tmp_path: Path) -> None:
    def saving() -> ModelCheckpoint:
        return ModelCheckpoint(tmp_path / "saved", every_n_train_steps=5, save_top_k=-1)

    first, second = (gl.LightningWatch(every=2, to=gl.CsvLog(tmp_path)) for _ in range(2))
    fitted(Module(), trainer(first, saving(), enable_checkpointing=True))
    (checkpoint,) = tmp_path.glob("saved/*.ckpt")
    fitted(Module(), trainer(second, saving(), epochs=2, enable_checkpointing=True), ckpt_path=checkpoint)
    assert [row.step for row in read_rows(tmp_path) if row.quantity == "finite"] == [*range(0, 16, 2)]
    assert {row.step for row in second.watching.rows} == {6, 8, 10, 12, 14}


@pytest.mark.parametrize(
    ("stop", "seen"), [(ValueError("stop"), ValueError), (KeyboardInterrupt(), SystemExit)]
)
def test_nothing_is_left_behind_after_an_exception(stop: BaseException, seen: type[BaseException]) -> None:
    watch, model = gl.LightningWatch(every=1), Module(stop)
    with pytest.raises(seen):
        fitted(model, trainer(watch))
    assert hooks_of(model) == 0
    assert {row.step for row in watch.watching.rows} == {0, 1, 2}
    model.stop = None
    fitted(model, trainer(watch))
    assert {row.step for row in watch.watching.rows} == {0, 1, 2, *range(4, 12)}


def test_several_fits_continue_the_steps(tmp_path: Path) -> None:
    watch, model = gl.LightningWatch(every=3, to=gl.CsvLog(tmp_path)), Module()
    training = trainer(watch)
    fitted(model, training)
    training.fit_loop.max_epochs = 2
    fitted(model, training)
    fitted(Module(), trainer(watch))  # another model
    assert [row.step for row in read_rows(tmp_path) if row.quantity == "finite"] == [*range(0, 24, 3)]


@pytest.mark.parametrize(
    ("model", "module", "place"),
    [(Module, None, "0"), (Forward, None, "model.0"), (Module, "model.1", "conv")],
)
def test_the_first_module_that_the_step_calls_is_watched_or_a_named_one(
    model: type[Module], module: str | None, place: str
) -> None:
    watch = gl.LightningWatch(every=4, module=module)
    fitted(model(), trainer(watch))
    assert place in {row.place for row in of(watch.watching, "rms")}
    assert {row.step for row in watch.watching.rows} == {0, 4}


def test_two_parts_are_watched_by_two_callbacks(tmp_path: Path) -> None:
    watches = [gl.LightningWatch(module=name, every=5) for name in ("model.1", "model.2")]
    saving = ModelCheckpoint(tmp_path, every_n_train_steps=8)
    fitted(Module(), trainer(*watches, saving, enable_checkpointing=True))
    (checkpoint,) = tmp_path.glob("*.ckpt")
    states = torch.load(checkpoint, weights_only=False)["callbacks"]
    for watch in watches:
        assert states[watch.state_key] == {"format": 1, "step": 8}
        assert {row.step for row in watch.watching.rows} == {0, 5}


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_the_first_of_two_processes_is_watched(tmp_path: Path) -> None:
    watched, usual = Module(), Module()
    two = {"strategy": "ddp_fork", "devices": 2}
    fitted(watched, trainer(gl.LightningWatch(every=3, to=gl.CsvLog(tmp_path)), **two))
    fitted(usual, trainer(**two))
    assert all(map(torch.equal, watched.parameters(), usual.parameters()))
    assert not torch.equal(next(watched.model.parameters()), next(network().parameters()))
    assert [row.step for row in read_rows(tmp_path) if row.quantity == "finite"] == [0, 3]


def test_a_copy_that_is_made_before_the_first_pass_does_not_watch() -> None:
    class Copying(Callback):
        def on_train_batch_start(
            self, trainer: pl.Trainer, module: Module, batch: object, index: int
        ) -> None:
            if index == 0:
                self.twin = copy.deepcopy(module.model)

    watch, copying = gl.LightningWatch(every=1), Copying()
    fitted(Module(), trainer(watch, copying))
    functional.cross_entropy(copying.twin(batches()[0][0]), batches()[0][1]).backward()
    assert watch.watching.step == STEPS


def test_a_step_without_a_module_is_reported_and_the_training_goes_on() -> None:
    class Bare(Module):
        def training_step(self, batch: list[Tensor], index: int) -> Tensor:
            return self.model[5].weight.square().sum()

    watch, model = gl.LightningWatch(), Bare()
    with pytest.warns(WatchProblem, match=r"calls no uncompiled module .* LightningWatch\(module='model'\)"):
        fitted(model, trainer(watch))
    assert hooks_of(model) == 0
    with pytest.raises(GradlensError, match="nothing is watched yet"):
        watch.watching  # noqa: B018


def test_wrong_options_are_refused_in_one_line() -> None:
    with pytest.raises(GradlensError, match="did you mean every"):
        gl.LightningWatch(evry=2)
    with pytest.raises(GradlensError, match="a path, not a log"):
        gl.LightningWatch(to="flow")
    with pytest.raises(GradlensError, match=r"module='modl' is not a part of .*; did you mean model"):
        fitted(Module(), trainer(gl.LightningWatch(module="modl")))
