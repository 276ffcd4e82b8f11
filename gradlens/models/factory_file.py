"""Models built by a function in a Python file of the user."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from gradlens.errors import GradlensError, close_matches, described
from gradlens.models.files import check_factory, check_function
from gradlens.models.shape import InputShape
from gradlens.models.sources.names import split_function


def function_model(name: str, shape: InputShape, pretrained: bool = False) -> nn.Module:
    """Build the network of ``path/file.py:factory`` (see ``file_model``); there are no pretrained weights."""
    return file_model(*split_function(name), shape)


def file_model(file: Path, factory: str, shape: InputShape) -> nn.Module:
    """Run ``file`` and call its function ``factory``.

    The function receives those of ``num_classes``, ``in_chans`` and ``img_size`` (or ``image_size``) that its
    signature names; a function with ``**kwargs`` receives the first two. The file can import modules from its
    folder, which are not importable afterwards.

    Raises:
        GradlensError: no such file or function, the file or function raises, or the returned value is not
            a ``torch.nn.Module``.
    """
    check_factory(file, factory)
    with _importable(file.resolve().parent):
        module = _run(file)
        function = _function(module, file, factory)
        try:
            model = function(**accepted(function, shape))
        except Exception as error:
            raise GradlensError(f"{file}:{factory} raised {described(error)}") from error
    if not isinstance(model, nn.Module):
        raise GradlensError(
            f"{file}:{factory} returned a {type(model).__name__}; it must return a torch.nn.Module"
        )
    return model


def file_function(name: str, parameter: str) -> Callable[..., Any]:
    """Run the file of a name such as ``losses.py:focal`` and return its function.

    Args:
        name: ``path/file.py:function``.
        parameter: the parameter that takes the name, for messages.

    Raises:
        GradlensError: the name has another form, there is no such file or function, or the file raises.
    """
    path, function = check_function(name, parameter)
    with _importable(path.resolve().parent):
        return _function(_run(path), path, function)


def _run(file: Path) -> ModuleType:
    """Execute the file as a module with a unique name, so that it shadows no other module."""
    path = file.resolve()
    name = f"_gradlens_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise GradlensError(f"{file} cannot be imported as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look up their module here
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise GradlensError(f"{file} cannot be run: {described(error)}") from error
    return module


def _function(module: ModuleType, file: Path, factory: str) -> Callable[..., Any]:
    function: object = getattr(module, factory, None)
    if callable(function):
        return function
    public = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
    if function is not None:
        raise GradlensError(f"{file}:{factory} is a {type(function).__name__}, not a function")
    defined = [name for name in public if getattr(vars(module)[name], "__module__", "") == module.__name__]
    near = close_matches(factory, public) or (f"; it has {', '.join(defined[:5])}" if defined else "")
    raise GradlensError(f"{file} has no function {factory!r}{near}")


def accepted(function: Callable[..., object], shape: InputShape) -> dict[str, int]:
    """Return those values of a shape that the signature of a function names, by parameter."""
    values = {
        "num_classes": shape.num_classes,
        "in_chans": shape.in_chans,
        "img_size": shape.image_size,
        "image_size": shape.image_size,
    }
    parameters = inspect.signature(function).parameters
    names = {name for name, item in parameters.items() if item.kind is not item.POSITIONAL_ONLY}
    if any(item.kind is item.VAR_KEYWORD for item in parameters.values()):
        names |= {"num_classes", "in_chans"}
    return {name: value for name, value in values.items() if name in names and value is not None}


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Make modules in a folder importable for the block only: two models may each have a ``blocks.py``."""
    path, modules = list(sys.path), set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path[:] = path
        new = set(sys.modules) - modules
        local = {name for name in new if "." not in name and _is_in(sys.modules[name], folder)}
        for name in new:
            if name.partition(".")[0] in local:
                del sys.modules[name]


def _is_in(module: ModuleType, folder: Path) -> bool:
    origin = Path(getattr(module, "__file__", None) or "")
    inside = origin.parent if origin.name == "__init__.py" else origin
    return inside.parent == folder and not module.__name__.startswith("_gradlens_")
