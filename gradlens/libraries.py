"""Optional libraries: whether they are installed, and one error if they are not."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable
from types import ModuleType

from gradlens.errors import GradlensError


def is_installed(module: str) -> bool:
    """Return whether a top-level module can be found, without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # an entry of sys.modules that is not a module
        return False


def missing(modules: Iterable[str]) -> list[str]:
    """Return those of the top-level modules that cannot be found."""
    return [module for module in modules if not is_installed(module)]


def require(
    user: str, modules: Iterable[str], *, install: str = "", licence: str = "", otherwise: str = ""
) -> None:
    """Check that libraries are installed, without importing them.

    Args:
        user: what needs them, for the message.
        modules: their import names.
        install: what ``pip install`` takes; the import names if empty.
        licence: of the libraries, for the message.
        otherwise: what to do without them, for the message.

    Raises:
        GradlensError: one is missing; the message has the command that installs them.
    """
    modules = list(modules)
    absent = missing(modules)
    if absent:
        terms = f" ({licence})" if licence else ""
        problem = f"{user} needs {', '.join(absent)}{terms}, not installed here"
        raise _error(problem, install or " ".join(modules), otherwise)


def library(user: str, name: str, module: str = "", *, otherwise: str = "") -> ModuleType:
    """Import an optional library.

    Args:
        user: what needs it, for the message.
        name: under which it is imported and installed.
        module: dotted name of the module to import; the library itself if empty.
        otherwise: what to do without it, for the message.

    Raises:
        GradlensError: the library is missing, or cannot be imported.
    """
    require(user, [name], otherwise=otherwise)
    try:
        return importlib.import_module(module or name)
    except ImportError as error:
        raise _error(f"{user} needs {name}, which cannot be imported ({error})", name, otherwise) from error


def _error(problem: str, install: str, otherwise: str) -> GradlensError:
    rest = f", or {otherwise}" if otherwise else ""
    return GradlensError(f"{problem}; run `python -m pip install {install}`{rest}")
