"""Forms of a model name, and the available names; no library is loaded to check a name."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from typing import Literal

from gradlens.errors import GradlensError, close_matches
from gradlens.models.registered import PELEENETS, TORCHVISION, may_have, registered_names

DARKNET = "darknet:"
FORMS = "a timm name (resnet50), peleenet, torchvision:NAME, darknet:FILE.cfg, or path/file.py:factory"


@dataclass(frozen=True)
class Source:
    """The library or file that a model comes from.

    Attributes:
        kind: library, or kind of file.
        name: of the model, or of the factory in ``file``.
        file: path of a Python or darknet file; empty for the libraries.
    """

    kind: Literal["timm", "torchvision", "gradlens", "darknet", "file"]
    name: str
    file: str = ""


def source(name: str) -> Source:
    """Parse a model name; files need not exist.

    Raises:
        GradlensError: the name has no known form, or its library does not have the model.

    >>> source("nets/mine.py:small")
    Source(kind='file', name='small', file='nets/mine.py')
    """
    if not name.strip():
        raise GradlensError(f"the model name is empty; give {FORMS}")
    in_file = re.fullmatch(r"(.*\.py)(?::(.*))?", name, flags=re.DOTALL)
    if in_file:
        return _file_source(in_file[1], in_file[2] or "")
    if name.startswith(TORCHVISION):
        return _torchvision_source(name.removeprefix(TORCHVISION))
    if name.startswith(DARKNET):
        return Source("darknet", "", name.removeprefix(DARKNET))
    if name in PELEENETS:
        return Source("gradlens", name)
    if name.partition(":")[0].endswith(".ipynb"):
        raise GradlensError(
            f"{name!r} is a notebook, which cannot be imported; save the function that builds the model in a .py file "
            "and give path/file.py:factory, or call gradlens in the notebook itself"
        )
    if ":" in name or "/" in name:
        raise GradlensError(f"model {name!r} is not understood; give {FORMS}")
    if not may_have("timm", name.partition(".")[0]):  # a tag of weights may follow
        raise unknown_model(name)
    return Source("timm", name)


def model_names(pattern: str | None = None) -> list[str]:
    """List the models of timm and gradlens, and the classification models of torchvision with their prefix.

    Args:
        pattern: a wildcard pattern (``cs*50``); without wildcards it matches anywhere in the name.
    """
    import timm
    import torchvision

    classifiers = torchvision.models.list_models(module=torchvision.models)
    names = [*timm.list_models(), *PELEENETS, *(TORCHVISION + name for name in classifiers)]
    if not pattern:
        return names
    if not re.search(r"[*?\[]", pattern):
        pattern = f"*{pattern}*"
    return [name for name in names if fnmatch.fnmatchcase(name, pattern)]


def unknown_model(name: str) -> GradlensError:
    """Return the error for an unknown name, with similar names."""
    near = close_matches(name, registered_names())
    return GradlensError(f"no model is called {name!r}{near or ';'} `gradlens models` lists the names")


def _file_source(file: str, factory: str) -> Source:
    if not factory.isidentifier():
        raise GradlensError(
            f"{file} is a file, but which of its functions builds the model? Give {file}:factory"
            + (f"; {factory!r} is not a Python name" if factory else "")
        )
    return Source("file", factory, file)


def _torchvision_source(name: str) -> Source:
    if not may_have("torchvision", name):
        names = [
            full.removeprefix(TORCHVISION) for full in registered_names() if full.startswith(TORCHVISION)
        ]
        raise GradlensError(
            f"torchvision has no classification model {name!r}{close_matches(name, names) or ';'}"
            f" `gradlens models {TORCHVISION}` lists them"
        )
    return Source("torchvision", name)
