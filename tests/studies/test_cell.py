"""A cell builds its network: fresh gains are live, loaded ones are never changed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gradlens.models import load_model
from gradlens.models.spec import NetworkSpec
from gradlens.studies.cell import Built, Subject, build_network, measure, samples_of
from gradlens.studies.options import study_of

OPTIONS = {"data": "random", "image_size": 32, "batch_size": 4, "batches": 1, "seeds": 1, "throughput": False}
GAINS = [f"layer{stage}.0.bn2.weight" for stage in (1, 2, 3, 4)]


def built(name: str, checkpoint: Path | None = None, **options: object) -> Built:
    study = study_of({**OPTIONS, **options})
    subject = Subject(NetworkSpec.parse(name), name, checkpoint)
    return build_network(study, subject, samples_of(study, 0), 0)


@pytest.mark.parametrize(("zero_init", "value"), [(False, 1.0), (True, 0.0)])
def test_gains_that_start_at_zero_are_named_and_live_unless_they_are_kept(
    zero_init: bool, value: float
) -> None:
    network = built("resnet10t", zero_init=zero_init)
    assert network.zero_gains == GAINS
    assert all(bool((network.model.get_parameter(name) == value).all()) for name in GAINS)
    other = load_model("resnet10t", num_classes=10, image_size=32, seed=0, zero_init=zero_init)
    assert all(torch.equal(a, b) for a, b in zip(other.parameters(), network.model.parameters(), strict=True))


def test_a_network_without_such_gains_has_none() -> None:
    assert built("torchvision:mobilenet_v3_small").zero_gains == []


@pytest.mark.parametrize("zero_init", [True, False])
def test_weights_from_a_file_are_not_changed(tmp_path: Path, zero_init: bool) -> None:
    source = load_model("resnet10t", num_classes=10, seed=3, zero_init=True)
    torch.save(source.state_dict(), tmp_path / "w.pt")
    network = built("resnet10t", tmp_path / "w.pt", zero_init=zero_init)
    assert network.zero_gains == []
    assert all(
        torch.equal(a, b) for a, b in zip(source.parameters(), network.model.parameters(), strict=True)
    )


def test_pretrained_weights_are_not_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    source = load_model("resnet10t", num_classes=10, seed=3, zero_init=True)
    monkeypatch.setattr("gradlens.models.timm_zoo.timm_model", lambda name, shape, pretrained: source)
    network = built("resnet10t", pretrained=True)
    assert network.zero_gains == []
    assert not any(network.model.get_parameter(name).any() for name in GAINS)


def test_the_recording_says_which_it_was() -> None:
    study = study_of(OPTIONS)
    network = built("resnet10t")
    subject = Subject(NetworkSpec.parse("resnet10t"), "resnet10t")
    recording = network.described(measure(study, network.model, subject, samples_of(study, 0), 0))
    assert recording.meta["zero_init"] is False
    assert recording.meta["zero_gains"] == GAINS
    assert "set to one" in repr(recording)
