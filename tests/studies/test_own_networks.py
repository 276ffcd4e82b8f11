"""Modules, factories, names, steps, losses and batches of the caller in compare, inspect, paths and strategies."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import gradlens as gl
from gradlens.errors import GradlensError
from gradlens.report import write

QUIET = {"progress": False, "throughput": False}
STEP = "torch.nn.functional.cross_entropy"


class C2f(nn.Module):
    """Split the channels, pass one part through a convolution, and join all."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 1)
        self.inner = nn.Conv2d(width // 2, width // 2, 3, padding=1)
        self.last = nn.Conv2d(width + width // 2, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        parts = list(torch.relu(self.first(x)).chunk(2, 1))
        parts.append(torch.relu(self.inner(parts[-1])))
        return torch.relu(self.last(torch.cat(parts, 1)))


class C3(nn.Module):
    """Two projections, one of them followed by a convolution, and join both."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.left = nn.Conv2d(width, width // 2, 1)
        self.right = nn.Conv2d(width, width // 2, 1)
        self.inner = nn.Conv2d(width // 2, width // 2, 3, padding=1)
        self.last = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        left = torch.relu(self.inner(torch.relu(self.left(x))))
        return torch.relu(self.last(torch.cat([left, torch.relu(self.right(x))], 1)))


class Yolo(nn.Module):
    """A backbone of two strides with a head on each; the output is a dict."""

    def __init__(self, block: type[nn.Module]) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.stage1 = block(8)
        self.down = nn.Conv2d(8, 16, 3, 2, 1)
        self.stage2 = block(16)
        self.p3, self.p4 = nn.Conv2d(8, 5, 1), nn.Conv2d(16, 5, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        fine = self.stage1(torch.relu(self.stem(x)))
        coarse = self.stage2(torch.relu(self.down(fine)))
        return {"p3": self.p3(fine), "p4": self.p4(coarse)}


class Classifier(nn.Module):
    def __init__(self, width: int = 8, num_classes: int = 10) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, width, 3, 2)
        self.norm = nn.BatchNorm2d(width)
        self.second = nn.Conv2d(width, width, 3)
        self.head = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.second(torch.relu(self.norm(self.first(x)))))
        return self.head(x.mean((2, 3)))


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.head = nn.Linear(4, 8), nn.Linear(4, 8), nn.Linear(8, 3)

    def forward(self, image: Tensor, depth: Tensor) -> Tensor:
        return self.head(torch.tanh(self.left(image)) + torch.tanh(self.right(depth)))


class Heads(nn.Module):
    """Two heads; ``form`` is what the output is."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.form, self.body = form, nn.Linear(4, 8)
        self.heads = nn.ModuleList([nn.Linear(8, 3), nn.Linear(8, 3)])

    def forward(self, x: Tensor) -> object:
        outputs = [head(torch.tanh(self.body(x))) for head in self.heads]
        return {"logits": outputs[0], "aux": outputs[1]} if self.form == "dict" else outputs


def images(count: int = 2, n: int = 8, seed: int = 0) -> list[tuple[Tensor, Tensor]]:
    draws = torch.Generator().manual_seed(seed)
    return [
        (torch.randn(n, 3, 16, 16, generator=draws), torch.randint(4, (n,), generator=draws))
        for _ in range(count)
    ]


def vectors(count: int = 2) -> list[tuple[Tensor, Tensor, Tensor]]:
    draws = torch.Generator().manual_seed(1)
    return [
        (
            torch.randn(8, 4, generator=draws),
            torch.randn(8, 4, generator=draws),
            torch.randint(3, (8,), generator=draws),
        )
        for _ in range(count)
    ]


def loader(*, shuffle: bool = False, drop_last: bool = True, samples: int = 50) -> DataLoader:
    inputs, targets = images(1, samples)[0]
    return DataLoader(TensorDataset(inputs, targets), batch_size=8, shuffle=shuffle, drop_last=drop_last)


def detection(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return sum(output.square().mean() for output in model(batch[0]).values())


def two_inputs(model: nn.Module, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    return functional.cross_entropy(model(batch[0], batch[1]), batch[2])


def digests(result: gl.Result) -> list[str]:
    return [identity["sha256"] for identity in result.meta["data_identity"]]


@pytest.fixture(scope="module")
def yolos() -> gl.Result:
    factories = (lambda seed: Yolo(C2f)), (lambda seed: Yolo(C3))
    return gl.compare(*factories, step=detection, batches=images(), labels=["C2f", "C3"], null=True, **QUIET)


def test_two_factories_with_a_step_are_compared_by_stage_and_paired_over_seeds(yolos: gl.Result) -> None:
    frame = yolos["comparison"].frame
    assert {"2", "4", "whole"} <= set(map(str, frame["stage"]))
    assert (yolos.meta["a"], yolos.meta["b"], yolos.meta["seeds"]) == ("C2f", "C3", [0, 1, 2])
    assert set(yolos["duplication"].frame["network"]) == {"C2f", "C3"}
    assert {"cross", "cost", "map_nodes", "paths", "null"} <= set(yolos.tables)
    assert (yolos["exactness"].frame["error"] == 0).all()
    assert "C3" in yolos.finding
    assert yolos.meta["study"]["step"] == "detection"


def test_each_seed_of_a_factory_equals_capturing_the_network_that_it_builds_after_seeding() -> None:
    batches = images()
    result = gl.inspect(lambda seed: Yolo(C2f), step=detection, batches=batches, **QUIET)
    energies = []
    for seed in range(3):
        torch.manual_seed(seed)
        recording = gl.capture(Yolo(C2f), batches, step=detection, seed=seed)
        energies.append(recording)
    merged = gl.analyze(energies[0].merge(*energies[1:]))
    expected = merged["flow"].frame["rms"].to_numpy()
    np.testing.assert_array_equal(result["flow"].frame["rms"].to_numpy(), expected)


def test_the_result_is_saved_loaded_and_written_as_a_page(yolos: gl.Result, tmp_path) -> None:
    yolos.save(tmp_path / "saved")
    again = gl.load(tmp_path / "saved")
    assert list(again.tables) == list(yolos.tables)
    assert again.finding == yolos.finding
    page = write(yolos, tmp_path / "page")
    text = page.read_text(encoding="utf-8")
    assert "C2f" in text
    assert "C3" in text


def test_a_factory_gets_the_seed_by_name_or_as_its_one_parameter_and_the_classes_that_it_names() -> None:
    seeds: dict[str, list[int]] = {"named": [], "only": [], "classes": []}

    def named(width: int = 4, *, seed: int) -> nn.Module:
        seeds["named"].append(seed)
        return Classifier(width)

    def only(number: int) -> nn.Module:
        seeds["only"].append(number)
        return Classifier()

    def classes(num_classes: int, seed: int = 7) -> nn.Module:
        seeds["classes"].append(num_classes)
        return Classifier(num_classes=num_classes)

    gl.compare(named, only, classes, batches=images(), seeds=2, **QUIET)
    assert seeds == {"named": [0, 1], "only": [0, 1], "classes": [4, 4]}


def test_a_module_is_measured_as_it_is_with_intervals_over_batches_and_stays_as_it_was() -> None:
    model = Classifier()
    model.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    result = gl.inspect(model, batches=images(5), warmup_loss=0.0, **QUIET)
    assert result.meta["seeds"] == [0]
    assert result.meta["study"]["batches"] == 5
    assert "interval over 5 batches" in result.finding
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not model.training


def test_a_warm_up_trains_a_copy_of_a_module_with_the_callers_step() -> None:
    model = TwoInputs()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    result = gl.inspect(model, data=vectors(4), batches=2, step=two_inputs, warmup_steps=3, **QUIET)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert any("3 warm-up steps" in warning for warning in result.warnings)


def test_names_modules_and_factories_are_mixed_and_modules_of_one_class_have_distinct_labels() -> None:
    result = gl.compare("resnet18", Classifier(), Classifier, batches=images(1), zero_init=False, **QUIET)
    assert result.meta["networks"] == ["resnet18", "Classifier [2]", "Classifier [3]"]
    assert set(result["duplication"].frame["network"]) == set(result.meta["networks"])


def test_a_network_of_load_model_keeps_its_name() -> None:
    model = gl.load_model("cspresnet50", num_classes=4)
    assert gl.capture(model, images(1), sites="forks", costs=False).name == "cspresnet50"


def test_a_loader_that_shuffles_gives_each_seed_its_samples_and_others_the_same() -> None:
    shuffled = gl.inspect(Classifier, data=loader(shuffle=True), batches=2, seeds=2, **QUIET)
    ordered = gl.inspect(Classifier, data=loader(), batches=2, seeds=2, **QUIET)
    once = gl.inspect(Classifier, data=iter(loader()), batches=2, seeds=2, **QUIET)
    assert len(set(digests(shuffled))) == 2
    assert len(set(digests(ordered))) == 1
    assert digests(ordered) == digests(once)
    again = gl.inspect(Classifier, data=loader(shuffle=True), batches=2, seeds=2, **QUIET)
    assert digests(again) == digests(shuffled)


def test_every_seed_has_a_head_for_all_classes_of_the_data_set() -> None:
    inputs = torch.randn(40, 3, 16, 16)
    targets = torch.zeros(40, dtype=torch.int64)
    targets[-1] = 6
    source = DataLoader(TensorDataset(inputs, targets), batch_size=8)
    result = gl.inspect("resnet18", data=source, batches=2, seeds=1, zero_init=False, **QUIET)
    assert [identity["classes"] for identity in result.meta["data_identity"]] == [7]


def test_an_iterator_is_read_no_further_than_needed() -> None:
    source = iter(images(5))
    gl.inspect(Classifier, data=source, batches=2, seeds=1, **QUIET)
    assert len(list(source)) == 3


def test_the_default_number_of_batches_of_a_loader_is_four_or_all_that_it_has() -> None:
    assert gl.inspect(Classifier(), data=loader(), **QUIET).meta["study"]["batches"] == 4
    assert gl.inspect(Classifier(), data=images(3), **QUIET).meta["study"]["batches"] == 3


def test_two_inputs_and_both_spaces() -> None:
    result = gl.compare(TwoInputs, TwoInputs(), batches=vectors(), step=two_inputs, space="both", **QUIET)
    assert {"duplication", "duplication_weights"} <= set(result.tables)


def test_several_heads_with_a_loss() -> None:
    pairs = [(x, y) for x, _, y in vectors(3)]
    result = gl.inspect(
        lambda seed: Heads("list"),
        batches=pairs,
        loss=lambda output, target: sum(functional.cross_entropy(head, target) for head in output),
        **QUIET,
    )
    assert {"heads.0", "heads.1"} <= set(result["flow"].frame["signal"])


def test_paths_of_a_module() -> None:
    result = gl.paths(Yolo(C3), batches=images(), step=detection, progress=False)
    assert result.meta["a"] == "Yolo"
    assert len(result["paths"].frame)


class Staged(nn.Module):
    """Two stages that no rule finds by name."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 2, 1)
        self.body = nn.ModuleList([nn.Sequential(self.block(), self.block()) for _ in range(2)])
        self.head = nn.Linear(16, 10)

    def block(self) -> nn.Module:
        return nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for stage in self.body:
            x = stage(x)
        return self.head(x.mean((2, 3)))


@pytest.mark.parametrize("stages", [["body.0", "body.1"], "body.0, body.1"])
def test_strategies_of_a_factory_are_cut_at_the_stages_of_the_caller(stages) -> None:
    options = {"strategies": ["none", "csp"], "stages": stages, "data": loader(), "batches": 2, "seeds": 2}
    result = gl.strategies(lambda seed: Staged(), **options, **QUIET)
    assert result.meta["a"] == "Staged"
    parts = result["branches"].frame
    assert set(parts[parts["network"] == "csp"]["stage"].astype(str)) & {"2", "2.1", "body.0", "body.1"}
    assert result["cost"].frame["network"].nunique() == 3  # none, csp and its control


def test_strategies_train_a_module_with_a_step_and_leave_it_alone() -> None:
    model = Staged()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    result = gl.strategies(
        model,
        strategies=["none", "csp"],
        stages=["body.0"],
        data=loader(),
        batches=2,
        step=lambda model, batch: functional.cross_entropy(model(batch[0]), batch[1]),
        training=gl.Training(steps=2, snapshots=1),
        **QUIET,
    )
    assert "trajectory" in result.tables
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


class Widening(nn.Module):
    """No block returns what it takes, so there is no stage to find by name or by shape."""

    def __init__(self) -> None:
        super().__init__()
        widths = ((3, 8, 12), (12, 16, 20))
        self.body = nn.ModuleList([nn.Sequential(*map(self.block, pair, pair[1:])) for pair in widths])
        self.head = nn.Linear(20, 10)

    def block(self, inputs: int, outputs: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        for stage in self.body:
            x = stage(x)
        return self.head(x.mean((2, 3)))


def test_without_stages_the_error_names_sequences_of_the_network() -> None:
    with pytest.raises(GradlensError, match=r"name them, for example stages=body\.0,body\.1$"):
        gl.strategies(Widening, data=loader(), batches=2, **QUIET)


def test_a_network_with_fixed_weights_beside_a_factory_is_marked_and_alone_it_needs_one_seed() -> None:
    model = Classifier()
    result = gl.compare(model, lambda seed: Classifier(12), batches=images(), seeds=2, **QUIET)
    assert any("Classifier [1]: the same weights and batches" in warning for warning in result.warnings)
    with pytest.raises(GradlensError, match="seeds=3 would measure the same weights on the same batches"):
        gl.compare(model, Classifier(), batches=images(), seeds=3, **QUIET)
    shuffled = gl.compare(model, Classifier(), data=loader(shuffle=True), batches=2, seeds=2, **QUIET)
    assert len(set(digests(shuffled))) == 2


REFUSED = {
    "data set": ({"data": TensorDataset(torch.zeros(8, 3))}, "data= is a TensorDataset; give a list of batches"),
    "tensor": ({"batches": torch.zeros(8, 3)}, "batches= is a Tensor; give a list of batches"),
    "text": ({"batches": "4"}, "batches= is a str"),
    "float": ({"batches": 2.5}, "batches= is a float; give a number, or batches"),
    "both": ({"batches": images(), "data": images()}, "data= and batches= are both batches"),
    "name and batches": ({"batches": images(), "data": "random"}, "has batches of its own"),
    "one batch": ({"batches": images()[0]}, r"a tensor, not \(inputs, targets\); give a list of batches"),
    "mapping": ({"batches": {"a": 1}}, "batches= is a dict; give a list of batches"),
    "empty": ({"batches": []}, "there are no batches"),
    "too few": ({"data": images(2), "batches": 3}, "data= has 2 batches, not 3"),
    "ragged": ({"batches": loader(drop_last=False, samples=20)}, "drop_last=True"),
    "step and loss": ({"step": detection, "loss": functional.cross_entropy}, "not both"),
    "no function": ({"step": 3}, r"step= is a int; give a function of \(model, batch\)"),
    "no spare batch": ({"batches": images(), "warmup_steps": 2}, "no batches after the first 2"),
    "no spare iterator": ({"data": iter(images()), "batches": 2, "warmup_steps": 2}, "no batches after the first 2"),
    "tokens and data": ({"data": images(), "input": "tokens"}, "leave out data="),
    "other input": ({"input": "audio"}, "input='audio' is not known"),
    "stages without a strategy": ({"stages": "body.0"}, "no network has one"),
    "few classes": ({"num_classes": 5}, "num_classes=5 is less than the 10 classes of the data"),
}  # fmt: skip


@pytest.mark.parametrize(("options", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_options_that_do_not_fit_are_refused(options, message) -> None:
    with pytest.raises(GradlensError, match=message):
        gl.inspect(Classifier, **options, **QUIET)


BAD_NETWORKS = {
    "number": (50, {}, "a int is not a network"),
    "returns none": (lambda: None, {}, "the lambda returned a NoneType"),
    "raises": (lambda: {}["neck"], {}, "the lambda raised KeyError: 'neck'"),
    "needs arguments": (nn.Linear, {}, "Linear needs in_features, out_features"),
    "two arguments": (
        lambda seed, width: Classifier(width),
        {},
        "the lambda needs width; give a function of the seed",
    ),
    "module and checkpoint": (Classifier(), {"checkpoint": "w.pt"}, "is measured as it is"),
    "pretrained factory": (Classifier, {"pretrained": True}, "Classifier is a function"),
    "pretrained module": (Classifier(), {"pretrained": True}, "a module keeps its own"),
}


@pytest.mark.parametrize(("network", "options", "message"), BAD_NETWORKS.values(), ids=BAD_NETWORKS.keys())
def test_networks_that_do_not_fit_are_refused(network, options, message) -> None:
    with pytest.raises(GradlensError, match=message):
        gl.inspect(network, **options, **QUIET)


@pytest.mark.parametrize(("labels", "message"), [(["a"], "1 labels for 2 networks"), (["a", "a"], "alike")])
def test_labels_are_one_per_network_and_distinct(labels, message) -> None:
    with pytest.raises(GradlensError, match=message):
        gl.compare(Classifier, Classifier, labels=labels, **QUIET)


def test_accuracy_is_not_measured_with_a_step() -> None:
    with pytest.raises(GradlensError, match="evaluate=True measures accuracy"):
        gl.strategies(Staged, step=detection, training=gl.Training(steps=2, evaluate=True), **QUIET)


def test_a_summed_loss_and_the_number_of_samples_are_declared_as_in_capture() -> None:
    def summed(model: nn.Module, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        return 8 * two_inputs(model, batch)

    mean = gl.inspect(TwoInputs, batches=vectors(), step=two_inputs, **QUIET)
    total = gl.inspect(TwoInputs, batches=vectors(), step=summed, reduction="sum", samples=8, **QUIET)
    np.testing.assert_allclose(total["flow"].frame["rms"], mean["flow"].frame["rms"], rtol=1e-5)


def line_of(error: GradlensError) -> str:
    return str(error).split("`")[1]


THREE = vectors()
LINES = {
    "three items": (TwoInputs, THREE),
    "nested inputs": (TwoInputs, [((a, b), c) for a, b, c in THREE]),
    "mapping of inputs": (TwoInputs, [({"image": a, "depth": b}, c) for a, b, c in THREE]),
    "mapping": (TwoInputs, [{"image": a, "depth": b, "label": c} for a, b, c in THREE]),
    "mapping of other names": (TwoInputs, [{"x": a, "z": b, "y": c} for a, b, c in THREE]),
    "one input in a mapping": (lambda: nn.Linear(4, 3), [{"x": a, "y": c} for a, _, c in THREE]),
    "output is a dict": (lambda: Heads("dict"), [(a, c) for a, _, c in THREE]),
    "output is a list": (lambda: Heads("list"), [(a, c) for a, _, c in THREE]),
    "numbers as targets": (lambda: nn.Linear(4, 1), [(a, b[:, :1]) for a, b, _ in THREE]),
    "binary targets": (lambda: nn.Linear(4, 1), [(a, (b[:, :1] > 0).float()) for a, b, _ in THREE]),
}


@pytest.mark.parametrize(("factory", "batches"), LINES.values(), ids=LINES.keys())
def test_the_line_of_the_error_measures_the_network(factory, batches) -> None:
    with pytest.raises(GradlensError) as caught:
        gl.inspect(factory, batches=batches, **QUIET)
    name, _, text = line_of(caught.value).partition("=")
    given = eval(text, {"torch": torch})
    result = gl.inspect(factory, batches=batches, seeds=1, **{name: given}, **QUIET)
    assert len(result["flow"].frame)


def test_a_step_that_calls_the_network_twice_has_the_signals_of_each_call() -> None:
    def twice(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return functional.cross_entropy(model(batch[0]) + model(-batch[0]), batch[1])

    recording = gl.capture(nn.Linear(4, 3), [(x, y) for x, _, y in vectors()], step=twice)
    assert len(recording.signals) == 2
