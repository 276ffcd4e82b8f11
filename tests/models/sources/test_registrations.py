"""Names of models read from the sources of the libraries."""

from __future__ import annotations

import subprocess
import sys

import timm
import torchvision
from timm.models import _registry

from gradlens.models.sources import registered_names, registrations
from gradlens.models.sources.own import PELEENETS


def test_every_name_that_timm_accepts_is_written_in_its_sources() -> None:
    text = registrations._sources("timm")
    words = set(registrations.re.findall(r"\w+", text))
    assert set(_registry._model_entrypoints) - words == set()


def test_listed_names_are_those_that_the_libraries_list() -> None:
    names = registered_names()
    plain = [name for name in names if ":" not in name]
    assert set(plain) == {*timm.list_models(), *PELEENETS}
    prefix = "torchvision:"
    listed = {name.removeprefix(prefix) for name in names if name.startswith(prefix)}
    every = set(torchvision.models.list_models())
    assert listed == {name for name in every if not name.startswith("quantized_")}


def test_an_older_name_is_known_and_a_misspelt_one_is_not_without_loading_the_library() -> None:
    older = next(iter(sorted(set(_registry._deprecated_models) - set(timm.list_models()))))
    code = (
        "import sys; from gradlens.models.sources.registrations import may_have; "
        "print(may_have('timm', 'resnet50'), may_have('timm', 'resnet5O'), may_have('torchvision', 'resnet50'), "
        f"'timm' in sys.modules, may_have('timm', {older!r}))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert ran.stdout.split() == ["True", "False", "True", "False", "True"]
