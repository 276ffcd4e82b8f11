"""The search for a birth: it leaves the training as it is, and follows the next step if one cannot be run again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from watching.faults import SAMPLE, N, Net, images, watched
from watching.loops import autocast, batches, network, plain, trained

from gradlens.hooks.seeking import TRIES
from gradlens.watching.watching import watch

TARGETS = torch.arange(N) % 5


class Counted:
    """A log that keeps the numbers of the steps."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def write(self, step: int, rows: object) -> None:
        self.steps.append(step)

    def resume(self, step: int) -> None: ...

    def close(self) -> None: ...


class Moody(Net):
    """Returns something else if it is called again."""

    def forward(self, x: Tensor) -> Tensor:
        self.calls = [*getattr(self, "calls", []), len(x)]
        return super().forward(x) * len(self.calls)


class Writing(Net):
    """Changes its inputs."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.mul_(1.0))


def test_a_loop_that_leaves_out_the_backward_pass_of_a_broken_step() -> None:
    model = Net("mask", at=1)
    with watch(model, every=1) as watching:
        for batch in images(4):
            loss = functional.cross_entropy(model(batch), TARGETS)
            if loss.isfinite():
                loss.backward()
            model.at = 1 if model.step < 1 else 9
    (alarm,) = watching.alarms
    assert (alarm.step, alarm.place) == (1, "(model):div")
    assert [row.value for row in watching.rows if row.quantity == "finite"] == [1, 0, 1, 1]


@pytest.mark.parametrize("steps", [1, 2])
def test_an_exception_of_the_function_of_the_user_stops_a_loop_without_a_backward_pass(steps: int) -> None:
    class StopError(Exception):
        """Raised by the function of the user."""

    def stop(alarm: object) -> None:
        raise StopError

    class Closed(Counted):
        closed = False

        def close(self) -> None:
            self.closed = True

    model, log = Net("mask"), Closed()

    def loop() -> None:
        with watch(model, every=1, on_alarm=stop, to=log):
            for batch in images(steps):
                model(batch)

    with pytest.raises(StopError):
        loop()
    assert log.steps == [0]
    assert log.closed
    assert not model._forward_pre_hooks


@pytest.mark.parametrize("kind", [Net, Moody, Writing])
@pytest.mark.parametrize("fault", ["sqrt", "log"])
def test_the_next_step_is_followed_if_one_cannot_be_run_again(kind: type[Net], fault: str) -> None:
    model = kind(fault)
    with watch(model, every=1) as watching:
        for step, batch in enumerate(images(2)):
            output = model(batch)
            if kind is Net and step == 0:
                batch.data.zero_()  # autograd would refuse a change that is counted
            functional.cross_entropy(output, TARGETS).backward()
    place = {"sqrt": "(model):sqrt", "log": "(model):log"}[fault]
    seen = {step: birth.replayed for step, birth in watching.births.items()}
    assert {birth.site for birth in watching.births.values()} == {place}
    assert {birth.samples for birth in watching.births.values()} == {(SAMPLE,)}
    assert seen == ({0: True, 1: True} if (kind, fault) == (Net, "log") else {1: False})
    assert [alarm.step for alarm in watching.alarms] == [0]


def test_an_exception_ends_the_following_of_a_forward_pass() -> None:
    class Failing(Writing):
        def forward(self, x: Tensor) -> Tensor:
            output = super().forward(x)
            if self.step == 1:
                raise ValueError("stop")
            return output

    model = Failing("sqrt")
    modes = torch.utils._python_dispatch._get_current_dispatch_mode_stack
    with watch(model, every=1):
        functional.cross_entropy(model(images(1)[0]), TARGETS).backward()
        with pytest.raises(ValueError, match="stop"):
            model(images(1)[0])
        assert modes() == []
        functional.cross_entropy(model(images(1)[0]), TARGETS).backward()
    assert modes() == []


@pytest.mark.parametrize("loop", [plain, autocast])
@pytest.mark.parametrize("again", [False, True], ids=["", "checkpointed"])
def test_a_search_leaves_the_training_as_it_is(loop: Callable[[nn.Module], None], again: bool) -> None:
    third = batches()[2][0]

    class Once(nn.Module):
        """Breaks the gradient of one step and leaves the weights finite."""

        def __init__(self) -> None:
            super().__init__()
            self.net = network(again)
            for parameter in self.net.parameters():
                parameter.register_hook(lambda gradient: gradient.nan_to_num(0.0, 0.0, 0.0))

        def forward(self, images: Tensor) -> Tensor:
            x = self.net(images)
            return x + (x[:1] * 0).abs().sqrt() if torch.equal(images, third) else x

    torch.manual_seed(0)
    ends = []
    for around in (True, False):
        model = Once()
        watching = watch(model, every=1)
        ends.append(trained(loop, model, watching if around else nullcontext()))
        if around:
            assert set(watching.births) == {2}
            assert watching.births[2].replayed
    assert all(torch.equal(*pair) for pair in zip(*ends, strict=True))
    assert all(bool(tensor.isfinite().all()) for tensor in ends[0])


def test_a_scaled_loss_that_overflows_three_times_says_where() -> None:
    model, scaler = Net(), torch.amp.GradScaler("cpu", init_scale=2.0**60)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, every=1, scaler=scaler) as watching:
        for batch in images(4):
            with torch.autocast("cpu", torch.float16):
                loss = functional.cross_entropy(model(batch), TARGETS)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
    (alarm,) = watching.alarms
    assert alarm.step == 2
    assert alarm.birth is not None
    assert alarm.birth.dtype == "float16"
    assert set(watching.births) == {0, 1, 2}  # no more are looked for until a step is finite


def test_a_checkpoint_around_the_model_is_no_hindrance() -> None:
    model = Net("sqrt")
    with watch(model, every=1) as watching:
        output = checkpoint(model, images(1)[0].requires_grad_(), use_reentrant=False)
        functional.cross_entropy(output, TARGETS).backward()
    assert watching.births[0].site == "(model):sqrt"


def test_a_training_that_stays_broken_raises_one_alarm() -> None:
    alarms = watched(Net("sqrt"), steps=6).alarms
    assert [(alarm.rule, alarm.step) for alarm in alarms] == [("not finite", 0)]


def test_infinite_outputs_that_the_code_writes_down_are_looked_at_a_few_times() -> None:
    class Masked(Net):
        calls = 0

        def forward(self, x: Tensor) -> Tensor:
            Masked.calls += 1
            return super().forward(x).masked_fill(torch.arange(5) == 4, -torch.inf)

    model, targets = Masked(), torch.arange(N) % 4
    with watch(model, every=1) as watching:
        for step, batch in enumerate(images(TRIES + 4)):
            before = Masked.calls
            functional.cross_entropy(model(batch), targets).backward()
            assert (Masked.calls > before + 1) == (step < TRIES)
    assert watching.alarms == []
    assert watching.problems == {}
