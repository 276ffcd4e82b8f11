"""The packages that gradlens needs, their purpose, and the installed versions."""

from __future__ import annotations

import importlib.metadata
import re
from dataclasses import dataclass

from gradlens.libraries import is_installed

MEASURING, DRAWING, TALKING = "measuring", "drawing a saved run", "the command line"


@dataclass(frozen=True)
class Need:
    """A package with its allowed versions, its purpose and its extra (empty if it is always required).

    A test compares the list with pyproject.toml.
    """

    name: str
    versions: str
    purpose: str
    extra: str = ""
    module: str = ""

    @property
    def imported(self) -> str:
        """Import name."""
        return self.module or self.name.replace("-", "_")


NEEDS = (
    Need("torch", ">=2.4", MEASURING),
    Need("torchvision", ">=0.19", f"{MEASURING}: its models, image folders"),
    Need("timm", ">=1.0.9,<2", f"{MEASURING}: its models"),
    Need("numpy", ">=1.26,<3", DRAWING),
    Need("scipy", ">=1.15", DRAWING),
    Need("pandas", ">=2.1", DRAWING),
    Need("matplotlib", ">=3.8", DRAWING),
    Need("scikit-learn", ">=1.3", f"{MEASURING}: the bundled digits", module="sklearn"),
    Need("pillow", ">=10", f"{MEASURING}: image files", module="PIL"),
    Need("networkx", ">=3.1", MEASURING),
    Need("huggingface-hub", ">=0.23", f"{MEASURING}: pretrained weights"),
    Need("safetensors", ">=0.4.3", f"{MEASURING}: recordings, checkpoints"),
    Need("click", ">=8.1.7,<9", TALKING),
    Need("rich", ">=13.7", TALKING),
    Need("jinja2", ">=3.1.3", DRAWING),
    Need("markupsafe", ">=2.1", DRAWING),
    Need("ipykernel", ">=6.29", "Jupyter notebooks", "notebook"),
    Need("ipywidgets", ">=8.1", "Jupyter notebooks: menus in result.explore()", "notebook"),
    Need("nbclient", ">=0.10", "Jupyter notebooks", "notebook"),
    Need("nbformat", ">=5.10", "Jupyter notebooks", "notebook"),
    Need("pytest", ">=8", "the tests", "test"),
    Need("pytest-xdist", ">=3.5", "the tests in parallel", "test", module="xdist"),
    Need("fvcore", ">=0.1.5", "the tests", "test"),
    Need("torchjd", ">=0.8", "the tests", "test"),
    Need("hypothesis", ">=6.100", "the tests", "test"),
    Need("ckatorch", ">=1.0,<2", "the tests", "test"),
    Need("psutil", ">=5.9", "the benchmarks", "test"),
    Need("playwright", ">=1.40", "the tests in a browser", "test"),
    Need("pyyaml", ">=6", "the tests", "test", module="yaml"),
    Need("hatchling", ">=1.27", "the tests of the wheel", "test"),
    Need("editables", ">=0.5", "the tests of the wheel", "test"),
)


@dataclass(frozen=True)
class Package:
    """The state of a package.

    Attributes:
        need: the requirement.
        version: the installed version; empty if it is not installed.
        problem: what is wrong; empty if nothing is.
    """

    need: Need
    version: str
    problem: str = ""

    @property
    def broken(self) -> bool:
        """Whether a required package is missing or has a wrong version."""
        return bool(self.problem) and not self.need.extra


def package(need: Need) -> Package:
    """Return the state of a package without importing it."""
    try:
        version = importlib.metadata.version(need.name)
    except importlib.metadata.PackageNotFoundError:
        if not is_installed(need.imported):
            return Package(need, "", "missing")
        return Package(need, "unknown")
    if not fits(version, need.versions):
        return Package(need, version, f"needs {need.versions}")
    return Package(need, version)


def fits(version: str, bounds: str) -> bool:
    """Return whether a version is within all bounds.

    >>> fits("1.0.27", ">=1.0.9,<2"), fits("2.0", ">=1.0.9,<2"), fits("2.14.0+cu130", ">=2.4")
    (True, False, True)
    """
    numbers = _numbers(version)
    return all(
        numbers >= _numbers(bound[2:]) if bound.startswith(">=") else numbers < _numbers(bound[1:])
        for bound in bounds.split(",")
    )


def _numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of the release without trailing zeros: 2.0 is 2."""
    release = re.match(r"\d+(\.\d+)*", version)
    parts = [int(part) for part in release[0].split(".")] if release else []
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)
