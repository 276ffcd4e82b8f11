"""Fixtures shared by several folders: a fixed seed, graphs of modules, recordings built by hand."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from oracles import per_sample
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from torch import Tensor, nn

from gradlens.graph.nodes import Graph, Node
from gradlens.graph.owners import OUTSIDE, Owner
from gradlens.graph.plan import Group, Plan
from gradlens.graph.probes import TensorProbe
from gradlens.graph.stage_order import LOSS
from gradlens.hooks.calls import module_calls
from gradlens.hooks.walking import walk
from gradlens.recording import Recording
from gradlens.recording.costs import Costs

Read = Callable[..., tuple[Graph, list[Owner]]]


GARBAGE = 20_000
"""New objects after which young garbage is collected; with Python's 700, a twentieth of the time is spent on that."""

LONGEST = ("test_docs_run", "test_validation", "test_notebooks")
"""Modules whose tests run first, so that two processes end at about the same time."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With ``-m extra``, import only the modules that name the marker: all others take longer than its tests."""
    if config.option.markexpr != "extra" or collection_path.suffix != ".py":
        return None
    return "mark.extra" not in collection_path.read_text("utf-8") or None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not any(name in item.nodeid for name in LONGEST))  # a stable order


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Import the libraries and tests without garbage collections, which find nothing: a quarter of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_finish() -> None:
    """Keep the modules and tests out of later garbage collections, each of which would visit all of them."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE)


@pytest.fixture(autouse=True)
def seed() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.fixture
def read() -> Read:
    """Function that returns the graph and owners of a forward pass; the output is summed or passed to ``loss``."""

    def reader(
        model: nn.Module, inputs: Tensor, loss: Callable[[Any], Tensor] | None = None
    ) -> tuple[Graph, list[Owner]]:
        with module_calls(model) as calls:
            output = model(inputs)
            total = output.sum() if loss is None else loss(output)
        assert total.grad_fn is not None
        _, graph = walk(
            [total.grad_fn], {id(parameter): name for name, parameter in model.named_parameters()}
        )
        return graph, calls.owners(graph)

    return reader


@pytest.fixture(scope="session")
def oracle() -> ModuleType:
    """Slow per-sample reference: one sample at a time."""
    return per_sample


class RecordingBuilder:
    """Builder of a recording; ``replicates`` are (seed, batch) pairs, ``meta`` is the provenance."""

    def __init__(self, replicates=((0, 0),), **meta):
        self.replicates, self.meta = tuple(replicates), {"network": "net", "mode": "train", **meta}
        self.probes, self.grams, self.signals, self.groups = [], [], [], []
        self.nodes, self.owners, self.stages = [Node("NllLoss", 10_000, ((),))], [OUTSIDE], [LOSS]
        self.loss = None
        self.extra = {"labels": None, "costs": None, "throughput": {}}
        self.inner, self.dry, self.projected = {}, {}, {}

    def gradient(self, features, module="conv", stage="4", depth=1, signal=True, sampled=True):
        """Add a probe of a gradient ``[s, n, ...]`` and return its number."""
        features = np.asarray(features, dtype=float)
        flat = features.reshape(*features.shape[:2], -1)
        index = len(self.nodes)
        self.nodes.append(Node("Convolution", index, (features.shape[1:],), weighted=signal))
        self.owners.append(Owner(module, 0))
        self.stages.append(stage)
        probe = TensorProbe(
            node=index,
            output=0,
            name=f"{module}:conv",
            module=module,
            stage=stage,
            depth=depth,
            order=index,
            shape=features.shape[1:],
            outer=1 if sampled else None,
        )
        self.probes.append(probe)
        self.grams.append(
            flat @ flat.transpose(0, 2, 1) if sampled else np.full((*flat.shape[:2], flat.shape[1]), np.nan)
        )
        number = len(self.probes) - 1
        if signal:
            self.signals.append(number)
        return number

    def group(
        self, members, total=None, where="fork", kind="residual", labels=None, stage="4", site="block:add"
    ):
        """Add a group of branches; a member is one probe number or several that are concatenated."""
        members = tuple(m if isinstance(m, tuple) else (m,) for m in members)
        self.groups.append(
            Group(
                where=where,
                kind=kind,
                form="split" if where == "split" else "",
                site=site,
                stage=stage,
                labels=labels or tuple(f"branch{i}" for i in range(len(members))),
                members=members,
                total=total,
                channels=(),
                axis=1,
                weighted=tuple(range(len(members))),
                merge="cat",
                source=(1, 0),
            )
        )
        return len(self.groups) - 1

    def recording(self):
        return Recording(
            plan=Plan(
                probes=tuple(self.probes),
                signals=tuple(self.signals),
                groups=tuple(self.groups),
                loss=self.loss,
                graph=Graph(tuple(self.nodes), ()),
                owners=tuple(self.owners),
                stages=tuple(self.stages),
            ),
            grams=np.stack(self.grams),
            inner=self.inner,
            projected_errors=self.projected,
            dry_errors=self.dry,
            replicates=self.replicates,
            meta=self.meta,
            **self.extra,
        )


def _older_probe(probe, form):
    """Return a probe as formats 1 and 2 wrote it: one type with flags."""
    probe, kind = dict(probe), probe["kind"]
    del probe["kind"]
    probe["position"] = probe.pop("slot") if kind == "edge" else probe.pop("output", 0)
    older = {"inputs": (), "uses": (), **probe, "accumulated": kind != "edge", "weight": kind == "weight"}
    if form == 1:
        del older["uses"]
    return older


@pytest.fixture
def save_older(tmp_path):
    """Function that saves a recording in an older format and returns the path."""

    def save(recording, form):
        path = recording.save(tmp_path / "new.safetensors")
        with safe_open(str(path), framework="numpy") as file:
            document = json.loads(file.metadata()["gradlens"])
        plan = document["plan"]
        plan["probes"] = [_older_probe(probe, form) for probe in plan["probes"]]
        for group in plan["groups"]:
            del group["parts"]
        for node in plan["nodes"] if form == 1 else ():
            for name in ("parameter", "maker", "roots", "reads", "gain", "turned"):
                del node[name]
        metadata = {"gradlens": json.dumps({**document, "format": form})}
        old = tmp_path / f"format{form}.safetensors"
        save_file(load_file(str(path)), str(old), metadata=metadata)
        return old

    return save


@pytest.fixture
def hand():
    return RecordingBuilder


@pytest.fixture
def draw():
    """Factory of independent features ``[s, n, d]``, seeded by number."""

    def make(number, replicates=1, n=16, width=40):
        return np.random.default_rng(number).standard_normal((replicates, n, width))

    return make


@pytest.fixture
def costs():
    """Factory of costs by module, for a batch of ``samples``."""

    def make(samples=2, parameters=None, flops=None, **others):
        return Costs(samples, parameters=parameters or {}, flops=flops or {}, **others)

    return make


@pytest.fixture
def seeds():
    """Factory of the replicates of a number of seeds and batches."""
    return lambda seeds, batches=1: tuple((seed, batch) for seed in range(seeds) for batch in range(batches))
