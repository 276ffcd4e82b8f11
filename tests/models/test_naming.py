"""model_names: names of timm and torchvision, by wildcard or by part."""

from __future__ import annotations

from gradlens.models import model_names


def test_all_libraries_are_listed() -> None:
    names = model_names()
    assert {"resnet50", "cspresnet50", "torchvision:resnet50"} <= set(names)
    assert {"torchvision:fasterrcnn_resnet50_fpn", "torchvision:fcos_resnet50_fpn"} <= set(names)
    assert not any(name.startswith("fcos:") for name in names)
    assert "fcos:cspresnet50" in model_names("fcos:csp*")


def test_a_wildcard_pattern_matches_the_whole_name() -> None:
    assert model_names("cspresnet5?") == ["cspresnet50"]
    assert all(name.startswith("csp") for name in model_names("csp*"))


def test_a_plain_pattern_matches_anywhere() -> None:
    names = model_names("resnet50")
    assert {"resnet50", "cspresnet50", "cspresnet50d", "torchvision:resnet50"} <= set(names)
    assert all("resnet50" in name for name in names)
    assert all(name.startswith("torchvision:") for name in model_names("torchvision:"))


def test_a_pattern_that_matches_nothing_gives_an_empty_list() -> None:
    assert model_names("no_such_thing") == []
