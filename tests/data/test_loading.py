"""load_data: equal tensors for equal seeds, and errors for invalid options, names and counts."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from gradlens.catalogue.datasets import CLASSIFICATION
from gradlens.catalogue.datasets import DATASETS as NAMED
from gradlens.data import DATASETS, digits, load_data
from gradlens.errors import GradlensError
from gradlens.options import options_of
from gradlens.studies.options import Study

CLASSES = sorted(name for name, entry in NAMED.items() if entry.task == CLASSIFICATION)


@pytest.mark.parametrize("name", CLASSES)
def test_batches_have_the_requested_shape_and_identity(name: str) -> None:
    data = load_data(name, batch_size=5, batches=3, image_size=16, in_chans=2, seed=7)
    assert len(data) == len(list(data)) == 3
    for images, targets in data:
        assert (images.shape, images.dtype) == ((5, 2, 16, 16), torch.float32)
        assert (targets.shape, targets.dtype) == ((5,), torch.int64)
        assert 0 <= int(targets.min()) <= int(targets.max()) < data.num_classes == len(data.class_names) == 10
    assert (data.in_chans, data.image_size) == (2, 16)
    assert {"name": name, "seed": 7, "samples": 15, "skipped": []}.items() <= data.identity.items()


@pytest.mark.parametrize("file", [digits.FILE, "elsewhere.csv.gz"], ids=["file", "library"])
def test_digits_are_those_of_scikit_learn(file: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits, "FILE", file)
    images, labels = digits.handwritten.__wrapped__()
    bundle = load_digits()
    assert np.array_equal(images, bundle.images)
    assert np.array_equal(labels, bundle.target)


@pytest.mark.parametrize("name", CLASSES)
def test_tensors_are_a_function_of_the_seed(name: str) -> None:
    first, again, other = (load_data(name, batches=2, image_size=8, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first[1][0], again[1][0])
    assert first.identity["sha256"] == again.identity["sha256"] != other.identity["sha256"]


@pytest.mark.parametrize("name", CLASSES)
def test_a_start_skips_batches_of_the_same_order(name: str) -> None:
    whole = load_data(name, batches=4, batch_size=4, image_size=8)
    tail = load_data(name, batches=2, batch_size=4, image_size=8, start=2)
    for (images, targets), (other_images, other_targets) in zip(whole[2:], tail, strict=True):
        assert torch.equal(images, other_images)
        assert torch.equal(targets, other_targets)


def test_global_random_states_are_neither_used_nor_changed() -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # type: ignore[index]
    for name in DATASETS:
        load_data(name, batches=1, image_size=NAMED[name].least)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1:] == (np.random.get_state()[1].tolist(), random.getstate())  # type: ignore[index]


def test_digits_are_a_permutation_of_the_whole_standardised_set() -> None:
    data = load_data("digits", batch_size=599, batches=3, image_size=8, in_chans=1)
    images = torch.cat([images for images, _ in data]).reshape(1797, 64)
    targets = torch.cat([targets for _, targets in data])
    assert float(images.mean()) == pytest.approx(0, abs=1e-5)
    assert float(images.std()) == pytest.approx(1, abs=1e-5)
    assert targets.bincount().tolist() == np.bincount(load_digits().target).tolist()
    assert targets.tolist() != load_digits().target.tolist()


def test_the_channels_of_digits_are_copies() -> None:
    images, _ = load_data("digits", batches=1, image_size=16)[0]
    assert torch.equal(images[:, 0], images[:, 2])


def test_noise_is_standard_normal() -> None:
    images, targets = load_data("random", batches=1, batch_size=64, image_size=32)[0]
    assert float(images.mean()) == pytest.approx(0, abs=0.01)
    assert float(images.std()) == pytest.approx(1, abs=0.01)
    assert len(targets.unique()) == 10


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 3}, "batch size is 3; .* at least 4"),
        ({"batches": 0}, "batches is 0"),
        ({"image_size": 0}, "image_size is 0"),
        ({"in_chans": 0}, "in_chans is 0"),
        ({"start": -1}, "start is -1"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**32}, "below"),
        ({"batches": 60}, "digits has 1797 samples, but 60 batches of 32 need 1920; lower"),
        ({"batches": 50, "start": 10}, "after 10 reserved ones need 1920"),
    ],
)
def test_invalid_options_are_errors(options: dict[str, Any], message: str) -> None:
    with pytest.raises(GradlensError, match=message):
        load_data("digits", **options)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "digit",
            "digits, random, scenes, clips, motion, or the path of an image folder; did you mean digits?",
        ),
        ("no/such/folder", "there is no data set and no folder"),
        ("folder", "there is no folder 'folder' here"),
        ("", "there is no data set and no folder ''"),
        (__file__, "is a file"),
    ],
)
def test_the_error_for_unknown_data_lists_available_data(name: str, message: str) -> None:
    with pytest.raises(GradlensError) as caught:
        load_data(name)
    assert message in str(caught.value)


@pytest.mark.parametrize("name", [*DATASETS, "folder"])
def test_every_data_set_is_described_in_the_help_of_its_option(name: str) -> None:
    assert name in options_of(Study)["data"].help


def test_tokens_are_integers_below_the_vocabulary_with_class_targets_by_the_seed() -> None:
    batches = load_data("tokens:length=7,vocabulary=11,classes=3", batch_size=50, batches=2, seed=1)
    tokens = torch.cat([inputs for inputs, _ in batches])
    targets = torch.cat([targets for _, targets in batches])
    assert tokens.shape == (100, 7)
    assert tokens.dtype == targets.dtype == torch.int64
    assert sorted(set(tokens.flatten().tolist())) == list(range(11))
    assert sorted(set(targets.tolist())) == [0, 1, 2]
    again = load_data("tokens:length=7,vocabulary=11,classes=3", batch_size=50, batches=2, seed=1)
    other = load_data("tokens:length=7,vocabulary=11,classes=3", batch_size=50, batches=2, seed=2)
    assert batches.identity["sha256"] == again.identity["sha256"] != other.identity["sha256"]
    later = load_data("tokens:length=7,vocabulary=11,classes=3", batch_size=50, batches=1, seed=1, start=1)
    assert torch.equal(later[0][0], batches[1][0])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tokens:len=7", "did you mean length"),
        ("tokens:length=0", "give a whole number of at least 1"),
        ("tokens:vocabulary=1", "at least 2"),
        ("tokens:length=7.5", "whole number"),
        ("tokens:length=7,length=8", "not understood"),
        ("token", "did you mean tokens"),
    ],
)
def test_tokens_of_an_unknown_form_are_refused(name: str, message: str) -> None:
    with pytest.raises(GradlensError, match=message):
        load_data(name)


def test_random_targets_stay_below_the_number_of_classes() -> None:
    targets = torch.cat(
        [targets for _, targets in load_data("random", image_size=1, num_classes=3, batches=8)]
    )
    assert sorted(set(targets.tolist())) == [0, 1, 2]
