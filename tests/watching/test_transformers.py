"""A training of transformers is watched by a callback: the same weights, no hook left, checkpoints, scaled losses."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from oracles.extras import needs
from torch import Tensor, nn
from watching.loops import hooks_of, of

import gradlens as gl
from gradlens.errors import GradlensError
from gradlens.watching.logs import read_rows

needs("transformers", "accelerate")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from transformers import (
        BertConfig,
        BertForSequenceClassification,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

pytestmark = pytest.mark.extra
STEPS = 8


def bert() -> nn.Module:
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    return BertForSequenceClassification(
        BertConfig(vocab_size=30, max_position_embeddings=8, num_labels=3, **sizes)
    )


def samples() -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(0, 30, (4 * STEPS, 6), generator=generator)
    return [{"input_ids": line, "labels": line[0] % 3} for line in tokens]


def trainer(folder: Path, model: nn.Module, *callbacks: TrainerCallback, **options: Any) -> Trainer:
    quiet = {"report_to": [], "disable_tqdm": True, "save_strategy": "no", "logging_strategy": "no"}
    defaults = {"per_device_train_batch_size": 4, "max_steps": STEPS, "use_cpu": True, "seed": 2, **quiet}
    arguments = TrainingArguments(str(folder / "trainer"), **{**defaults, **options})
    return Trainer(
        model, arguments, train_dataset=samples(), eval_dataset=samples()[:4], callbacks=list(callbacks)
    )


def trained(training: Trainer) -> list[Tensor]:
    training.train()
    return [*training.model.state_dict().values(), torch.get_rng_state()]


def scaled(training: Trainer) -> Trainer:
    """Scale the loss as the trainer does on a GPU with fp16."""
    training.accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=3)
    return training


@pytest.mark.parametrize(
    "options",
    [
        {"eval_strategy": "steps", "eval_steps": 3},
        {"gradient_accumulation_steps": 3, "max_steps": 3},
        {"bf16": True},
        {"activation_checkpointing": True},
    ],
    ids=["plain", "accumulated", "bf16", "checkpointed"],
)
def test_the_weights_are_those_of_an_unwatched_training(options: dict[str, Any], tmp_path: Path) -> None:
    watch, watched, usual = gl.TransformersWatch(every=3), bert(), bert()
    ends = trained(trainer(tmp_path, watched, watch, **options)), trained(trainer(tmp_path, usual, **options))
    assert all(map(torch.equal, *ends))
    assert hooks_of(watched) == hooks_of(usual)
    assert watch.watching.step == STEPS
    assert {row.step for row in watch.watching.rows} == {0, 3, 6}
    assert "bert.encoder.layer.0.attention.self.query" in {row.place for row in of(watch.watching, "rms")}
    assert watch.watching.problems == {}


def test_the_factor_of_the_trainers_scaler_is_divided_out(tmp_path: Path) -> None:
    watches = [gl.TransformersWatch(every=1) for _ in range(2)]
    trained(scaled(trainer(tmp_path, bert(), watches[0])))
    trained(trainer(tmp_path, bert(), watches[1]))
    factors = [row.value for row in of(watches[0].watching, "scale")]
    assert factors == [1024.0] * 3 + [2048.0] * 3 + [4096.0] * 2
    values = ([row.value for row in of(watch.watching, "rms")] for watch in watches)
    assert next(values) == pytest.approx(next(values), rel=1e-2, abs=1e-6)


@pytest.mark.parametrize("restored", [False, True])
def test_a_training_that_is_resumed_from_a_checkpoint_continues_its_log(
    restored: bool, tmp_path: Path
) -> None:
    options = {"gradient_accumulation_steps": 2, "save_strategy": "steps", "save_steps": 2}
    first, second = (gl.TransformersWatch(every=2, to=gl.CsvLog(tmp_path)) for _ in range(2))
    trained(trainer(tmp_path, bert(), first, **options, max_steps=3))
    again = trainer(
        tmp_path, bert(), second, **options, max_steps=6, restore_callback_states_from_checkpoint=restored
    )
    again.train(resume_from_checkpoint=str(tmp_path / "trainer" / "checkpoint-2"))
    assert [row.step for row in read_rows(tmp_path) if row.quantity == "finite"] == [*range(0, 12, 2)]
    assert {row.step for row in second.watching.rows} == {4, 6, 8, 10}


class Stopping(TrainerCallback):
    """Ends a training as a user does."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def on_substep_end(self, *args: object, **kwargs: object) -> None:
        raise self.error


@pytest.mark.parametrize("error", [ValueError("stop"), KeyboardInterrupt()], ids=["error", "interrupt"])
def test_nothing_is_watched_after_an_exception(error: BaseException, tmp_path: Path) -> None:
    watch, model, options = gl.TransformersWatch(every=1), bert(), {"gradient_accumulation_steps": 2}
    training = trainer(tmp_path, model, watch, Stopping(error), **options)
    with pytest.raises(type(error)):
        training.train()
    twin = copy.deepcopy(model)
    twin(**{name: value[None] for name, value in samples()[0].items()}).loss.backward()
    assert hooks_of(model) > 0
    model(**{name: value[None] for name, value in samples()[0].items()}).loss.backward()
    assert hooks_of(model) == 0
    assert watch.watching.step == 1
    again = trainer(tmp_path, model, watch, **options, max_steps=2)
    again.train()
    assert hooks_of(model) == 0
    assert {row.step for row in watch.watching.rows} == {0, 1, 2, 3, 4}


def test_closing_the_callback_removes_the_hooks_after_an_exception(tmp_path: Path) -> None:
    watch, model = gl.TransformersWatch(every=1), bert()
    training = trainer(tmp_path, model, watch, Stopping(ValueError("stop")), gradient_accumulation_steps=2)
    with pytest.raises(ValueError, match="stop"):
        training.train()
    watch.close()
    assert hooks_of(model) == 0


def test_several_trainings_continue_the_steps(tmp_path: Path) -> None:
    watch, model = gl.TransformersWatch(every=3, to=gl.CsvLog(tmp_path)), bert()
    training = trainer(tmp_path, model, watch)
    training.train()
    training.train()
    trained(trainer(tmp_path, bert(), watch))
    assert [row.step for row in read_rows(tmp_path) if row.quantity == "finite"] == [*range(0, 24, 3)]


def test_what_cannot_be_watched_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(GradlensError, match="did you mean every"):
        gl.TransformersWatch(evry=2)
    with pytest.raises(GradlensError, match="without torch_compile=True"):
        trained(trainer(tmp_path, bert(), gl.TransformersWatch(), torch_compile=True))
