"""Optional libraries: what their names, licences and absence say."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from oracles.detection_batches import YAML

from gradlens.errors import GradlensError
from gradlens.models import load_model
from gradlens.models.checking import check_network
from gradlens.models.sources import ADAPTERS, yaml_names
from gradlens.models.spec import NetworkSpec


@pytest.fixture
def without_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the optional libraries, as if they were not installed."""
    find = importlib.util.find_spec

    def hidden(name: str, package: str | None = None) -> Any:
        return None if name in ("ultralytics", "libreyolo") else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", hidden)
    yaml_names._library_names.cache_clear()
    yield
    yaml_names._library_names.cache_clear()


@pytest.mark.usefixtures("without_extras")
@pytest.mark.parametrize(
    ("name", "library", "licence"),
    [
        ("ultralytics:yolov8n.yaml", "ultralytics", "AGPL-3.0"),
        ("ultralytics:yolov8n-cls.yaml", "ultralytics", "AGPL-3.0"),
        ("ultralytics:nothing", "ultralytics", "AGPL-3.0"),
        ("libreyolo:yolox-n", "libreyolo", "MIT"),
        ("ultralytics:yolov8n.yaml@csp", "ultralytics", "AGPL-3.0"),
    ],
)
def test_a_missing_library_names_its_licence_and_the_line_that_installs_it(
    name: str, library: str, licence: str
) -> None:
    for attempt in (lambda: load_model(name), lambda: check_network(NetworkSpec.parse(name))):
        with pytest.raises(GradlensError) as caught:
            attempt()
        message = str(caught.value)
        assert f"needs {library} ({licence})" in message
        assert f"python -m pip install {library}" in message
        assert "\n" not in message


@pytest.mark.usefixtures("without_extras")
def test_a_file_of_the_user_needs_the_library_too(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(YAML)
    with pytest.raises(GradlensError, match="pip install ultralytics"):
        load_model(f"ultralytics:{file}")


@pytest.mark.usefixtures("without_extras")
def test_without_the_libraries_their_adapters_say_how_to_install_them() -> None:
    texts = [adapter.described for adapter in ADAPTERS if adapter.packages]
    assert texts
    assert all("pip install" in text for text in texts)
    assert not any("pip install" in adapter.described for adapter in ADAPTERS if not adapter.packages)


def test_no_optional_library_is_a_dependency() -> None:
    text = Path(__file__).parents[3].joinpath("pyproject.toml").read_text(encoding="utf-8")
    dependencies, _, extras = text.partition("[project.optional-dependencies]")
    for adapter in ADAPTERS:
        for package in adapter.packages:
            assert package not in dependencies
            assert f"\n{package} = [" in extras


def test_the_last_layer_of_a_file_says_what_the_network_is_for(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(YAML)
    assert yaml_names.YamlFiles(("Detect",)).has(str(file))
    assert not yaml_names.YamlFiles(("Classify",)).has(str(file))
    file.write_text(YAML.replace("Detect, [nc]", "Segment, [nc, 32, 256]"))
    assert not yaml_names.YamlFiles(("Detect",)).has(str(file))
