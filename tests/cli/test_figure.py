"""gradlens figure: one figure of a saved run, its file, and errors."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from click.testing import Result as Ran

from gradlens.results import Result, Table

Run = Callable[..., Ran]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    frame = pd.DataFrame(
        {
            "network": "net",
            "pass": ["forward", "forward + backward"],
            "images_per_second": [40.0, 12.0],
            "low": [39.0, 11.0],
            "high": [41.0, 13.0],
        }
    )
    return Result({"throughput": Table("throughput", frame, "Speed.")}, {"a": "net"}, "Fast.").save(
        tmp_path / "r"
    )


def test_the_path_of_the_figure_is_the_only_output_on_stdout(run: Run, saved: Path) -> None:
    ran = run("figure", saved, "throughput")
    assert (ran.exit_code, ran.stdout, ran.stderr) == (0, "throughput.pdf\n", "")
    assert Path("throughput.pdf").read_bytes().startswith(b"%PDF-")


@pytest.mark.parametrize(
    ("words", "name", "signature"),
    [
        (("--out", "a/b.svg"), "a/b.svg", b"<?xml"),
        (("--format", "png"), "throughput.png", b"\x89PNG"),
        (("--format", "svg", "--out", "drawn"), "drawn", b"<?xml"),
        (("--style", "screen", "--network", "net"), "throughput.pdf", b"%PDF-"),
    ],
)
def test_the_format_follows_the_file_name_or_the_option(
    run: Run, saved: Path, words: tuple[str, ...], name: str, signature: bytes
) -> None:
    assert run("figure", saved, "throughput", *words).exit_code == 0
    assert Path(name).read_bytes().startswith(signature)


def test_an_existing_file_is_replaced_only_with_force(run: Run, saved: Path) -> None:
    Path("f.pdf").write_text("mine")
    ran = run("figure", saved, "throughput", "--out", "f.pdf")
    assert ran.exit_code == 1
    assert ran.stderr == "error: f.pdf exists; give another --out FILE, or --force to replace it\n"
    assert Path("f.pdf").read_text() == "mine"
    assert run("figure", saved, "throughput", "--out", "f.pdf", "--force").exit_code == 0
    assert Path("f.pdf").read_bytes().startswith(b"%PDF-")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("throughputs",), "did you mean throughput?"),
        (("throughput", "--out", "f.gif"), "end it in .pdf, .svg, .png"),
        (("throughput", "--out", "."), "is a folder"),
        (("throughput", "--out", "taken/f.pdf"), "cannot write taken/f.pdf"),
        (("throughput", "--network", "nets"), "did you mean net?"),
        (
            ("throughput", "--label", "nets=ours"),
            "--label names 'nets', which is no network here; there are net; did",
        ),
        (("throughput", "--version", "direction"), "--version direction: this figure has no versions"),
    ],
)
def test_an_error_is_one_line_and_leaves_no_file(
    run: Run, saved: Path, words: tuple[str, ...], message: str
) -> None:
    Path("taken").touch()
    ran = run("figure", saved, *words)
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert message in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    assert sorted(path.name for path in Path().iterdir()) == ["r", "taken"]


def test_the_error_for_a_forbidden_folder_is_one_line(
    run: Run, saved: Path, forbid: Callable[..., None]
) -> None:
    forbid(os, "stat", "locked")
    ran = run("figure", saved, "throughput", "--out", "locked/f.pdf")
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert ran.stderr == "error: cannot access locked/f.pdf: Permission denied; give another --out FILE\n"


def test_a_format_that_contradicts_the_file_is_wrong_usage(run: Run, saved: Path) -> None:
    ran = run("figure", saved, "throughput", "--format", "png", "--out", "x.pdf")
    assert ran.exit_code == 2
    assert "--format png contradicts --out x.pdf" in ran.stderr
    assert not Path("x.pdf").exists()
    assert run("figure", saved, "throughput", "--format", "pdf", "--out", "x.PDF").exit_code == 0


def test_labels_and_networks_can_be_combined(run: Run, saved: Path) -> None:
    words = ("throughput", "--label", "net=ours", "--format", "svg")
    for network in ("net", "ours"):
        assert run("figure", saved, *words, "--network", network, "--force").exit_code == 0
    for wrong in ("net", "=ours", "net="):
        assert run("figure", saved, "throughput", "--label", wrong).exit_code == 2
    twice = run("figure", saved, "throughput", "--label", "net=a", "--label", "net=b")
    assert (twice.exit_code, "net has two labels" in twice.stderr) == (2, True)


def test_the_report_of_a_saved_run_is_drawn_with_labels(run: Run, saved: Path, tmp_path: Path) -> None:
    before = (saved / "result.json").read_bytes()
    assert run("report", saved, "--label", "net=ours").exit_code == 0
    assert ">ours<" in (saved / "report.html").read_text("utf-8")
    assert (saved / "result.json").read_bytes() == before


def test_an_unknown_label_is_an_error_before_anything_is_measured(run: Run) -> None:
    for command in (("compare", "resnet18", "resnet34"), ("inspect", "resnet18"), ("paths", "resnet18")):
        ran = run(*command, "--label", "resnet1=ours")
        assert ran.exit_code == 1
        assert ran.stderr.startswith(
            "error: --label names 'resnet1', which is no network here; there are resnet18"
        )


def test_an_invalid_width_is_wrong_usage(run: Run, saved: Path) -> None:
    assert run("figure", saved, "throughput", "--columns", "3").exit_code == 2


def test_the_command_does_not_load_torch(saved: Path, tmp_path: Path) -> None:
    words = ["figure", str(saved), "throughput", "--out", str(tmp_path / "f.pdf")]
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from gradlens_cli.app import gradlens\n"
        f"gradlens({words}, standalone_mode=False)\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert (tmp_path / "f.pdf").is_file()
