"""What is packaged: the wheel holds the folders and nothing else, and texts name the right distribution."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.metadata import Metadata

from gradlens.installation import DISTRIBUTION
from gradlens.version import VERSION

ROOT = Path(__file__).parents[1]
INFO = f"gradlens_flow-{VERSION}.dist-info"
CACHES = re.compile(r"(^|/)(__pycache__|build|dist|runs|\.(?!ci/|gitignore|pre-commit)[^/]*)(/|$)|\.egg-info")
STALE = [
    "build/lib/gradlens/old.py",
    "build/lib/gradlens_cli/old.py",
    "gradlens.egg-info/SOURCES.txt",
    "gradlens/__pycache__/old.cpython-311.pyc",
    "gradlens/old.py.orig",
    "cli/__pycache__/old.cpython-311.pyc",
    "cli/old.py.orig",
]
"""Files that earlier builds, runs and editors leave in a checkout."""


def sources() -> list[str]:
    """Return the tracked files (new ones after ``git add``), or all of an unpacked source distribution."""
    if (ROOT / ".git").exists():
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
    names = [path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*") if path.is_file()]
    return [name for name in names if name != "PKG-INFO" and not CACHES.search(name)]


def expected() -> set[str]:
    """Return what a wheel must hold besides its metadata."""
    names = [name for name in sources() if name.startswith(("gradlens/", "cli/"))]
    return {re.sub(r"^cli/", "gradlens_cli/", name) for name in names}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources with what earlier builds left there."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in sources():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    for name in STALE:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    return folder


OPTIONAL = {
    "detection": ["torchmetrics", "pycocotools"],
    "parquet": ["pyarrow"],
    "tensorboard": ["tensorboard"],
    "wandb": ["wandb"],
    "mlflow": ["mlflow"],
    "lightning": ["lightning"],
    "transformers": ["transformers", "accelerate"],
    "accelerate": ["accelerate"],
    "peft": ["peft"],
    "ultralytics": ["ultralytics"],
    "libreyolo": ["libreyolo"],
}
"""Libraries by the extra that installs them, in the order of ``.ci/run``."""


def build(kind: str, source: Path, out: Path) -> Path:
    """Build as pip does, in a process of its own, but with the hatchling of this environment: no network."""
    code = "import sys, hatchling.build as b; print(getattr(b, 'build_' + sys.argv[1])(sys.argv[2]))"
    out.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", code, kind, str(out)]
    ran = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return out / ran.stdout.split()[-1]


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", checkout, tmp_path_factory.mktemp("wheel"))


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_holds_every_file_of_the_folders_and_nothing_else(wheel: Path) -> None:
    metadata = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
    assert set(contents(wheel)) == expected() | {f"{INFO}/{name}" for name in metadata}
    assert not [name for name in contents(wheel) if "old" in Path(name).stem.split(".")]


def test_every_package_is_in_the_distribution(wheel: Path) -> None:
    packages = {str(Path(name).parent) for name in contents(wheel) if name.endswith("/__init__.py")}
    folders = [path.parent.relative_to(ROOT) for path in ROOT.joinpath("gradlens").rglob("__init__.py")]
    assert packages == {str(folder) for folder in folders} | {"gradlens_cli"}
    assert (ROOT / "cli" / "__init__.py").is_file()
    for module in ROOT.joinpath("gradlens").rglob("*.py"):
        assert (module.parent / "__init__.py").is_file(), f"{module} lies outside any package"


def test_a_removed_module_is_not_in_the_next_wheel(checkout: Path, wheel: Path, tmp_path: Path) -> None:
    again = shutil.copytree(checkout, tmp_path / "again")
    (again / "gradlens" / "extra.py").write_text("")
    assert "gradlens/extra.py" in contents(build("wheel", again, tmp_path))
    (again / "gradlens" / "extra.py").unlink()
    assert contents(build("wheel", again, tmp_path)) == contents(wheel)


def test_the_source_distribution_holds_the_checkout_and_builds_the_same_wheel(
    checkout: Path, wheel: Path, tmp_path: Path
) -> None:
    shutil.unpack_archive(build("sdist", checkout, tmp_path), tmp_path / "unpacked", filter="data")
    (folder,) = (tmp_path / "unpacked").iterdir()
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names - set(STALE) == {*sources(), "PKG-INFO"}
    assert contents(build("wheel", folder, tmp_path)) == contents(wheel)


def test_the_metadata_are_valid_and_name_the_command(wheel: Path) -> None:
    files = contents(wheel)
    metadata = Metadata.from_email(files[f"{INFO}/METADATA"], validate=True)
    assert (metadata.name, str(metadata.version)) == (DISTRIBUTION, VERSION)
    extras = {"notebook", "test", "docs", "dev", *OPTIONAL}
    assert set(metadata.provides_extra or []) == extras
    needs = [(need.name, str(need.marker)) for need in metadata.requires_dist or []]
    assert not [
        name for name, _ in needs if name.startswith("gradlens")
    ]  # extras that name extras are resolved
    for name in ("nbclient", "pytest", "sphinx"):
        assert (name, 'extra == "dev"') in needs
    command = "gradlens = gradlens_cli.app:gradlens"
    assert files[f"{INFO}/entry_points.txt"].decode().split("\n")[:2] == ["[console_scripts]", command]


def test_tests_of_optional_libraries_are_marked_and_never_skipped_silently() -> None:
    """``.ci/run`` runs what has the marker with the libraries installed, and requires them."""
    files = [path for path in (ROOT / "tests").rglob("test_*.py") if path.name != Path(__file__).name]
    for path in files:
        text = path.read_text("utf-8")
        optional = "|".join(library for libraries in OPTIONAL.values() for library in libraries)
        assert not re.search(rf"importorskip\(\s*['\"]({optional})", text), path
        if re.search(r"\bneeds\(", text) and "oracles.extras" in text:
            assert "pytest.mark.extra" in text, path
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    assert f"'.[{','.join(OPTIONAL)},dev]'" in script  # dev holds test
    assert "GRADLENS_EXTRAS=required python -m pytest -q -m extra tests\n" in script


def test_an_editable_install_imports_the_modules_of_the_checkout(checkout: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    with zipfile.ZipFile(build("editable", checkout, tmp_path)) as archive:
        archive.extractall(site)
    spec = importlib.util.find_spec("editables")
    assert spec is not None
    assert spec.origin is not None
    code = """
import importlib, site, sys
sys.path.append(sys.argv[2])
site.addsitedir(sys.argv[1])
for name in ("gradlens.version", "gradlens_cli", "gradlens_cli.foreign"):
    print(importlib.import_module(name).__file__)
for name in ("cli", "tests", "notebooks", "docs"):
    assert importlib.util.find_spec(name) is None, name
"""
    libraries = tmp_path / "libraries"  # a gradlens that is installed here would come first
    libraries.mkdir()
    (libraries / "editables").symlink_to(Path(spec.origin).parent)
    alone = [sys.executable, "-I", "-S", "-c", code, str(site), str(libraries)]
    ran = subprocess.run(alone, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    files = ["gradlens/version.py", "cli/__init__.py", "cli/foreign.py"]
    assert ran.stdout.splitlines() == [str(checkout / name) for name in files]


def texts() -> list[tuple[str, str]]:
    pages = []
    for name in sources():
        try:
            pages.append((name, (ROOT / name).read_text("utf-8")))
        except UnicodeDecodeError:
            continue  # pictures, recordings
    return pages


@pytest.mark.parametrize(
    "pattern",
    [
        r"pip3? install (-\S+ )*['\"]?gradlens(?!-flow)\b",  # another project
        r"(?<![\w-])gradlens\[(notebook|test|docs|dev)",  # its extras
        r"\b" + "py" + r"pi\b",
    ],
)
def test_no_text_names_the_other_distribution_or_the_host_of_the_index(pattern: str) -> None:
    names = {name for name, text in texts() if re.search(pattern, text, flags=re.I)}
    assert names - {"tests/test_distribution.py"} == set()


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("pip install gradlens", True),
        ("pip install -U 'gradlens[test]'", True),
        ("pip install gradlens-flow", False),
    ],
)
def test_the_pattern_of_the_other_distribution(text: str, match: bool) -> None:
    (pattern, *_) = test_no_text_names_the_other_distribution_or_the_host_of_the_index.pytestmark[0].args[1]
    assert bool(re.search(pattern, text)) is match


def test_version_citation_and_changelog_agree() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), flags=re.M)
    assert headings[:2] == ["[Unreleased]", f"[{VERSION}] - {cited['date-released']}"]
    assert str(cited["version"]) == VERSION
