"""A training in several processes, run by ``torchrun``: writes what each process saw into a folder.

``torchrun --nproc-per-node 2 several_processes.py FOLDER KIND``; kinds are the functions of this file.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from unittest.mock import patch

import torch
import torch.distributed
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

import gradlens as gl
from gradlens.errors import GradlensError
from gradlens.hooks import live
from gradlens.watching.watching import Watching

N, STEPS = 6, 4


class Net(nn.Module):
    """Residual blocks in which nothing couples the samples."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.blocks = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1) for _ in range(3))
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = x + torch.tanh(block(x))
        return self.head(x.mean((2, 3)))


def batches(rank: int, steps: int = STEPS) -> list[tuple[Tensor, Tensor]]:
    """Return the part of each global batch that a process reads."""
    generator = torch.Generator().manual_seed(1)
    part = slice(rank * N, (rank + 1) * N)
    images = [torch.randn(2 * N, 3, 8, 8, generator=generator) for _ in range(steps)]
    return [(each[part], (torch.arange(2 * N) % 5)[part]) for each in images]


def train(model: nn.Module, data: list[tuple[Tensor, Tensor]], before: Callable[[int], object] = int) -> None:
    """Train a model; ``before`` is called with the number of each step."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for step, (images, targets) in enumerate(data):
        before(step)
        optimizer.zero_grad()
        functional.cross_entropy(model(images), targets).backward()
        optimizer.step()


def watch(model: nn.Module, folder: Path) -> Watching:
    """Watch every second step, with one log for all processes."""
    return gl.watch(model, every=2, to=gl.CsvLog(folder))


def usual(folder: Path, rank: int) -> dict[str, object]:
    """Train with and without a watch, resumed, and with problems in one process."""
    data = batches(rank)
    plain, watched = DistributedDataParallel(Net()), DistributedDataParallel(Net())
    train(plain, data)
    with watch(watched, folder / "usual") as watching:
        train(watched, data)
    same = all(map(torch.equal, plain.state_dict().values(), watched.state_dict().values()))
    seen: dict[str, object] = {"same": same, "rows": len(watching.rows), "problems": watching.problems}
    with watch(watched, folder / "resumed") as resumed:
        resumed.load_state_dict({**watching.state_dict(), "step": 2})
        train(watched, data[2:])
    seen["resumed"] = sorted({row.step for row in resumed.rows})
    seen["problems of others"] = {name: case(folder / name, rank).problems for name, case in PROBLEMS.items()}
    return seen


def uneven(folder: Path, rank: int) -> Watching:
    """Train with a batch that is smaller in one process."""
    (images, targets), *others = batches(rank)
    return quietly(folder, [(images[rank:], targets[rank:]), *others])


def broken(folder: Path, rank: int) -> Watching:
    """Train with one image that is not finite, in the third step of one process."""
    data = batches(rank, 3)
    data[2][0][1 if rank else slice(0)] = torch.nan
    return quietly(folder, data)


def refused(folder: Path, rank: int) -> Watching:
    """Train where one process finds no samples."""
    with patch.object(live, "batch_size", lambda inputs: 0) if rank else nullcontext():
        return quietly(folder, batches(rank, 1))


def quietly(folder: Path, data: list[tuple[Tensor, Tensor]]) -> Watching:
    """Train with a watch, without its warnings."""
    model = DistributedDataParallel(Net())
    with warnings.catch_warnings(record=True), watch(model, folder) as watching:
        train(model, data)
    return watching


PROBLEMS = {"uneven": uneven, "broken": broken, "refused": refused}


def sharded(folder: Path, rank: int) -> dict[str, object]:
    """Try to watch a model whose parameters are split among the processes."""
    from torch.distributed.fsdp import fully_shard

    model = Net()
    fully_shard(model)
    try:
        watch(model, folder / "sharded")
    except GradlensError as error:
        return {"error": str(error)}
    return {}


def dying(folder: Path, rank: int) -> dict[str, object]:
    """Let the second process end in the third step, which is measured."""
    model = DistributedDataParallel(Net())
    with watch(model, folder / "dying"):
        train(model, batches(rank), lambda step: os._exit(3) if rank and step == 2 else None)
    return {}


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo")
    place, number = Path(sys.argv[1]), torch.distributed.get_rank()
    found = {name: globals()[name](place, number) for name in sys.argv[2:]}
    torch.save(found, place / f"process_{number}.pt")
    torch.distributed.destroy_process_group()
