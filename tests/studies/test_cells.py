"""Cells: samples, seeds, and the results of an interrupted run."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gradlens.data import load_data
from gradlens.data.batches import fingerprint
from gradlens.errors import GradlensError
from gradlens.studies import cell, cells
from gradlens.studies.cells import Cells
from gradlens.studies.options import Study
from gradlens.studies.subjects import subjects

NETWORKS = '''
import torch
from torch import nn


class Branched(nn.Module):
    """A stem, a residual block and a concatenation: two forks, three stages."""

    def __init__(self, num_classes, width, drop=0.0):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, stride=4, padding=1)
        self.inner = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
        self.down = nn.Conv2d(width, width, 3, stride=2, padding=1)
        self.side = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU())
        self.drop = nn.Dropout(drop)
        self.fc = nn.Linear(2 * width, num_classes)

    def forward(self, x):
        x = torch.tanh(self.stem(x))
        x = x + self.inner(x)
        x = torch.tanh(self.down(x))
        x = torch.cat([x, self.side(x)], dim=1)
        return self.fc(self.drop(x.mean((2, 3))))


def small(num_classes):
    return Branched(num_classes, 4)


def wide(num_classes):
    return Branched(num_classes, 6)


def drops(num_classes):
    return Branched(num_classes, 4, 0.5)


def three_classes():
    return Branched(3, 4)


def shrinks(num_classes):
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.MaxPool2d(4), nn.MaxPool2d(4), nn.MaxPool2d(4), nn.Flatten(),
        nn.Linear(4, num_classes),
    )
'''


@pytest.fixture
def name_of(tmp_path):
    """Function from a factory above to its name."""
    (tmp_path / "networks.py").write_text(NETWORKS)
    return lambda factory: f"{tmp_path / 'networks.py'}:{factory}"


@pytest.fixture
def run(name_of):
    """Run both networks through a study; ``interrupt`` is the call of progress that raises."""

    def make(interrupt=None, factories=("small", "wide"), **options):
        study = Study(
            **{"data": "random", "image_size": 16, "batch_size": 6, "batches": 3, "seeds": 2} | options
        )
        calls = []

        def progress(what, done, total):
            calls.append((what, done, total))
            if len(calls) == interrupt:
                raise KeyboardInterrupt

        names = [name_of(factory) for factory in factories]
        study_cells = Cells(study, subjects(names, [None] * len(names)), progress)
        try:
            return study_cells.run(), study_cells, calls
        except KeyboardInterrupt:
            return None, study_cells, calls

    return make


def test_every_network_has_the_same_replicates_and_labels(run):
    (first, second), study_cells, _ = run(data="digits")
    assert first.replicates == second.replicates == tuple((s, b) for s in range(2) for b in range(3))
    assert np.array_equal(first.labels, second.labels)
    for seed, identity in enumerate(study_cells.meta["data_identity"]):
        data = load_data("digits", batch_size=6, batches=3, image_size=16, seed=seed)
        assert identity["sha256"] == data.identity["sha256"]
        assert np.array_equal(first.of_seed(seed).labels, np.stack([targets.numpy() for _, targets in data]))
    assert "partial" not in study_cells.meta


def test_every_network_receives_the_same_images(run, monkeypatch):
    seen = []

    def spy(model, batches, watch, **options):
        seen.append((options["meta"]["name"].rpartition(":")[2], watch.seed, fingerprint(list(batches))))
        return capture(model, batches, watch, **options)

    capture = cell.capture
    monkeypatch.setattr(cell, "capture", spy)
    run(data="digits")
    assert [entry[:2] for entry in seen] == [("small", 0), ("wide", 0), ("small", 1), ("wide", 1)]
    prints = [entry[2] for entry in seen]
    assert prints[0] == prints[1] != prints[2] == prints[3]


def test_a_seed_sets_the_weights(run):
    (first, _), _, _ = run()
    (again, other), _, _ = run(factories=("small", "small"))
    assert np.array_equal(first.grams, again.grams)
    assert np.array_equal(again.grams, other.grams)


def test_each_seed_has_different_weights(run, name_of, monkeypatch):
    seen = []

    def spy(model, batches, watch, **options):
        seen.append(model.stem.weight.detach().clone())
        return capture(model, batches, watch, **options)

    capture = cell.capture
    monkeypatch.setattr(cell, "capture", spy)
    run(factories=("small",))
    for seed, weight in enumerate(seen):
        assert torch.equal(weight, cell.load_model(name_of("small"), num_classes=10, seed=seed).stem.weight)
    assert not torch.equal(*seen)


def test_only_the_first_seed_is_timed_and_counted(run):
    (first, second), _, _ = run()
    for recording in (first, second):
        assert recording.costs is not None
        assert [len(speeds) for speeds in recording.throughput.values()] == [cell.REPEATS] * 2
    (untimed, _), _, _ = run(throughput=False)
    assert not any(untimed.throughput.values())


def test_progress_counts_every_batch_of_every_cell(run):
    _, _, calls = run()
    assert [done for _, done, _ in calls] == list(range(1, 13))
    assert {total for _, _, total in calls} == {12}
    assert [what.split(":")[0] + what[-6:].rpartition(":")[2] for what, _, _ in calls[::3]] == [
        "seed 0small",
        "seed 0wide",
        "seed 1small",
        "seed 1wide",
    ]


def test_progress_counts_warm_up_steps_too(run):
    _, _, calls = run(data="digits", warmup_steps=2)
    assert [done for _, done, _ in calls] == list(range(1, 21))
    assert {total for _, _, total in calls} == {20}


def test_a_warm_up_that_ends_early_counts_as_done(run):
    recordings, _, calls = run(data="digits", warmup_steps=40, warmup_loss=1e6)
    assert calls[-1][1:] == (calls[-1][2],) * 2
    for recording in recordings:
        assert recording.provenance.warmup_steps_taken == [5, 5]
        assert recording.provenance.warmup_loss == 1e6


@pytest.mark.parametrize("call", [1, 2, 3])
def test_an_interrupt_before_both_have_a_batch_is_raised(run, call):
    recordings, study_cells, _ = run(interrupt=call)
    assert recordings is None
    assert study_cells.partial


@pytest.mark.parametrize(
    ("call", "replicates"),
    [
        (4, [(0, 0)]),  # seed 0, the second network's first batch
        (5, [(0, 0), (0, 1)]),
        (6, [(0, 0), (0, 1), (0, 2)]),
        (8, [(0, 0), (0, 1), (0, 2)]),  # seed 1, the first network alone: none of it can be compared
        (11, [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]),
    ],
)
def test_an_interrupt_keeps_what_both_have_finished(run, call, replicates):
    whole, _, _ = run()
    kept, study_cells, calls = run(interrupt=call)
    assert len(calls) == call
    assert study_cells.meta["partial"] is True
    for before, after in zip(whole, kept, strict=True):
        assert list(after.replicates) == replicates
        indices = [before.replicates.index(replicate) for replicate in replicates]
        assert np.array_equal(after.grams, before.grams[:, indices])
        assert np.array_equal(after.labels, before.labels[indices])


def test_an_interrupt_while_a_network_is_loaded_keeps_the_seeds_before(run, monkeypatch):
    load_model, count = cell.load_model, []

    def interrupted(*arguments, **options):
        count.append(1)
        if len(count) == 3:
            raise KeyboardInterrupt
        return load_model(*arguments, **options)

    monkeypatch.setattr(cell, "load_model", interrupted)
    kept, study_cells, _ = run()
    assert [recording.seeds for recording in kept] == [(0,), (0,)]
    assert study_cells.meta["partial"] is True


def test_images_too_small_for_the_network_are_one_clear_error(run, name_of):
    with pytest.raises(GradlensError) as caught:
        run(factories=("shrinks",))
    message = str(caught.value)
    assert message.startswith(f"{name_of('shrinks')} fails on 3 x 16 x 16 images of 10 classes: ")
    assert "larger image_size=" in message
    assert "\n" not in message


def test_a_head_with_too_few_classes_is_one_clear_error(run, name_of):
    with pytest.raises(GradlensError) as caught:
        run(factories=("three_classes",), batch_size=16)
    message = str(caught.value)
    assert message.startswith(f"{name_of('three_classes')} fails on")
    assert "of 10 classes" in message
    assert "\n" not in message


def test_an_interrupt_is_not_reported_as_an_error(run):
    assert run(interrupt=1)[0] is None  # and not a GradlensError


@pytest.mark.parametrize("data", ["digits", "random"])
def test_warm_up_trains_on_samples_that_are_not_measured(run, monkeypatch, data):
    used = []

    def spy(model, batches, *, steps, **options):
        used.append((steps, [images for images, _ in batches]))
        return warm_up(model, batches, steps=steps, **options)

    warm_up = cells.warm_up
    monkeypatch.setattr(cells, "warm_up", spy)
    cold, _, _ = run(factories=("small",), seeds=1, data=data)
    warm, _, _ = run(factories=("small",), seeds=1, data=data, warmup_steps=4)
    ((steps, images),) = used
    assert (steps, len(images)) == (4, 4)
    measured = torch.cat([images for images, _ in load_data(data, batch_size=6, batches=3, image_size=16)])
    trained = torch.cat(images)
    assert not (measured.flatten(1)[:, None] == trained.flatten(1)[None]).all(-1).any()
    assert np.array_equal(cold[0].labels, warm[0].labels)
    assert not np.allclose(cold[0].grams, warm[0].grams)


def test_dropout_in_the_warm_up_is_a_function_of_the_seed(run):
    torch.manual_seed(1)
    (first,), _, _ = run(factories=("drops",), seeds=1, warmup_steps=2, data="digits")
    state = torch.manual_seed(2).get_state()
    (again,), _, _ = run(factories=("drops",), seeds=1, warmup_steps=2, data="digits")
    assert np.array_equal(first.grams, again.grams)
    assert torch.equal(torch.get_rng_state(), state)


def test_warm_up_repeats_batches_if_few_samples_are_left(run, monkeypatch):
    """1797 samples are five batches of 359: four are measured, one is left for three steps."""
    used = []

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(
        cells,
        "warm_up",
        lambda model, batches, *, steps, **_: used.append((len(batches), steps)) or [],
    )
    monkeypatch.setattr(cell, "capture", stop)
    run(data="digits", batch_size=359, batches=4, image_size=8, warmup_steps=3)
    assert used == [(1, 3)]


def test_warm_up_without_samples_to_spare_is_an_error(run, monkeypatch):
    monkeypatch.setattr(cell, "capture", lambda *_, **__: pytest.fail("it was measured"))
    with pytest.raises(
        GradlensError, match=r"1797 samples leave none for warm-up or training after 4 batches of 449"
    ):
        run(data="digits", batch_size=449, batches=4, image_size=8, warmup_steps=5)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"seeds": 0}, "seeds=0; use at least 1"),
        ({"batches": 0}, "batches=0"),
        ({"warmup_steps": -1}, "warmup_steps=-1"),
        ({"warmup_loss": -1.0}, "warmup_loss=-1"),
        ({"warmup_loss": 1.0}, "give its largest number of steps, for example warmup_steps=500"),
    ],
)
def test_counts_out_of_range_are_refused(option, message):
    with pytest.raises(GradlensError, match=message):
        Study(**option)


def labels(names, checkpoints):
    return [subject.label for subject in subjects(names, checkpoints)]


def test_different_names_are_the_labels():
    assert labels(["a", "b"], [None, "w"]) == ["a", "b"]


@pytest.mark.parametrize("checkpoints", [(None, None), ("x", "y"), ("x", None), (None, "x"), ("x", "x")])
def test_networks_of_one_name_have_distinct_labels(checkpoints):
    distinct = labels(["a", "a"], checkpoints)
    assert len(set(distinct)) == 2
    assert all(label.startswith("a ") for label in distinct)
    for label, checkpoint in zip(distinct, checkpoints, strict=True):
        assert checkpoint is None or checkpoint in label


def test_a_network_with_a_unique_name_keeps_it():
    assert labels(["a", "b", "a"], [None, None, None]) == ["a [1]", "b", "a [3]"]
    assert labels(["a", "a", "b", "b"], ["x", None, None, None]) == ["a [x]", "a [2]", "b [3]", "b [4]"]


def test_every_network_is_built_before_the_first_is_measured(name_of, monkeypatch):
    measured = []
    monkeypatch.setattr(cell, "capture", lambda *_, **__: measured.append(1))
    networks = subjects(
        [name_of("small"), name_of("wide"), name_of("small")], [None, None, name_of("small")[:-6]]
    )
    with pytest.raises(GradlensError, match="checkpoint"):
        Cells(Study(data="random", image_size=16, batch_size=6), networks, False).run()
    assert measured == []


def test_an_exception_of_a_network_is_shown_as_its_own(tmp_path):
    text = "build = lambda: Neck(10, 4)\n\n\nclass Neck(Branched):\n    def forward(self, x):\n        {}['neck']\n"
    (tmp_path / "networks.py").write_text(f"{NETWORKS}\n\n{text}")
    networks = subjects([f"{tmp_path / 'networks.py'}:build"], [None])
    with pytest.raises(
        GradlensError, match=r"your model raised KeyError: 'neck' in .*networks.py:\d+ \(forward\)$"
    ):
        Cells(Study(data="random", image_size=16, batch_size=6), networks, False).run()
