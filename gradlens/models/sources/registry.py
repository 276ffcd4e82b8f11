"""All adapters. Of those with one prefix, the first that has a name is the one that builds the network."""

from __future__ import annotations

from collections.abc import Iterator

from gradlens.catalogue.datasets import DETECTION, FLOW, SEGMENTATION, VIDEO
from gradlens.errors import GradlensError, close_matches
from gradlens.models.sources.adapter import ANY, Adapter
from gradlens.models.sources.names import Fixed, Functions, Marked, Registered
from gradlens.models.sources.own import PELEENETS, YOLOX
from gradlens.models.sources.yaml_names import YamlFiles

AGPL, BSD = "AGPL-3.0", "BSD-3-Clause"
TORCHVISION, ULTRALYTICS = "torchvision:", "ultralytics:"
HERE = "gradlens.models"
DETECTING = r"^\s*\[\s*(gaussian_)?(yolo|region)\s*\]"
"""Sections of a darknet file whose network is a detector."""

ADAPTERS: list[Adapter] = [
    Adapter(
        "a function of yours", "", "path/file.py:factory", Functions(), f"{HERE}.factory_file.function_model",
        "any licence", task=ANY,
    ),
    Adapter("gradlens", "", "peleenet", Fixed(PELEENETS), f"{HERE}.peleenet.pelee_model", "MIT"),
    Adapter(
        "timm", "", "a timm name (resnet50)", Registered("timm"), f"{HERE}.timm_zoo.timm_model", "Apache-2.0",
        weights=True,
    ),
    Adapter(
        "torchvision", TORCHVISION, "torchvision:NAME", Registered("torchvision"),
        f"{HERE}.torchvision_zoo.torchvision_model", BSD, weights=True,
    ),
    Adapter(
        "torchvision", TORCHVISION, "torchvision:NAME", Registered("torchvision", "models/detection"),
        f"{HERE}.torchvision_detectors.detector", BSD, DETECTION, "gradlens.detection.detector_losses",
        weights=True, body="backbone.body",
    ),
    Adapter(
        "torchvision", TORCHVISION, "torchvision:NAME", Registered("torchvision", "models/segmentation"),
        f"{HERE}.torchvision_tasks.segmenter", BSD, SEGMENTATION, f"{HERE}.sources.steps.segmentation", weights=True,
    ),
    Adapter(
        "torchvision", TORCHVISION, "torchvision:NAME", Registered("torchvision", "models/video"),
        f"{HERE}.torchvision_tasks.video_classifier", BSD, VIDEO,
    ),
    Adapter(
        "torchvision", TORCHVISION, "torchvision:NAME", Registered("torchvision", "models/optical_flow"),
        f"{HERE}.torchvision_tasks.flow_model", BSD, FLOW, f"{HERE}.sources.steps.optical_flow",
    ),
    *(
        Adapter(
            "timm", f"{head}:", f"{head}:BACKBONE", Registered("timm"),
            f"{HERE}.torchvision_detectors.{head}", f"{BSD} and Apache-2.0", DETECTION,
            "gradlens.detection.detector_losses", weights=True, body="backbone.body", whole=False,
        )
        for head in ("fcos", "retinanet", "fasterrcnn")
    ),
    Adapter(
        "ultralytics", ULTRALYTICS, "ultralytics:FILE.yaml", YamlFiles(("Detect", "v10Detect")),
        f"{HERE}.ultralytics_zoo.detector",
        AGPL, DETECTION, f"{HERE}.ultralytics_zoo.detection_losses", packages=("ultralytics",),
        requirement="ultralytics",
    ),
    Adapter(
        "ultralytics", ULTRALYTICS, "ultralytics:FILE.yaml", YamlFiles(("Classify",)),
        f"{HERE}.ultralytics_zoo.classifier", AGPL, packages=("ultralytics",), requirement="ultralytics",
    ),
    Adapter(
        "libreyolo", "libreyolo:", "libreyolo:yolox-n", Fixed(YOLOX), f"{HERE}.libreyolo_zoo.yolox", "MIT", DETECTION,
        f"{HERE}.libreyolo_zoo.yolox_losses", packages=("libreyolo",), requirement="libreyolo",
    ),
    Adapter(
        "darknet", "darknet:", "darknet:FILE.cfg", Marked("darknet file", DETECTING),
        f"{HERE}.darknet.named.cfg_model", "any licence", DETECTION, f"{HERE}.darknet.detection.detection_losses",
    ),
    Adapter(
        "darknet", "darknet:", "darknet:FILE.cfg", Marked("darknet file"), f"{HERE}.darknet.named.cfg_model",
        "any licence",
    ),
]  # fmt: skip
"""A program may add its own."""


def adapter_of(name: str) -> tuple[Adapter, str]:
    """Return the adapter that builds a network, and the name without the prefix; files need not exist.

    Raises:
        GradlensError: the name has no known form, or no adapter has it.
    """
    if not name.strip():
        raise GradlensError(f"the model name is empty; give {FORMS}")
    prefix = _prefix(name)
    rest = name.removeprefix(prefix)
    adapters = [adapter for adapter in ADAPTERS if adapter.prefix == prefix]
    if not prefix and (":" in name or "/" in name):
        adapters = [adapter for adapter in adapters if isinstance(adapter.names, Functions)]
    match = next((adapter for adapter in adapters if adapter.names.has(rest)), None)
    if match is None:
        raise _unknown(name, prefix, adapters)
    return match, rest


def registered_names(start: str = "") -> list[str]:
    """Return the names of ``gradlens.models.model_names`` without loading a library.

    Args:
        start: beginning of the names; names of adapters with many combinations are listed only after their prefix.
    """
    return sorted(name for name in _listed(start) if name.startswith(start))


def unknown_model(name: str) -> GradlensError:
    """Return the error for an unknown name, with similar names."""
    near = close_matches(name, registered_names())
    return GradlensError(f"no model is called {name!r}{near or ';'} `gradlens models` lists the names")


def _listed(start: str) -> Iterator[str]:
    for adapter in ADAPTERS:
        if adapter.whole or (adapter.prefix and start.startswith(adapter.prefix)):
            yield from (adapter.prefix + name for name in adapter.names.listed())


def _prefix(name: str) -> str:
    """Return the prefix of a name, or an empty one if it is not that of an adapter."""
    start, colon, _ = name.partition(":")
    return start + colon if colon and any(adapter.prefix == start + colon for adapter in ADAPTERS) else ""


def _unknown(name: str, prefix: str, adapters: list[Adapter]) -> GradlensError:
    rest = name.removeprefix(prefix)
    if prefix:
        adapters[0].require(rest)
        if adapters[0].library == "ultralytics" and "/" in rest:
            adapters[0].names.check(rest)
        near = close_matches(rest, [other for adapter in adapters for other in adapter.names.listed()])
        library = adapters[0].library
        return GradlensError(
            f"{library} has no model {rest!r}{near or ';'} `gradlens models {prefix}` lists them"
        )
    if name.partition(":")[0].endswith(".ipynb"):
        return GradlensError(
            f"{name!r} is a notebook, which cannot be imported; save the function that builds the model in a .py file "
            "and give path/file.py:factory, or call gradlens in the notebook itself"
        )
    if ":" in name or "/" in name:
        return GradlensError(f"model {name!r} is not understood; give {FORMS}")
    return unknown_model(name)


def _forms() -> str:
    forms = list(dict.fromkeys(adapter.form for adapter in ADAPTERS[1:] + ADAPTERS[:1]))
    return f"{', '.join(forms[:-1])}, or {forms[-1]}"


FORMS = _forms()
"""How names are written."""
