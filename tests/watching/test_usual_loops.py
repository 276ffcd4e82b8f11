"""What people do in training loops: LoRA, frozen parts, two models, averages, closures, copies, moves."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from contextlib import ExitStack, nullcontext

import pytest
import torch
from oracles.extras import needs
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from watching.loops import STEPS, N, batches, hooks_of, network, of, plain, trained

from gradlens.watching.watching import watch

LORA = "base_model.model"


def with_lora() -> nn.Module:
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.ReLU(), nn.Linear(8, 5))
    return get_peft_model(model, LoraConfig(r=2, target_modules=["1", "3"]))


def with_frozen_parts() -> nn.Module:
    model = network()
    model[0].requires_grad_(False)
    model[2].norm.requires_grad_(False)
    return model


@pytest.mark.parametrize(
    ("make", "places"),
    [
        pytest.param(
            with_lora,
            {
                f"{LORA}.{name}"
                for name in (
                    "1.lora_A.default",
                    "1.lora_B.default",
                    "3.base_layer",  # frozen, but a gradient passes through it
                    "3.lora_A.default",
                    "3.lora_B.default",
                )
            },
            marks=pytest.mark.extra,
        ),
        (with_frozen_parts, {"1.conv", "2.conv", "5"}),
    ],
)
def test_a_model_that_is_trained_in_parts_is_watched_where_gradients_flow(
    make: Callable[[], nn.Module], places: set[str]
) -> None:
    if make is with_lora:
        needs("peft")
    watched, usual = make(), make()
    watching = watch(watched, every=1)
    ends = trained(plain, watched, watching), trained(plain, usual, nullcontext())
    assert all(map(torch.equal, *ends))
    assert hooks_of(watched) == hooks_of(usual) == 0
    assert watching.problems == {}
    assert {row.place for row in of(watching, "rms")} == places


@pytest.mark.extra
def test_the_first_gradient_of_lora_is_zero_behind_the_zero_weights() -> None:
    needs("peft")
    model = with_lora()
    with watch(model, every=1) as watching:
        plain(model)
    dead = {(row.step, row.place.removeprefix(f"{LORA}.")) for row in of(watching, "dead") if row.value}
    assert dead == {(0, "1.lora_A.default"), (0, "3.lora_A.default")}


Pair = tuple[nn.Module, nn.Module]


def pair() -> Pair:
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 12))
    return generator, nn.Sequential(nn.Linear(12, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))


def adversarial(models: Pair) -> list[Tensor]:
    """Train a generator and a discriminator; return all weights."""
    torch.manual_seed(2)
    generator, discriminator = models
    optimizers = [torch.optim.Adam(model.parameters(), lr=0.01) for model in models]
    for _ in range(STEPS):
        true, false = torch.randn(N, 12), generator(torch.randn(N, 4))
        optimizers[1].zero_grad()
        (
            functional.softplus(-discriminator(true)) + functional.softplus(discriminator(false.detach()))
        ).mean().backward()
        optimizers[1].step()
        optimizers[0].zero_grad()
        functional.softplus(-discriminator(false)).mean().backward()
        optimizers[0].step()
    return [value for model in models for value in model.state_dict().values()]


def test_both_models_of_a_gan_are_watched_in_one_loop() -> None:
    models = pair()
    with watch(models[0], every=2) as first, watch(models[1], every=3) as second:
        weights = adversarial(models)
    assert all(map(torch.equal, weights, adversarial(pair())))
    assert [hooks_of(model) for model in models] == [0, 0]
    assert {row.step for row in of(first, "rms")} == {0, 2, 4, 6}
    assert {row.step for row in of(second, "rms")} == set(
        range(0, 3 * STEPS, 3)
    )  # called three times per step
    for watching in (first, second):
        assert {row.place for row in of(watching, "rms")} == {"0", "2"}
        assert watching.problems == {}


def averaged(model: nn.Module) -> AveragedModel:
    """Train with an exponential moving average, and evaluate it in between."""
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for images, targets in batches():
        optimizer.zero_grad()
        functional.cross_entropy(model(images), targets).backward()
        optimizer.step()
        average.update_parameters(model)
        functional.cross_entropy(average(images), targets).backward()  # counts as no step
    return average


def test_an_average_of_the_weights_does_not_watch() -> None:
    models, averages = [network(), network()], []
    watching = watch(models[0], every=1)
    for model, around in zip(models, (watching, nullcontext()), strict=True):
        torch.manual_seed(2)
        with around:
            averages.append(averaged(model))
    assert watching.step == STEPS
    assert all(map(torch.equal, *(average.state_dict().values() for average in averages)))


def test_copies_files_and_moves_during_a_watch_leave_it_as_it_is() -> None:
    models = [network(), network()]
    weights = []
    for model, around in zip(models, (watch(models[0], every=1), nullcontext()), strict=True):
        with around:
            torch.manual_seed(2)
            plain(model)
            copy.deepcopy(model)
            pickle.loads(pickle.dumps(model))
            file = io.BytesIO()
            torch.save(model.state_dict(), file)
            file.seek(0)
            model.double()
            model.load_state_dict(torch.load(file))
            model.to("cpu", torch.float32)
            plain(model)
        weights.append([*model.state_dict().values(), torch.get_rng_state()])
    assert all(map(torch.equal, *weights))
    assert hooks_of(models[0]) == 0


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.LBFGS])
def test_an_optimizer_that_calls_the_model_itself(kind: Callable[..., torch.optim.Optimizer]) -> None:
    calls = []

    def loop(model: nn.Module) -> None:
        optimizer = kind(model.parameters(), lr=0.1)
        for images, targets in batches(3):

            def closure(images: Tensor = images, targets: Tensor = targets) -> Tensor:
                calls.append(0)
                optimizer.zero_grad()
                loss = functional.cross_entropy(model(images), targets)
                loss.backward()
                return loss

            optimizer.step(closure)

    watched, usual = network(), network()
    watching = watch(watched, every=1)
    ends = trained(loop, watched, watching), trained(loop, usual, nullcontext())
    assert all(map(torch.equal, *ends))
    assert watching.step == len(calls) / 2 >= 3
    assert {row.step for row in of(watching, "rms")} == set(range(watching.step))


def test_watches_are_opened_and_closed_in_any_order() -> None:
    model, stack = network(), ExitStack()
    first, second = watch(model, every=1), watch(model, every=1)
    stack.enter_context(first)
    with second:
        functional.cross_entropy(model(batches()[0][0]), batches()[0][1]).backward()
        stack.close()
        functional.cross_entropy(model(batches()[1][0]), batches()[1][1]).backward()
    assert (first.step, second.step) == (1, 2)
    assert hooks_of(model) == 0
