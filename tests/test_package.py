"""The package: its contents, light imports, docstrings of everything public, consistent registries."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import gradlens

ROOT = Path(__file__).parents[1]


def modules():
    names = [info.name for info in pkgutil.walk_packages(gradlens.__path__, "gradlens.")]
    return sorted(name for name in names if not name.endswith("__main__"))


def test_importing_the_package_is_light():
    heavy = ["torch", "pandas", "numpy", "scipy", "matplotlib", "timm", "torchvision", "sklearn", "networkx"]
    code = (
        f"import sys, gradlens; print([name for name in {heavy} if name in sys.modules]); "
        "gradlens.load_data; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "True"]


@pytest.mark.parametrize("name", gradlens.__all__)
def test_every_public_name_resolves(name):
    value = getattr(gradlens, name)
    assert getattr(value, "__name__", name) == name
    assert name in dir(gradlens)


def test_every_lazy_name_is_public_and_an_unknown_one_is_an_attribute_error():
    assert set(gradlens._MODULES) == set(gradlens.__all__) - {"GradlensError", "__version__"}
    with pytest.raises(AttributeError, match="has no attribute 'analyse'"):
        gradlens.analyse  # noqa: B018


def test_the_version_follows_pep_440():
    assert re.fullmatch(r"\d+\.\d+(\.\d+)?((a|b|rc|\.dev)\d+)?", gradlens.__version__)


@pytest.mark.parametrize("name", ["gradlens", *modules()])
def test_everything_public_has_a_docstring(name):
    module = importlib.import_module(name)
    missing = [] if module.__doc__ else [name]
    for key, value in vars(module).items():
        if key.startswith("_") or getattr(value, "__module__", None) != name:
            continue
        if inspect.isfunction(value) or inspect.isclass(value):
            missing += _undocumented(f"{name}.{key}", value)
    assert missing == []


def _undocumented(path, value):
    missing = [] if _has_docstring(value) else [path]
    if inspect.isclass(value):
        for key, member in vars(value).items():
            member = member.fget if isinstance(member, property) else getattr(member, "func", member)
            if inspect.isfunction(member) and not key.startswith("_") and not _has_docstring(member):
                missing.append(f"{path}.{key}")
    return missing


def _has_docstring(value):
    """Whether a docstring was written; that of a dataclass without one is its signature."""
    text = (value.__doc__ or "").strip()
    return bool(text) and not text.startswith(f"{value.__name__}(")


def test_the_registries_agree():
    from gradlens.analyzers import ANALYZERS
    from gradlens.catalogue import TABLES
    from gradlens.data import DATASETS
    from gradlens.plots import PLOTS

    assert set(PLOTS) <= {entry.name for entry in TABLES}
    for registry in (ANALYZERS, PLOTS, DATASETS):
        assert registry
        assert all(callable(entry) for entry in registry.values())


def members(package, kind):
    """Yield the dotted names below a package of the module-level objects of a kind, imported ones aside."""
    for info in pkgutil.iter_modules(package.__path__):
        if info.name.startswith("_"):
            continue
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        source = inspect.getsource(module)
        for name, value in vars(module).items():
            if isinstance(value, kind) and re.search(
                rf"^({name} = |def {name}\b|class {name}\b)", source, re.M
            ):
                yield f"{info.name}.{name}"


def test_no_plot_command_or_strategy_is_left_out_of_its_registry():
    import click

    import gradlens.plots
    import gradlens_cli
    from gradlens.catalogue import TABLES
    from gradlens.models import TRANSITIONS, transitions
    from gradlens_cli.app import COMMANDS

    assert set(members(gradlens.plots, gradlens.plots.Plot)) == {entry.plot for entry in TABLES if entry.plot}
    assert set(members(gradlens_cli, click.Command)) - {"app.gradlens"} == set(COMMANDS)
    classes = {
        value
        for value in vars(transitions).values()
        if inspect.isclass(value) and issubclass(value, transitions.Transition)
    }
    assert classes - {transitions.Transition} == set(TRANSITIONS.values())
