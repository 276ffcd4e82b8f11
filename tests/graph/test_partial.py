"""One partial split, four spellings: split, chunk, slices, two 1x1 convolutions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from torch import Tensor, nn

import gradlens as gl
from gradlens.analyzers import ANALYZERS
from gradlens.catalogue import Need, about
from gradlens.graph.axes import cut_axes
from gradlens.graph.branches import Branches, PartialSplit
from gradlens.graph.plan import Group

CUTS = {
    "split": lambda h: h.split(h.shape[1] // 2, dim=1),
    "split sizes": lambda h: h.split([h.shape[1] // 2, h.shape[1] // 2], dim=1),
    "chunk": lambda h: h.chunk(2, dim=1),
    "slice": lambda h: (h[:, : h.shape[1] // 2], h[:, h.shape[1] // 2 :]),
}
WIDTH = 8


def layer(inside: int, out: int, kernel: int, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(inside, out, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out), nn.ReLU())


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.reduce, self.look = layer(width, width // 2, 1), layer(width // 2, width, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.look(self.reduce(x)))


class Stage(nn.Module):
    """conv, norm, activation, cut, blocks on one part, concatenation, 1x1."""

    def __init__(self, form: str, enters: int) -> None:
        super().__init__()
        self.form, self.enters = form, enters
        if form == "project":
            self.part0, self.part1 = layer(6, WIDTH, 1), layer(6, WIDTH, 1)
        else:
            self.expand = layer(6, 2 * WIDTH, 1)
        self.blocks = nn.Sequential(Block(WIDTH), Block(WIDTH))
        self.close = layer(2 * WIDTH, WIDTH, 1)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.cut(x)
        bypass, dense = parts[1 - self.enters], parts[self.enters]
        return self.close(torch.cat([bypass, self.blocks(dense)], 1))

    def cut(self, x: Tensor) -> Any:
        if self.form == "project":
            return self.part0(x), self.part1(x)
        return CUTS[self.form](self.expand(x))


class Net(nn.Module):
    def __init__(self, form: str, enters: int = 1) -> None:
        super().__init__()
        self.stem = layer(3, 6, 3, 2)
        self.stage = Stage(form, enters)
        self.down = layer(WIDTH, 12, 3, 2)
        self.head = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.down(self.stage(self.stem(x))).mean((2, 3)))


def load_weights(model: Net, source: Net) -> Net:
    """Load ``source``'s weights; its expansion is cut in two if the model has two projections."""
    table = source.state_dict()
    if model.stage.form == "project":
        for name in [name for name in table if name.startswith("stage.expand.")]:
            value = table.pop(name)
            halves = value.chunk(2) if value.dim() else (value, value)
            for part, half in enumerate(halves):
                table[name.replace("expand", f"part{part}")] = half
    model.load_state_dict(table)
    return model


def batches(count: int = 2) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(3)
    return [(torch.randn(8, 3, 16, 16, generator=generator), torch.arange(8) % 5) for _ in range(count)]


def networks(enters: int, *forms: str) -> list[Net]:
    torch.manual_seed(0)
    reference = Net("split", enters)
    return [load_weights(Net(form, enters), reference) for form in forms]


def record(model: nn.Module, **options: Any) -> gl.Recording:
    return gl.capture(model, batches(), meta={"network": "net"}, **options)


def split_group(recording: gl.Recording) -> Group:
    (group,) = [group for group in recording.plan.groups if group.where == "split"]
    return group


@pytest.mark.parametrize("enters", [0, 1])
@pytest.mark.parametrize("form", [*CUTS, "project"])
def test_every_spelling_is_one_partial_split_labelled_by_work_not_by_position(form: str, enters: int) -> None:
    (model,) = networks(enters, form)
    group = split_group(record(model, costs=False))
    assert group.kind == "parallel"
    assert group.form == {"project": "project", "slice": "slice"}.get(form, "split")
    assert group.stage == "2"
    assert group.site == "stage:partial split"
    assert group.channels == (() if form == "project" else ((0, 8, 1), (8, 16, 1)))
    assert sorted(group.labels) == ["bypass", "dense"]
    if form != "project":  # its parts have no channels in common order
        assert group.labels[enters] == "dense"


@pytest.mark.parametrize("enters", [0, 1])
def test_the_projection_that_enters_the_blocks_is_the_dense_part(enters: int) -> None:
    (model,) = networks(enters, "project")
    recording = record(model, costs=False)
    group = split_group(recording)
    (number,) = group.members[group.labels.index("dense")]
    assert recording.plan.probes[number].module == f"stage.part{enters}.2"
    (number,) = group.members[group.labels.index("bypass")]
    assert recording.plan.probes[number].module == f"stage.part{1 - enters}.2"


@pytest.mark.parametrize("enters", [0, 1])
@pytest.mark.parametrize("form", ["split sizes", "chunk", "slice"])
@pytest.mark.parametrize("space", ["activations", "weights"])
def test_split_chunk_and_slices_give_equal_tables(form: str, space: str, enters: int) -> None:
    first, second = (record(model, space=space) for model in networks(enters, "split", form))
    compared = 0
    for name, analyzer in ANALYZERS.items():
        if name == "throughput" or name.startswith("map_"):  # the map draws the operations as written
            continue
        tables = analyzer(first), analyzer(second)
        assert (tables[0] is None) == (tables[1] is None), name
        if tables[0] is None or tables[1] is None:
            assert {Need.WEIGHTS, Need.STEPS, Need.LOSSES}.intersection(about(name).needs)
            continue
        pd.testing.assert_frame_equal(
            tables[0].frame, tables[1].frame, rtol=1e-5, atol=1e-5, obj=f"table {name}"
        )
        compared += 1
    assert compared >= 13


def test_two_projections_of_the_same_weights_give_the_grams_of_the_split() -> None:
    cut, projected = (
        gl.capture(model.double(), [(x.double(), y) for x, y in batches()], costs=False)
        for model in networks(1, "split", "project")
    )
    first, second = split_group(cut), split_group(projected)
    # the projection's part ends at the cut: after normalisation and activation
    grams = dict(zip(second.labels, projected.member_grams(second), strict=True))
    expected = dict(zip(first.labels, cut.member_grams(first), strict=True))
    for label in ("bypass", "dense"):
        np.testing.assert_allclose(grams[label], expected[label], rtol=1e-9, err_msg=label)


@pytest.mark.parametrize("form", [*CUTS, "project"])
def test_parts_of_a_split_have_no_cosine(form: str) -> None:
    (model,) = networks(1, form)
    frame = ANALYZERS["branches"](record(model, costs=False)).frame
    rows = frame[(frame["where"] == "split") | (frame["where"] == "merge")]
    assert set(rows["where"]) == {"split", "merge"}
    assert rows["cosine"].isna().all()
    assert np.isfinite(rows["energy"]).all()


def test_parts_are_the_halves_of_the_gradient_of_the_tensor_that_is_cut() -> None:
    (model,) = networks(1, "split")
    model.double()
    images, targets = batches(1)[0]
    recording = gl.capture(model, [(images.double(), targets)], costs=False)
    kept: list[Tensor] = []
    model.stage.expand.register_forward_hook(lambda module, args, output: kept.append(output))
    loss = nn.functional.cross_entropy(model(images.double()), targets, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, kept)
    halves = [half.reshape(8, -1) for half in gradient.chunk(2, 1)]
    expected = np.stack([(half @ half.T).numpy() for half in halves])
    np.testing.assert_allclose(recording.member_grams(split_group(recording))[:, 0], expected, rtol=1e-9)


def splits_of(read: Any, model: nn.Module, inputs: Tensor | None = None) -> tuple[PartialSplit, ...]:
    return Branches(read(model, torch.ones(4, 3, 8, 8) if inputs is None else inputs)[0]).splits


class Program(nn.Module):
    def __init__(self, program: Any) -> None:
        super().__init__()
        self.conv, self.a, self.b = nn.Conv2d(3, 8, 1), nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
        self.program = program

    def forward(self, x: Tensor) -> Tensor:
        return self.program(self, self.conv(x))


def test_three_slices_are_three_parts(read: Any) -> None:
    (split,) = splits_of(
        read, Program(lambda self, h: torch.cat([h[:, :2].tanh(), h[:, 2:4].exp(), self.b(h[:, 4:])], 1))
    )
    assert [part.channels for part in split.parts] == [(0, 2, 1), (2, 4, 1), (4, 8, 1)]


def test_every_other_channel_is_a_part_too(read: Any) -> None:
    (split,) = splits_of(read, Program(lambda self, h: torch.cat([h[:, ::2].tanh(), self.a(h[:, 1::2])], 1)))
    assert [part.channels for part in split.parts] == [(0, 8, 2), (1, 8, 2)]


def test_overlapping_slices_are_no_partial_split(read: Any) -> None:
    assert splits_of(read, Program(lambda self, h: torch.cat([h[:, :4].tanh(), self.a(h[:, 2:6])], 1))) == ()


def test_slices_of_rows_of_an_image_are_no_partial_split(read: Any) -> None:
    assert (
        splits_of(read, Program(lambda self, h: torch.cat([h[:, :, :4].tanh(), h[:, :, 4:].exp()], 2))) == ()
    )
    assert splits_of(read, Program(lambda self, h: torch.cat([p.tanh() for p in h.chunk(2, 2)], 2))) == ()


def test_a_residual_block_with_two_1x1_convolutions_is_no_partial_split(read: Any) -> None:
    class Bottleneck(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.short, self.reduce = nn.Conv2d(3, 8, 1), nn.Conv2d(3, 4, 1)
            self.look = nn.Conv2d(4, 8, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            x = x * self.reduce.bias.sum()
            return self.short(x) + self.look(torch.relu(self.reduce(x)))

    assert splits_of(read, Bottleneck()) == ()


def test_the_projections_of_attention_are_no_partial_split_by_convolution(read: Any) -> None:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.q, self.k = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            x = self.stem(x)
            return self.q(x).flatten(2) @ self.k(x).flatten(2).transpose(1, 2)

    assert splits_of(read, Attention()) == ()


def test_channels_of_tokens_are_on_the_last_axis(read: Any) -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3, 8)

        def forward(self, x: Tensor) -> Tensor:
            a, b = self.fc(x).chunk(2, dim=-1)
            return a * b.tanh()

    (split,) = splits_of(read, Gated(), torch.ones(4, 5, 3))
    assert split.axis == 2
    assert split.kind == "gate"


def test_a_permuted_images_channels_are_followed(read: Any) -> None:
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 1)

        def forward(self, x: Tensor) -> Tensor:
            a, b = self.conv(x).permute(0, 2, 3, 1).chunk(2, dim=3)
            return torch.cat([a.tanh(), b.exp()], 3)

    graph, _ = read(Last(), torch.ones(4, 3, 6, 6))
    (split,) = Branches(graph).splits
    assert split.axis == 3
    assert cut_axes(graph, split.source) == [3]


def test_two_splits_in_one_module_have_two_names() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.look, self.mix = nn.Conv2d(3, 8, 1), nn.Conv2d(4, 4, 3, 1, 1), nn.Conv2d(8, 8, 1)
            self.head = nn.Linear(8, 5)

        def forward(self, x: Tensor) -> Tensor:
            x = self.stem(x)
            for _ in range(2):
                first, second = x.chunk(2, 1)
                x = self.mix(torch.cat([first, self.look(second)], 1))
            return self.head(x.mean((2, 3)))

    plan = gl.capture(Twice(), batches(1), costs=False).plan
    sites = [group.site for group in plan.groups if group.where == "split"]
    assert len(sites) == 2
    assert len(set(sites)) == 2


def test_the_four_stages_of_timms_cspresnet50_are_bypass_and_dense() -> None:
    model = timm.create_model("cspresnet50", num_classes=5)
    images = torch.randn(6, 3, 64, 64)
    recording = gl.capture(model, [(images, torch.arange(6) % 5)], sites="forks", costs=False)
    groups = [group for group in recording.plan.groups if group.where == "split"]
    assert [group.site.partition(":")[0] for group in groups] == [f"stages.{i}" for i in range(4)]
    assert [group.stage for group in groups] == ["4", "8", "16", "32"]
    assert [group.labels for group in groups] == [("bypass", "dense")] * 4
    assert [group.form for group in groups] == ["split"] * 4


def test_timms_cs3_stages_whose_first_half_enters_the_blocks_are_labelled_by_work() -> None:
    model = timm.create_model("cs3darknet_s", num_classes=5)
    images = torch.randn(6, 3, 64, 64)
    recording = gl.capture(model, [(images, torch.arange(6) % 5)], sites="forks", costs=False)
    groups = [group for group in recording.plan.groups if group.where == "split"]
    assert len(groups) == 4
    assert [group.labels for group in groups] == [("dense", "bypass")] * 4
