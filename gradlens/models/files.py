"""The files that a request names, checked before torch is loaded: Python and darknet files, and weights."""

from __future__ import annotations

import ast
import os
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from gradlens.errors import GradlensError, close_matches

DYNAMIC = ("import *", "__getattr__", "globals(", "setattr(", "exec(", "__dict__", "vars(", "sys.modules")
"""Signs that a file may define names that its text does not show."""


def check_function(name: str, parameter: str) -> tuple[Path, str]:
    """Check the name of a function in a file, such as ``losses.py:focal``, and return the file and the function.

    Args:
        name: ``path/file.py:function``.
        parameter: the parameter that takes the name, for messages.

    Raises:
        GradlensError: the name has another form, or there is no such file or function.
    """
    file, colon, function = name.rpartition(":")
    if not colon or not file.endswith(".py") or not function.isidentifier():
        raise GradlensError(f"{parameter}={name!r} is not understood; give {parameter}=path/file.py:function")
    check_factory(Path(file), function)
    return Path(file), function


def require_file(path: Path, what: str) -> None:
    """Check that a file exists, can be read and is not empty.

    Raises:
        GradlensError: it is not so; the message begins with ``what``.
    """
    try:
        size = path.stat().st_size if path.is_file() else -1
    except OSError as error:
        raise GradlensError(
            f"{what} {path} cannot be read: {error.strerror}; change its permissions"
        ) from error
    if size < 0:
        problem = (
            "is a folder; give the path of a file" if path.is_dir() else f"does not exist{_nearby(path)}"
        )
        raise GradlensError(f"{what} {path} {problem}")
    if not os.access(path, os.R_OK):
        raise GradlensError(f"{what} {path} cannot be read; change its permissions")
    if not size:
        raise GradlensError(f"{what} {path} is empty; save or download it again")


def check_weights(path: Path) -> None:
    """Check that a file of weights exists and begins as one; what it holds is read later.

    Raises:
        GradlensError: it does not.
    """
    require_file(path, "checkpoint")
    if not _begins_as_weights(path):
        raise GradlensError(
            f"checkpoint {path} is damaged or not a checkpoint; give a file of torch.save, safetensors, or darknet's "
            ".weights, or save or download it again"
        )


def _begins_as_weights(path: Path) -> bool:
    """Return whether the start of a file is that of a format of weights, and its stated length is there."""
    with path.open("rb") as file:
        start = file.read(8)
    if path.suffix == ".safetensors":
        return len(start) == 8 and 0 < struct.unpack("<Q", start)[0] <= path.stat().st_size - 8
    if path.suffix == ".weights":
        return len(start) == 8  # of its version; the reader compares the length with the network
    if start.startswith(b"PK"):
        return zipfile.is_zipfile(path)
    return start.startswith(b"\x80") or tarfile.is_tarfile(path)  # files of old versions of torch


def check_factory(file: Path, factory: str) -> None:
    """Check that a Python file can be parsed and binds a name, as far as its text shows.

    Raises:
        GradlensError: it cannot be parsed, or the name does not occur in it.
    """
    if not file.is_file():
        raise GradlensError(f"there is no file {file}{near_files(file)}")
    try:
        text = file.read_bytes()
        tree = ast.parse(text, filename=str(file))
    except OSError as error:
        raise GradlensError(f"{file} cannot be read: {error.strerror}; change its permissions") from error
    except (SyntaxError, ValueError) as error:
        raise GradlensError(f"{file} cannot be run: {_of_syntax(error, file)}") from error
    names = set(_bound(tree))
    if factory not in names and not any(sign.encode() in text for sign in DYNAMIC):
        raise no_function(file, factory, sorted(name for name in names if not name.startswith("_")), tree)


def no_function(file: Path, factory: str, names: list[str], tree: ast.Module) -> GradlensError:
    """Return the error for a function that a file does not have, with similar names or those that it defines."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    defined = [node.name for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_")]
    names = [name for name in names if name not in _modules(tree)]
    near = close_matches(factory, names) or (f"; it has {', '.join(defined[:5])}" if defined else "")
    return GradlensError(f"{file} has no function {factory!r}{near}")


def _modules(tree: ast.Module) -> set[str]:
    """Return the names of imported modules, which are no functions."""
    imports = [alias for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    return {(alias.asname or alias.name).partition(".")[0] for alias in imports}


def near_files(file: Path) -> str:
    """Return a clause about the folder of a missing file: files with similar names, or that it is missing too."""
    if not file.parent.is_dir():
        return f"; there is no folder {file.parent} either"
    return close_matches(file.name, (path.name for path in file.parent.glob(f"*{file.suffix}")))


def _nearby(file: Path) -> str:
    return near_files(file) or "; give the path of a file"


def _bound(tree: ast.Module) -> Iterator[str]:
    """Yield all names that a file assigns, defines or imports anywhere."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).partition(".")[0]


def _of_syntax(error: SyntaxError | ValueError, file: Path) -> str:
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg} in {file.name}:{error.lineno}"
    return f"{type(error).__name__}: {error}"
