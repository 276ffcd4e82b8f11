"""Checkpoints: all usual layouts load, other files are errors, and a mismatch changes no weight."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from gradlens.errors import GradlensError
from gradlens.models import load_checkpoint, load_model, zero_gains
from gradlens.models.checkpoint import head_classes


def net(seed: int, width: int = 3) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width))


def same(a: nn.Module, b: nn.Module) -> bool:
    others = b.state_dict()
    return all(torch.equal(value, others[key]) for key, value in a.state_dict().items())


def prefixed(state: dict[str, Tensor], prefix: str) -> OrderedDict[str, Tensor]:
    return OrderedDict((prefix + key, value) for key, value in state.items())


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        dict,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": state, "optimizer": {"lr": 0.1}},
        lambda state: {"model_state_dict": state},
        lambda state: {"model": {"state_dict": state}},
        lambda state: prefixed(state, "module."),
        lambda state: {"state_dict": prefixed(state, "module._orig_mod.")},
    ],
    ids=["plain", "dict", "state_dict", "model", "model_state_dict", "nested", "module", "compiled"],
)
def test_usual_layouts_of_a_torch_file_load(tmp_path: Path, wrap: Any) -> None:
    source, target = net(0), net(1)
    torch.save(wrap(source.state_dict()), tmp_path / "w.pt")
    load_checkpoint(target, tmp_path / "w.pt")
    assert same(source, target)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_safetensors_load(tmp_path: Path, prefix: str) -> None:
    source, target = net(0), net(1)
    save_file(dict(prefixed(source.state_dict(), prefix)), tmp_path / "w.safetensors")
    load_checkpoint(target, str(tmp_path / "w.safetensors"))
    assert same(source, target)


def test_old_files_without_batch_counters_load(tmp_path: Path) -> None:
    state = dict(net(0).state_dict())
    del state["1.num_batches_tracked"]
    torch.save(state, tmp_path / "w.pt")
    target = net(1)
    load_checkpoint(target, tmp_path / "w.pt")
    assert torch.equal(target[0].weight, state["0.weight"])  # type: ignore[arg-type]


@pytest.mark.parametrize("zero_init", [True, False])
@pytest.mark.parametrize("name", ["resnet18", "cspresnet50", "resnet18@csp"])
def test_gains_that_are_zero_in_a_checkpoint_stay_zero(tmp_path: Path, name: str, zero_init: bool) -> None:
    source = load_model(name, num_classes=3, seed=0, zero_init=True)
    assert zero_gains(source)
    torch.save(source.state_dict(), tmp_path / "w.pt")
    target = load_model(name, num_classes=3, seed=1, checkpoint=tmp_path / "w.pt", zero_init=zero_init)
    assert same(source, target)


def test_a_mismatch_is_listed_and_changes_no_weight(tmp_path: Path) -> None:
    state = dict(net(0, width=4).state_dict())
    del state["0.bias"]
    state["extra.weight"] = torch.ones(1)
    torch.save(state, tmp_path / "w.pt")
    target, before = net(1), net(1)
    with pytest.raises(GradlensError) as caught:
        load_checkpoint(target, tmp_path / "w.pt")
    assert "1 missing (0.bias)" in str(caught.value)
    assert "1 unexpected (extra.weight)" in str(caught.value)
    assert "5 of another shape (0.weight [4, 2] instead of [3, 2]" in str(caught.value)
    assert same(target, before)


def test_a_long_list_is_truncated_and_counted(tmp_path: Path) -> None:
    torch.save(net(0).state_dict(), tmp_path / "w.pt")
    with pytest.raises(GradlensError, match=r"\d\d missing \(([^,]+, ){5}\.\.\.\); 7 unexpected"):
        load_model("resnet18", checkpoint=tmp_path / "w.pt")


class Odd:
    """An object that no checkpoint should contain."""


def pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps({"a": Odd()}, protocol=2))


def truncated(path: Path) -> None:
    torch.save({"a": torch.ones(500)}, path)
    path.write_bytes(path.read_bytes()[:700])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.mkdir(), "is a folder"),
        (pickled, "executes no code from a file"),
        (lambda path: torch.save(net(0), path), "executes no code from a file"),
        (lambda path: path.write_bytes(b"hello world"), "is damaged"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (truncated, "is damaged"),
        (lambda path: torch.save({"epoch": 3}, path), "it holds: epoch"),
        (lambda path: torch.save([torch.ones(1)], path), "it holds: list"),
        (lambda path: torch.save({}, path), "it holds: nothing"),
    ],
)
def test_a_file_that_is_not_a_checkpoint_raises_a_one_line_error(
    tmp_path: Path, make: Any, message: str
) -> None:
    make(tmp_path / "w.pt")
    with pytest.raises(GradlensError) as caught:
        load_checkpoint(net(0), tmp_path / "w.pt")
    assert message in str(caught.value)
    assert "w.pt" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_pickle_is_not_executed(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "executed",)

    (tmp_path / "w.pt").write_bytes(pickle.dumps(Bomb(), protocol=2))
    with pytest.raises(GradlensError):
        load_checkpoint(net(0), tmp_path / "w.pt")
    assert not (tmp_path / "executed").exists()


def test_damaged_safetensors_raise_an_error(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"junk")
    with pytest.raises(GradlensError, match="is damaged"):
        load_checkpoint(net(0), tmp_path / "w.safetensors")


def test_pretrained_and_checkpoint_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(GradlensError, match="exclude"):
        load_model("resnet18", pretrained=True, checkpoint=tmp_path / "w.pt")


def test_the_error_for_a_short_damaged_file_contains_its_name(tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(b"junk")
    with pytest.raises(GradlensError, match=r"w\.pt is damaged"):
        load_checkpoint(net(0), tmp_path / "w.pt")


def test_the_classes_of_a_head_are_read_from_a_file_whose_other_weights_fit(tmp_path: Path) -> None:
    save_file(load_model("resnet18", num_classes=33).state_dict(), tmp_path / "w.safetensors")
    model = load_model("resnet18", num_classes=5)
    assert head_classes(model, tmp_path / "w.safetensors", 5) == 33
    assert head_classes(load_model("resnet18", num_classes=33), tmp_path / "w.safetensors", 33) is None
    assert head_classes(load_model("resnet34", num_classes=5), tmp_path / "w.safetensors", 5) == 33
    assert head_classes(load_model("resnet50", num_classes=5), tmp_path / "w.safetensors", 5) is None
