"""The number of samples of a batch, and its first samples, whatever the containers: several hundred structures."""

from __future__ import annotations

from collections import OrderedDict, UserDict, namedtuple
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

import gradlens as gl
from gradlens.errors import GradlensError
from gradlens.hooks.cutting import first_samples
from gradlens.hooks.nesting import items_of, tensors_of
from gradlens.hooks.samples import batch_size

Pair = namedtuple("Pair", ["inputs", "targets"])
KEPT = 2
INPUTS = ("tensor", "images", "samples", "numbered")
KINDS = (*INPUTS, "targets", "levels")


@dataclass
class Sample:
    image: Tensor
    boxes: Tensor


@dataclass
class Batch:
    inputs: Any
    targets: Any
    name: str = "batch"


def image(number: int, channels: int, height: int, width: int) -> Tensor:
    """Return an image that says which sample it is of."""
    return torch.full((channels, height, width), float(number))


def target(number: int, boxes: int) -> dict[str, Tensor]:
    return {"boxes": torch.full((boxes, 4), float(number)), "labels": torch.full((boxes,), number)}


@st.composite
def members(draw: st.DrawFn, n: int, kinds: tuple[str, ...] = KINDS) -> Any:
    """A member of a batch of n samples; each of its numbers is that of its sample."""
    kind = draw(st.sampled_from(kinds))
    sequence = draw(st.sampled_from([list, tuple]))
    if kind == "tensor":
        shape = draw(st.lists(st.integers(10, 13), max_size=3))
        return torch.arange(float(n)).reshape(n, *[1] * len(shape)).expand(n, *shape).clone()
    channels, sides = draw(st.sampled_from([1, 3])), st.integers(10, 13)
    if kind == "images":
        return sequence(image(i, channels, draw(sides), draw(sides)) for i in range(n))
    if kind == "targets":
        return sequence(target(i, draw(st.integers(0, 9))) for i in range(n))
    if kind == "samples":
        return sequence(
            Sample(image(i, channels, 10, draw(sides)), torch.full((draw(st.integers(0, 9)), 4), float(i)))
            for i in range(n)
        )
    if kind == "levels":
        return sequence(torch.arange(float(n)).repeat_interleave(11).reshape(n, 11) for _ in range(2))
    numbers = torch.tensor(sorted(draw(st.lists(st.integers(0, n - 1), min_size=n + 5, max_size=n + 9))))
    rows = numbers[:, None].float().expand(-1, 4).clone()
    images = torch.arange(float(n)).reshape(n, 1, 1, 1).expand(n, 3, 10, 11).clone()
    return {"img": images, "bboxes": rows, "cls": rows[:, :1].clone(), "batch_idx": numbers}


@st.composite
def batches(draw: st.DrawFn) -> tuple[Any, int]:
    n = draw(st.integers(4, 9))
    parts = [draw(members(n, INPUTS)), *draw(st.lists(members(n), max_size=2))]
    wraps = {
        "tuple": tuple,
        "list": list,
        "dict": lambda items: {f"part {i}": item for i, item in enumerate(items)},
        "user dict": lambda items: UserDict({f"part {i}": item for i, item in enumerate(items)}),
        "ordered": lambda items: OrderedDict((f"part {i}", item) for i, item in enumerate(items)),
        "dataclass": lambda items: Batch(items[0], items[1:]),
        "named tuple": lambda items: Pair(items[0], tuple(items[1:])),
        "alone": lambda items: items[0],
    }
    return wraps[draw(st.sampled_from(sorted(wraps)))](parts), n


@given(batches())
def test_the_samples_are_counted_and_cut_by_the_structure_of_the_batch(drawn: tuple[Any, int]) -> None:
    batch, n = drawn
    tensors = tensors_of(batch)
    assert batch_size(batch) == n
    few = first_samples(batch, KEPT, n)
    assert type(few) is type(batch)
    values = torch.cat([tensor.flatten().float() for tensor in tensors_of(few)])
    assert set(values.tolist()) <= set(range(KEPT))
    everything = torch.cat([tensor.flatten().float() for tensor in tensors])
    assert len(values) == int((everything < KEPT).sum())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("n", [4, 5, 8])
def test_a_list_of_images_alone_has_as_many_samples_as_images(channels: int, n: int) -> None:
    images = [image(i, channels, 9, 9) for i in range(n)]
    for batch in (images, tuple(images), [images], {"images": images}, (images, torch.arange(n))):
        assert batch_size(batch) == n


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("boxes", [0, 1, 3, 4])
def test_two_images_are_too_few_and_are_not_taken_for_their_channels(n: int, boxes: int) -> None:
    net = nn.Conv2d(3, 4, 3)
    images, targets = [image(i, 3, 9, 9) for i in range(n)], [target(i, boxes) for i in range(n)]
    for batch in (images, (images, targets)):
        with pytest.raises(GradlensError, match=f"batch 0 has {n} samples.* at least 4"):
            gl.capture(net, [batch], step=lambda model, parts: model(torch.stack(parts[0])).mean())


@pytest.mark.parametrize("boxes", [4, 8, 3])
def test_as_many_boxes_as_images_are_boxes(boxes: int) -> None:
    """Each image of 8 has 8 boxes, so that every tensor of a target has 8 rows."""
    batch = [image(i, 3, 9, 9) for i in range(8)], [target(i, boxes) for i in range(8)]
    assert batch_size(batch) == 8
    few: Any = first_samples(batch, 4, 8)
    assert [len(part) for part in few] == [4, 4]
    assert [len(item["boxes"]) for item in few[1]] == [boxes] * 4


@pytest.mark.parametrize("boxes", [8, 3, 20])
def test_boxes_that_are_numbered_by_image_are_cut_by_number(boxes: int) -> None:
    numbers = torch.arange(boxes) % 8
    batch = {
        "img": torch.rand(8, 3, 16, 16),
        "im_file": [f"{i}.png" for i in range(8)],
        "cls": torch.rand(boxes, 1),
        "bboxes": torch.rand(boxes, 4),
        "keypoints": torch.rand(boxes, 17, 3),
        "masks": torch.rand(8, 4, 4),
        "batch_idx": numbers.float(),
    }
    assert batch_size(batch) == 8
    few: Any = first_samples(batch, 3, 8)
    assert [len(few[name]) for name in ("img", "masks")] == [3, 3]
    for name in ("cls", "bboxes", "keypoints", "batch_idx"):
        torch.testing.assert_close(few[name], batch[name][numbers < 3])


def test_lists_of_samples_that_disagree_are_named() -> None:
    images, targets = [image(i, 3, 9, 9) for i in range(8)], [target(i, 2) for i in range(7)]
    with pytest.raises(GradlensError, match=r"lists of samples in a batch have 7 and 8 items"):
        batch_size((images, targets))


def test_several_lists_of_images_are_several_inputs() -> None:
    views = [[image(i, 3, 9, 9) for i in range(8)] for _ in range(2)]
    for batch in (views, tuple(views), (*views, torch.arange(8))):
        assert batch_size(batch) == 8
        few: Any = first_samples(batch, 4, 8)
        assert [len(items_of(part) or part) for part in few] == [4] * len(batch)


def test_five_views_or_five_samples_is_a_question() -> None:
    bands = [torch.rand(4, 9, 9) for _ in range(6)]
    with pytest.raises(GradlensError, match=r"could be 4 or 6.*samples=N"):
        batch_size({"images": bands})


@pytest.mark.parametrize("seed", range(8))
def test_sums_of_one_sample_alone_are_compared_by_their_size(seed: int) -> None:
    """The one projection of all rows is near 0 if half of the signs are negative: no measure of a rounding error."""

    def step(model: nn.Module, batch: Any) -> Tensor:
        scores = model(batch[0]) * 1e-4 + 0.3
        chosen = [part[:4] for part in scores]
        return torch.stack([(c.sigmoid() + c.exp()).mean() for c in chosen]).mean()

    torch.manual_seed(seed)
    batch = (torch.randn(8, 5, 6),)
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))
    recording = gl.capture(net, [batch], step=step, seed=seed, costs=False)
    frame = gl.analyze(recording)["exactness"].frame
    assert len(frame)
    assert frame["projected_error"].max() < 1e-6


class Pooled(nn.Module):
    """Takes a list of images of any size."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Conv2d(3, 4, 3, 2), nn.Conv2d(4, 4, 3), nn.Linear(4, 3)

    def forward(self, images: Any) -> Tensor:
        return self.last(
            torch.stack([self.second(self.first(i[None]).relu()).mean((0, 2, 3)) for i in images])
        )


@pytest.mark.parametrize("sizes", [[(9, 9)], [(9, 11), (12, 8), (10, 10)]], ids=["one size", "several sizes"])
def test_images_one_after_another_run_in_the_dry_pass(sizes: list[tuple[int, int]]) -> None:
    torch.manual_seed(0)
    images = [torch.rand(3, *sizes[i % len(sizes)]) for i in range(8)]
    batch = images, torch.arange(8) % 3
    recording = gl.capture(Pooled(), [batch], loss=functional.cross_entropy)
    assert recording.meta["dry_samples"] > 1
    assert recording.n == 8
