"""Published blocks, written from their figures in several spellings: bypass and dense ways, chains, gates.

C3 and BottleneckCSP (Scaled-YOLOv4, arXiv 2011.08036), C2f (YOLOv8), ELAN (arXiv 2207.02696), GELAN (arXiv 2402.13616),
one-shot aggregation (VoVNet, arXiv 1904.09730), Res2Net (arXiv 1904.01169), CSPNeXt (RTMDet, arXiv 2212.07784), the CSP
stage of PP-YOLOE (arXiv 2203.16250), and the groups of YOLOv4-tiny.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import gradlens as gl
from gradlens.graph.branches import Branches, Fork, PartialSplit

C = 16
H = C // 2
Ways = Callable[["Block", Tensor], Any]


def conv(inputs: int, outputs: int, kernel: int = 1, groups: int = 1) -> nn.Module:
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.SiLU())


class Bottleneck(nn.Module):
    def __init__(self, width: int = H, shortcut: bool = True) -> None:
        super().__init__()
        self.first, self.second, self.shortcut = conv(width, width, 3), conv(width, width, 3), shortcut

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(self.first(x))
        return x + y if self.shortcut else y


class Reparameterised(nn.Module):
    """3x3 + 1x1 + identity, each with its normalisation (RepVGG)."""

    def __init__(self, width: int = H) -> None:
        super().__init__()
        self.large = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width))
        self.small = nn.Sequential(nn.Conv2d(width, width, 1), nn.BatchNorm2d(width))
        self.same = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.large(x) + self.small(x) + self.same(x))


class WrittenOut(nn.Module):
    """A 1x1 convolution with an activation that is not one operation."""

    def __init__(self, act: Callable[[Tensor], Tensor], width: int = H) -> None:
        super().__init__()
        self.conv, self.norm, self.act = nn.Conv2d(C, width, 1), nn.BatchNorm2d(width), act

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.norm(self.conv(x)))


class ByPosition(nn.Module):
    """A linear layer over the channels of each position."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(C, H)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Block(nn.Module):
    """A stem, a block that ``ways`` writes with the modules ``parts``, and a head."""

    def __init__(self, ways: Ways, **parts: nn.Module) -> None:
        super().__init__()
        self.stem, self.parts, self.ways = nn.Conv2d(3, C, 3, padding=1), nn.ModuleDict(parts), ways
        self.head = nn.LazyConv2d(5, 1)
        with torch.no_grad():
            self(torch.zeros(2, 3, 8, 8))

    def __getitem__(self, name: str) -> Any:
        return self.parts[name]

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.ways(self, self.stem(x))).mean((2, 3))


X = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
CUTS: dict[str, Callable[[Tensor], Any]] = {
    "chunk": lambda x: x.chunk(2, 1),
    "split": lambda x: x.split([H, H], 1),
    "slices": lambda x: (x[:, :H], x[:, H:]),
    "narrow": lambda x: (x.narrow(1, 0, H), x.narrow(1, H, H)),
    "view and unbind": lambda x: x.view(len(x), 2, H, *x.shape[2:]).unbind(1),
    "tensor_split": lambda x: x.tensor_split(2, 1),
    "channels last": lambda x: tuple(p.permute(0, 3, 1, 2) for p in x.permute(0, 2, 3, 1).chunk(2, 3)),
}


def branches(read: Any, model: nn.Module, inputs: Tensor = X) -> Branches:
    return Branches(read(model, inputs)[0])


def only_split(read: Any, model: nn.Module) -> PartialSplit:
    (split,) = branches(read, model).splits
    return split


def exact(model: nn.Module, double: bool = True) -> gl.Recording:
    """Capture, which fails if a sum differs, and return the recording after a look at the sums of the dry pass."""
    model = model.double() if double else model
    recording = gl.capture(model, [(X.double() if double else X, torch.arange(4) % 5)], costs=False)
    assert not any(
        recording.dry_errors[i] for i, g in enumerate(recording.plan.groups) if g.total is not None
    )
    return recording


PROJECTIONS: dict[str, Callable[[], nn.Module]] = {
    "convolution alone": lambda: nn.Conv2d(C, H, 1, bias=False),
    "with norm and activation": lambda: conv(C, H),
    "swish written out": lambda: WrittenOut(lambda y: y * y.sigmoid()),
    "mish written out": lambda: WrittenOut(lambda y: y * functional.softplus(y).tanh()),
    "hard swish written out": lambda: WrittenOut(lambda y: y * functional.relu6(y + 3) / 6),
    "linear by position": ByPosition,
    "norm before": lambda: nn.Sequential(nn.BatchNorm2d(C), nn.ReLU(), nn.Conv2d(C, H, 1)),
}


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_c3_is_a_split_by_two_projections_whatever_follows_them(read: Any, projection: str) -> None:
    make = PROJECTIONS[projection]
    model = Block(
        lambda m, x: m["mix"](torch.cat([m["blocks"](m["one"](x)), m["two"](x)], 1)),
        one=make(), two=make(), blocks=nn.Sequential(Bottleneck(), Bottleneck()), mix=conv(C, C),
    )  # fmt: skip
    split = only_split(read, model)
    assert (split.form, split.kind) == ("project", "parallel")
    work = dict(zip(split.labels, split.work, strict=True))
    assert [work[label].weighted for label in ("bypass", "dense")] == [0, 4]
    last = {"swish written out": "Mul", "mish written out": "Mul", "hard swish written out": "Div"}
    graph, _ = read(model, X)
    ends = {graph.nodes[part.key.node].operation for part in split.parts}
    assert projection not in last or ends == {last[projection]}  # after the activation
    exact(model)


READERS: dict[str, tuple[Ways, tuple[str, ...]]] = {
    "shortcut around the block": (
        lambda m, x: x + m["mix"](torch.cat([m["two"](x), m["blocks"](m["one"](x))], 1)),
        ("skip", "residual, bypass", "residual, dense"),
    ),
    "neck": (
        lambda m, x: torch.cat(
            [m["mix"](torch.cat([m["two"](x), m["blocks"](m["one"](x))], 1)), m["neck"](x)], 1
        ),
        (),
    ),
    "a larger concatenation": (
        lambda m, x: torch.cat([m["mix"](torch.cat([m["two"](x), m["blocks"](m["one"](x))], 1)), x], 1),
        ("bypass", "dense, bypass", "dense, dense"),
    ),
}


@pytest.mark.parametrize("reader", READERS)
def test_another_reader_of_the_tensor_leaves_the_split_a_split(read: Any, reader: str) -> None:
    ways, labels = READERS[reader]
    model = Block(
        ways, one=conv(C, H), two=conv(C, H), blocks=Bottleneck(), mix=conv(C, C), neck=conv(C, C, 3)
    )
    found = branches(read, model)
    (split,) = found.splits
    assert sorted(split.labels) == ["bypass", "dense"]
    (fork,) = [fork for fork in found.forks if len(fork.edges) == 3]
    assert sorted(fork.labels) == sorted(labels or ("branch 1", "branch 2", "branch 3"))
    exact(model)


def test_two_blocks_that_read_one_tensor_are_two_splits(read: Any) -> None:
    model = Block(
        lambda m, x: (
            torch.cat([m["a"](x), m["c"](m["b"](x))], 1) + torch.cat([m["d"](x), m["f"](m["e"](x))], 1)
        ),
        a=conv(C, H), b=conv(C, H), c=conv(H, H, 3), d=conv(C, H), e=conv(C, H), f=conv(H, H, 3),
    )  # fmt: skip
    splits = branches(read, model).splits
    assert [sorted(split.labels) for split in splits] == [["bypass", "dense"]] * 2
    assert splits[0].merge != splits[1].merge


def test_the_branches_of_an_inception_block_are_no_partial_split(read: Any) -> None:
    model = Block(
        lambda m, x: torch.cat([m["a"](x), m["c"](m["b"](x)), m["d"](functional.max_pool2d(x, 3, 1, 1))], 1),
        a=conv(C, H), b=conv(C, H), c=conv(H, H, 3), d=conv(C, H),
    )  # fmt: skip
    assert branches(read, model).splits == ()


def test_two_branches_with_spatial_convolutions_have_no_bypass(read: Any) -> None:
    for first, second in ((1, 1), (1, 2)):
        ways = [nn.Sequential(*(conv(H, H, 3) for _ in range(count))) for count in (first, second)]
        model = Block(lambda m, x: torch.cat([m["a"](x[:, :H]), m["b"](x[:, H:])], 1), a=ways[0], b=ways[1])
        assert only_split(read, model).labels == ("part 1", "part 2")


def growing(m: Block, x: Tensor, cut: Callable[[Tensor], Any]) -> Tensor:
    """C2f: each bottleneck reads the last entry of a growing list, and all entries are concatenated."""
    entries = list(cut(m["expand"](x)))
    for name in ("b1", "b2"):
        entries.append(m[name](entries[-1]))
    return m["mix"](torch.cat(entries, 1))


def by_name(m: Block, x: Tensor, cut: Callable[[Tensor], Any]) -> Tensor:
    first, second = cut(m["expand"](x))
    third = m["b1"](second)
    return m["mix"](torch.cat([first, second, third, m["b2"](third)], 1))


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("writing", [growing, by_name])
def test_c2f_is_a_split_and_a_chain_of_forks_into_one_concatenation(
    read: Any, writing: Any, cut: str
) -> None:
    model = Block(
        lambda m, x: writing(m, x, CUTS[cut]), expand=conv(C, C), b1=Bottleneck(), b2=Bottleneck(), mix=conv(2 * C, C)
    )  # fmt: skip
    found = branches(read, model)
    (split,) = found.splits
    assert split.labels == ("bypass", "dense")
    assert [part.channels for part in split.parts] == [(0, H, 1), (H, C, 1)] or cut == "view and unbind"
    chain = [fork for fork in found.forks if fork.kind == "parallel"]
    assert [set(fork.labels) for fork in chain] == [{"bypass", "dense, skip", "dense, residual"}] * 2
    assert {fork.merge for fork in chain} == {split.merge}
    exact(model)


@pytest.mark.parametrize("shortcut", [True, False])
def test_the_ways_of_c2f_have_the_energies_of_plain_autograd(shortcut: bool) -> None:
    tables = []
    for cut in ("chunk", "slices", "view and unbind"):
        torch.manual_seed(0)
        model = Block(
            lambda m, x, cut=cut: growing(m, x, CUTS[cut]),
            expand=conv(C, C), b1=Bottleneck(H, shortcut), b2=Bottleneck(H, shortcut), mix=conv(2 * C, C),
        )  # fmt: skip
        recording = exact(model)
        (group,) = [group for group in recording.plan.groups if group.where == "split"]
        tables.append(recording.branch_energies(group).ravel())
    kept: list[Tensor] = []
    model["expand"].register_forward_hook(lambda module, args, output: kept.append(output))
    loss = functional.cross_entropy(model(X.double()), torch.arange(4) % 5, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, kept)
    halves = torch.stack([half.square().sum() for half in gradient.chunk(2, 1)])
    for table in tables:
        torch.testing.assert_close(torch.tensor(table / table.sum()), halves / halves.sum())


def elan(m: Block, one: Tensor, two: Tensor) -> Tensor:
    three = m["b1"](two)
    return m["mix"](torch.cat([m["b2"](three), three, two, one], 1))


ELANS: dict[str, Ways] = {
    "projections": lambda m, x: elan(m, m["one"](x), m["two"](x)),
    **{name: lambda m, x, cut=cut: elan(m, *cut(m["expand"](x))) for name, cut in CUTS.items()},
}


@pytest.mark.parametrize("spelling", ELANS)
def test_elan_has_a_bypass_and_a_chain_of_four_routes(read: Any, spelling: str) -> None:
    parts = {"expand": conv(C, C)} if spelling != "projections" else {"one": conv(C, H), "two": conv(C, H)}
    pair = [nn.Sequential(conv(H, H, 3), conv(H, H, 3)) for _ in range(2)]
    model = Block(ELANS[spelling], **parts, b1=pair[0], b2=pair[1], mix=conv(2 * C, C))
    found = branches(read, model)
    (split,) = found.splits
    work = dict(zip(split.labels, split.work, strict=True))
    assert [work[label].weighted for label in ("bypass", "dense")] == [0, 4]
    assert sorted(len(edges) for edges in split.merge_edges) == [1, 3]
    chain = [fork for fork in found.forks if fork.merge == split.merge and not cuts(fork, split)]
    assert [set(fork.labels) for fork in chain] == [{"bypass", "dense"}] * 2
    exact(model)


def cuts(fork: Fork, split: PartialSplit) -> bool:
    return fork.source == split.source


def test_gelan_shows_the_splits_inside_its_chain(read: Any) -> None:
    class RepNCSP(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.mix = (conv(H, 4) for _ in range(3))
            self.mix, self.blocks, self.last = conv(H, H), Reparameterised(4), conv(H, H, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.mix(torch.cat([self.blocks(self.one(x)), self.two(x)], 1)))

    model = Block(
        lambda m, x: growing(m, x, CUTS["chunk"]), expand=conv(C, C), b1=RepNCSP(), b2=RepNCSP(), mix=conv(2 * C, C)
    )  # fmt: skip
    found = branches(read, model)
    assert [split.form for split in found.splits] == ["split", "project", "project"]
    assert all(sorted(split.labels) == ["bypass", "dense"] for split in found.splits)
    chain = [fork for fork in found.forks if fork.merge == found.splits[0].merge]
    assert [set(fork.labels) for fork in chain] == [{"bypass", "dense, bypass", "dense, dense"}] * 2
    exact(model)


@pytest.mark.parametrize("identity", [False, True])
def test_one_shot_aggregation_is_a_chain_whose_links_all_enter_one_concatenation(
    read: Any, identity: bool
) -> None:
    def ways(m: Block, x: Tensor) -> Tensor:
        first = m["a"](x)
        second = m["b"](first)
        mixed = m["mix"](torch.cat([x, first, second, m["c"](second)], 1))
        return x + mixed if identity else mixed

    model = Block(ways, a=conv(C, H, 3), b=conv(H, H, 3), c=conv(H, H, 3), mix=conv(C + 3 * H, C))
    outer, *inner = branches(read, model).forks
    names = {"skip", "residual, bypass", "residual, dense"} if identity else {"bypass", "dense"}
    assert set(outer.labels) == names
    assert outer.kind == ("residual" if identity else "parallel")
    assert [set(fork.labels) for fork in inner] == [{"bypass", "dense"}] * 2
    exact(model)


def test_the_sum_of_a_reparameterised_convolution_is_named_by_its_readers() -> None:
    recording = exact(Block(lambda m, x: m["rep"](x), rep=Reparameterised(C)))
    (group,) = recording.plan.groups
    assert group.kind == "residual"
    assert set(group.labels) == {
        "to parts.rep.same:batch_norm", "to parts.rep.large.0:conv", "to parts.rep.small.0:conv"
    }  # fmt: skip


def test_a_large_kernel_of_single_channels_is_the_dense_way_of_cspnext(read: Any) -> None:
    class Depthwise(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.wide, self.point = conv(H, H, 3), conv(H, H, 5, groups=H), conv(H, H)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.point(self.wide(self.first(x)))

    def ways(m: Block, x: Tensor) -> Tensor:
        both = torch.cat([m["blocks"](m["one"](x)), m["two"](x)], 1)
        return m["mix"](both * m["attention"](both.mean((2, 3), keepdim=True)).sigmoid())

    model = Block(
        ways, one=conv(C, H), two=conv(C, H), blocks=Depthwise(), attention=nn.Conv2d(C, C, 1), mix=conv(C, C)
    )
    found = branches(read, model)
    assert [sorted(split.labels) for split in found.splits] == [["bypass", "dense"]]
    (gate,) = [fork for fork in found.forks if fork.kind == "gate"]
    assert set(gate.labels) == {"identity", "gate"}


def test_the_stage_of_pp_yoloe_is_a_split_before_its_attention(read: Any) -> None:
    def ways(m: Block, x: Tensor) -> Tensor:
        both = torch.cat([m["one"](x), m["blocks"](m["two"](x))], 1)
        gated = both * functional.hardsigmoid(m["attention"](both.mean((2, 3), keepdim=True)))
        return m["mix"](gated)

    model = Block(
        ways, one=conv(C, H), two=conv(C, H), attention=nn.Conv2d(C, C, 1), mix=conv(C, C),
        blocks=nn.Sequential(Reparameterised(), Reparameterised()),
    )  # fmt: skip
    assert sorted(only_split(read, model).labels) == ["bypass", "dense"]


def hierarchical(m: Block, x: Tensor) -> Tensor:
    """Res2Net: each part but the first adds the output before it."""
    first, *others = x.chunk(4, 1)
    outputs = [first]
    for index, part in enumerate(others):
        outputs.append(m[f"c{index}"](part + outputs[-1] if index else part))
    return torch.cat(outputs, 1)


def test_the_part_of_res2net_without_layers_is_its_bypass(read: Any) -> None:
    model = Block(hierarchical, c0=conv(4, 4, 3), c1=conv(4, 4, 3), c2=conv(4, 4, 3))
    split = only_split(read, model)
    assert split.labels == ("bypass", "dense 1", "dense 2", "dense 3")
    exact(model)


def test_a_split_inside_a_part_of_a_split(read: Any) -> None:
    def ways(m: Block, x: Tensor) -> Tensor:
        one, two = x.chunk(2, 1)
        three, four = two[:, :4], two[:, 4:]
        return torch.cat([one, m["outer"](torch.cat([three, m["inner"](four)], 1))], 1)

    model = Block(ways, outer=conv(H, H, 3), inner=conv(4, 4, 3))
    outer, inner = branches(read, model).splits
    assert (outer.labels, inner.labels) == (("bypass", "dense"), ("bypass", "dense"))
    assert inner.source == outer.parts[1].key
    exact(model)


@pytest.mark.parametrize("half", [lambda x: x.chunk(2, 1)[1], lambda x: x[:, H:], lambda x: x.split(H, 1)[1]])
def test_the_group_that_a_route_takes_is_the_dense_way_of_yolov4_tiny(read: Any, half: Any) -> None:
    def ways(m: Block, x: Tensor) -> Tensor:
        first = m["a"](half(x))
        return torch.cat([x, m["mix"](torch.cat([m["b"](first), first], 1))], 1)

    model = Block(ways, a=conv(H, H, 3), b=conv(H, H, 3), mix=conv(C, C))
    found = branches(read, model)
    assert found.splits == ()  # one part is read: the other branch has all channels
    assert [set(fork.labels) for fork in found.forks] == [{"bypass", "dense"}] * 2
    exact(model)


def test_a_part_that_nothing_reads_is_no_branch(read: Any) -> None:
    def ways(m: Block, x: Tensor) -> Tensor:
        one, _, three = x.split([4, 4, 8], 1)
        return torch.cat([one, m["a"](three)], 1)

    model = Block(ways, a=conv(H, H, 3))
    split = only_split(read, model)
    assert [part.channels for part in split.parts] == [(0, 4, 1), (8, 16, 1)]
    assert split.labels == ("bypass", "dense")
    exact(model)


def test_a_gated_linear_unit_is_a_gate_and_has_no_bypass(read: Any) -> None:
    def ways(m: Block, x: Tensor) -> Tensor:
        value, gate = x.chunk(2, 1)
        return value * gate.sigmoid()

    split = only_split(read, Block(ways))
    assert (split.kind, split.labels) == ("gate", ("part 1", "part 2"))


def test_attention_behind_a_split_is_a_dense_way_and_its_own_parts_are_not_added(read: Any) -> None:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv, self.position = nn.Conv2d(H, 3 * H, 1), nn.Conv2d(H, H, 3, padding=1, groups=H)

        def forward(self, x: Tensor) -> Tensor:
            q, k, v = self.qkv(x).flatten(2).split([H, H, H], 1)
            mixed = v @ (q.transpose(1, 2) @ k).softmax(-1).transpose(1, 2)
            return x + mixed.view_as(x) + self.position(v.reshape(x.shape))

    def ways(m: Block, x: Tensor) -> Tensor:
        first, second = x.chunk(2, 1)
        return m["mix"](torch.cat([first, m["attend"](second)], 1))

    model = Block(ways, attend=Attention(), mix=conv(C, C))
    outer, parts = branches(read, model).splits
    assert outer.labels == ("bypass", "dense")
    assert (parts.kind, len(parts.parts)) == ("other", 3)


def test_a_dense_way_without_spatial_convolutions_is_one_too(read: Any) -> None:
    """C3 with a transformer: the bypass has no layer behind its projection."""
    model = Block(
        lambda m, x: m["mix"](torch.cat([m["mlp"](m["one"](x)), m["two"](x)], 1)),
        one=conv(C, H), two=conv(C, H), mlp=nn.Sequential(conv(H, H), conv(H, H)), mix=conv(C, C),
    )  # fmt: skip
    split = only_split(read, model)
    work = dict(zip(split.labels, split.work, strict=True))
    assert [work[label].weighted for label in ("bypass", "dense")] == [0, 2]
