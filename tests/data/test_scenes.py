"""Scenes: boxes, labels and masks agree with the ink that was drawn, and no digit occurs in two scenes."""

from __future__ import annotations

from itertools import chain, combinations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from gradlens.data import Batches, load_data, scenes
from gradlens.data.batches import fingerprint
from gradlens.data.checks import check_samples
from gradlens.data.request import Request
from gradlens.errors import GradlensError

ALL = {"batch_size": 4, "batches": 179}
FORMS = [("scenes", 32), ("scenes", 96), ("scenes:sizes=mixed", 33), ("scenes:sizes=mixed", 64)]


def samples_in(data: Batches) -> list[tuple[torch.Tensor, dict[str, torch.Tensor]]]:
    return [pair for images, targets in data for pair in zip(images, targets, strict=True)]


@pytest.mark.parametrize(("name", "size"), FORMS)
def test_targets_have_the_form_of_torchvision_and_fit_their_image(name: str, size: int) -> None:
    for image, target in samples_in(load_data(name, batches=5, image_size=size, seed=2)):
        count = len(target["labels"])
        assert image.dtype == torch.float32
        assert 0 <= float(image.min()) < float(image.max()) <= 1
        assert (target["boxes"].shape, target["boxes"].dtype) == ((count, 4), torch.float32)
        assert (target["labels"].dtype, target["masks"].dtype) == (torch.int64, torch.uint8)
        assert target["masks"].shape == (count, *image.shape[1:])
        left, top, right, bottom = target["boxes"].T
        assert bool((left >= 0).all() & (top >= 0).all())
        assert bool((left < right).all() & (top < bottom).all())
        assert bool((right <= image.shape[2]).all() & (bottom <= image.shape[1]).all())
        assert set(target["labels"].tolist()) <= set(range(1, 11))


@pytest.mark.parametrize(("name", "size"), FORMS)
def test_a_box_is_the_smallest_around_its_mask(name: str, size: int) -> None:
    for _, target in samples_in(load_data(name, batches=3, image_size=size)):
        for box, mask in zip(target["boxes"].int().tolist(), target["masks"], strict=True):
            rows, columns = torch.nonzero(mask, as_tuple=True)
            bounds = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert box == [int(bound) for bound in bounds]


@pytest.mark.parametrize("size", [32, 50, 96])
def test_boxes_of_a_scene_do_not_overlap(size: int) -> None:
    for _, target in samples_in(load_data("scenes", **ALL, image_size=size, seed=1)):
        for a, b in combinations(target["boxes"].tolist(), 2):
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def test_ink_is_brighter_than_the_canvas_around_it() -> None:
    for image, target in samples_in(load_data("scenes", batches=2, image_size=96)):
        ink = target["masks"].sum(0) > 0
        assert float(image[:, ink].mean()) > float(image[:, ~ink].mean()) + 0.2


def test_each_digit_occurs_in_one_scene_so_that_later_batches_are_held_out() -> None:
    blocks = [list(scenes._members(seed=3, index=index)) for index in range(716)]
    assert sorted(chain.from_iterable(blocks)) == list(range(1790))
    labels = torch.cat(
        [target["labels"] for _, target in samples_in(load_data("scenes", **ALL, image_size=64))]
    )
    assert len(labels) == 1790  # none was left out
    unused = Request(4, 1, 0, 64, 3, 0).order(1797)[1790:]
    expected = np.bincount(np.delete(load_digits().target, unused), minlength=10)
    assert torch.bincount(labels - 1).tolist() == expected.tolist()


def test_each_number_of_digits_occurs_once_in_four_scenes() -> None:
    counts = [
        len(target["labels"]) for _, target in samples_in(load_data("scenes", batches=3, image_size=64))
    ]
    assert [sorted(counts[first : first + 4]) for first in range(0, 96, 4)] == [[1, 2, 3, 4]] * 24


def test_a_digit_of_a_scene_is_that_of_the_data_set() -> None:
    """A scene of one digit, reduced to the eight pixels of its source, is that digit."""
    bundle = load_digits()
    data = samples_in(load_data("scenes", batches=2, image_size=128))
    order = Request(32, 2, 0, 128, 3, 0).order(1797)
    alone = [index for index, (_, target) in enumerate(data) if len(target["labels"]) == 1]
    assert len(alone) == 16
    for index in alone:
        (source,) = (order[position] for position in scenes._members(0, index))
        assert int(data[index][1]["labels"]) - 1 == bundle.target[source]
        left, top, right, bottom = map(int, data[index][1]["boxes"][0])
        mask = data[index][1]["masks"][0, top:bottom, left:right].numpy()
        ink = bundle.images[source] / 16
        rows, columns = np.flatnonzero((ink >= 0.5).any(1)), np.flatnonzero((ink >= 0.5).any(0))
        ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        y = (np.arange(mask.shape[0]) + 0.5) * ink.shape[0] // mask.shape[0]
        x = (np.arange(mask.shape[1]) + 0.5) * ink.shape[1] // mask.shape[1]
        nearest = ink[y.astype(int)][:, x.astype(int)] >= 0.5
        assert (nearest == mask).mean() > 0.75


def test_tensors_are_a_function_of_the_seed() -> None:
    options = {"batches": 2, "batch_size": 4, "image_size": 40}
    first, again, other = (load_data("scenes", seed=seed, **options) for seed in (1, 1, 2))
    assert first.identity["sha256"] == again.identity["sha256"] != other.identity["sha256"]
    images, targets = first[0]
    changed = [{**target, "labels": target["labels"] % 10 + 1} for target in targets]
    assert fingerprint([(images, targets)]) != fingerprint([(images, changed)])


def test_a_start_skips_batches_of_the_same_order() -> None:
    whole = load_data("scenes", batches=4, batch_size=5, image_size=32)
    tail = load_data("scenes", batches=2, batch_size=5, image_size=32, start=2)
    for (image, target), (other, other_target) in zip(samples_in(whole)[10:], samples_in(tail), strict=True):
        assert torch.equal(image, other)
        assert all(torch.equal(target[key], other_target[key]) for key in target)


def test_mixed_sizes_differ_within_a_batch_and_stay_below_the_requested_one() -> None:
    images, _ = load_data("scenes:sizes=mixed", batches=1, image_size=80)[0]
    heights, widths = ({image.shape[axis] for image in images} for axis in (1, 2))
    assert min(heights | widths) >= 60
    assert max(heights | widths) <= 80
    assert len(heights) > 4
    assert len(widths) > 4


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_scenes_have_the_requested_channels(channels: int) -> None:
    images, _ = load_data("scenes", batches=1, image_size=32, in_chans=channels)[0]
    assert {image.shape for image in images} == {(channels, 32, 32)}


def test_batches_state_their_task_and_identity() -> None:
    data = load_data("scenes", batches=2, batch_size=4, image_size=32)
    assert (data.task, data.num_classes, data.class_names) == ("detection", 10, tuple("0123456789"))
    assert {"name": "scenes", "samples": 8, "total": 716, "classes": 10}.items() <= data.identity.items()
    assert load_data("digits", batches=1).task == "classification"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("scenes", {"image_size": 31}, "image_size is 31; it must be at least 32 for scenes"),
        ("scenes", {"batches": 30}, "scenes has 716 samples, but 30 batches of 32 need 960"),
        ("scenes:sizes=any", {}, "sizes of scenes are 'any'; they may be equal or mixed"),
        ("scenes:size=mixed", {}, "did you mean sizes"),
        ("scenes:mixed", {}, "'mixed' in 'scenes:mixed' is not understood; write scenes:sizes=mixed"),
        ("scenes:sizes=mixed,sizes=equal", {}, "is not understood"),
        ("scene", {}, "did you mean scenes"),
        ("scene:sizes=mixed", {}, "did you mean scenes"),
        ("digits:sizes=mixed", {}, "digits has none; write digits"),
    ],
)
def test_bad_input_is_one_line_before_and_during_loading(name: str, options: dict, message: str) -> None:
    request = Request(**{"batch_size": 32, "batches": 4, "start": 0, "image_size": 64, "in_chans": 3, "seed": 0,
                         **options, "data": name})  # fmt: skip
    for attempt in (lambda: load_data(name, **options), lambda: check_samples(name, [request])):
        with pytest.raises(GradlensError, match=message) as caught:
            attempt()
        assert "\n" not in str(caught.value)
