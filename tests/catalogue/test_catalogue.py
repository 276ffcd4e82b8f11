"""The catalogue: unique names, valid references, tables that follow it, and no second list of its names."""

from __future__ import annotations

import ast
import dataclasses
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

import gradlens as gl
from gradlens.analyzers import ANALYZERS, ON_REQUEST
from gradlens.catalogue import (
    QUANTITIES,
    TABLES,
    Column,
    Need,
    Quantity,
    about,
    names,
    quantities_with,
    quantity,
    tables_with,
    units,
)
from gradlens.catalogue.named import named
from gradlens.numbers import PAGE, TERMINAL, format_number, format_of
from gradlens.plots import PLOTS, Plot
from gradlens.report.page import page
from gradlens.results import Result, Table
from gradlens.studies.cells import Study
from gradlens.studies.spaces import joined

ROOT = Path(__file__).parents[2]
LONGEST_REPEAT = 4
"""The number of names that a list outside of the catalogue may repeat, such as the panels of one figure."""


@pytest.fixture(scope="module")
def compared() -> Result:
    torch.manual_seed(0)
    options = {"image_size": 32, "batch_size": 4, "batches": 1, "seeds": 1, "data": "random"}
    return gl.compare("resnet18", "resnet18@csp", **options)


def test_names_and_titles_are_unique() -> None:
    for entries in (QUANTITIES, TABLES):
        for field in ("name", "title"):
            values = [getattr(entry, field) for entry in entries]
            assert len(values) == len(set(values))
    for screen in ("compare", "strategies", "paths"):
        headings = [entry.heading(screen) for entry in quantities_with(screen=screen)]
        assert headings
        assert len(headings) == len(set(headings))


@pytest.mark.parametrize("entry", QUANTITIES, ids=lambda entry: entry.name)
def test_a_quantity_is_described_and_belongs_to_known_tables(entry: Quantity) -> None:
    assert all((entry.title, entry.head, entry.unit, entry.tables))
    assert set(entry.tables) <= {table.name for table in TABLES}
    assert entry.version is None or entry.name.startswith("mean_similarity" if entry.mean else "rarefied_dup")
    for style in (TERMINAL, PAGE):
        assert format_number(0.25, entry.format, style)


@pytest.mark.parametrize("entry", [e for e in QUANTITIES if e.measure], ids=lambda entry: entry.name)
def test_a_measured_quantity_names_its_measure_and_is_in_all_tables_of_a_study(entry: Quantity) -> None:
    """Tables of two networks and of several are each filled as a whole, so that none drops a quantity."""
    assert callable(named(f"gradlens.analyzers.{entry.measure}"))
    pair, several = {"summary", "comparison"}, {"strategies", "networks"}
    filled = [pair, several] if entry.fixed else [pair, several | {"trajectory"}]
    shown = set(entry.tables)
    assert all(tables <= shown or not tables & shown for tables in filled)
    assert any(tables <= shown for tables in filled)
    assert pair <= shown or not entry.fixed


@pytest.mark.parametrize("entry", TABLES, ids=lambda entry: entry.name)
def test_the_analyzer_the_plot_and_the_option_of_a_table_exist(entry: object) -> None:
    assert entry.title
    if entry.analyzer:
        registry = ON_REQUEST if entry.option else ANALYZERS
        analyzer = registry[entry.name]
        assert dataclasses.is_dataclass(analyzer)
        assert (
            f"{type(analyzer).__module__}.{type(analyzer).__name__}" == f"gradlens.analyzers.{entry.analyzer}"
        )
    if entry.plot:
        assert isinstance(PLOTS[entry.name], Plot)
    if entry.option:
        assert hasattr(Study(), entry.option)


def test_the_registries_have_the_order_of_the_catalogue() -> None:
    assert [*ANALYZERS] == [
        entry.name for entry in tables_with(lambda entry: entry.analyzer and not entry.option)
    ]
    assert [*PLOTS] == [entry.name for entry in tables_with(lambda entry: entry.plot)]


def test_columns_of_quantities_have_their_units(compared: Result) -> None:
    for name, table in compared.tables.items():
        expected = [entry.name for entry in quantities_with(name) if name != "comparison"]
        assert set(expected) <= set(table.frame.columns)
        for column in table.frame.columns:
            entry = quantity(str(column))
            if entry is not None and name in entry.tables:
                assert table.units[entry.name] == entry.unit, f"{name}: {column}"


def test_tables_of_a_study_have_the_columns_of_the_catalogue(compared: Result) -> None:
    compared_names = {
        column.removesuffix("_a") for column in compared["comparison"].frame.columns if column.endswith("_a")
    }
    assert compared_names == set(names("comparison"))
    analyzed = gl.analyze(gl.capture(nn.Linear(2, 3), [(torch.randn(6, 2), torch.arange(6) % 3)]))
    assert set(names("summary")) <= set(analyzed["summary"].frame.columns)


@pytest.mark.parametrize("table", sorted({table for entry in QUANTITIES for table in entry.tables}))
def test_units_of_a_table_are_those_of_its_quantities(table: str) -> None:
    assert units(table) == {entry.name: entry.unit for entry in QUANTITIES if table in entry.tables}
    assert units(table)


def test_columns_of_a_screen_are_sorted_by_block_then_as_in_the_catalogue() -> None:
    assert names(screen="compare")[-1] == "structural_duplication"
    assert names(screen="paths")[:2] == ("layers", "structural_duplication")
    blocks = [entry.column("compare").block for entry in quantities_with(screen="compare")]
    assert blocks == sorted(blocks)


def test_a_misspelt_flag_is_an_error() -> None:
    with pytest.raises(AttributeError):
        quantities_with(testd=True)


@pytest.mark.parametrize(
    ("column", "form"),
    [
        ("flops", "amount"),
        ("flops_low", "amount"),
        ("rarefied_duplication_reach", "ratio"),
        ("buffer_bytes", "bytes"),
    ],
)
def test_a_column_has_the_format_of_its_quantity(column: str, form: str) -> None:
    assert format_of(column) == form


@pytest.mark.parametrize("column", ["flops_per_layer", "lossy", "_a", ""])
def test_a_column_that_only_starts_with_a_quantity_has_no_format(column: str) -> None:
    assert format_of(column) is None


def test_the_reason_for_a_missing_table_is_its_first_unmet_need() -> None:
    assert about("reuse").missing("activations") == Need.WEIGHTS.value
    assert about("reuse").missing("weights") == Need.SOURCES.value
    assert about("noise").missing("weights") == about("unknown").missing("weights") == Need.NOTHING.value


def test_a_table_outside_of_the_catalogue_is_kept_in_both_spaces_and_on_the_page() -> None:
    def result(value: float) -> Result:
        frame = pd.DataFrame({"network": ["net"], "gini": [value]})
        return Result({"hard_samples": Table("hard_samples", frame, "One row per network.")}, {}, "Measured.")

    both = joined(result(0.25), result(0.75))
    assert list(both.tables) == ["hard_samples", "hard_samples_weights"]
    assert both["hard_samples_weights"].frame["gini"].tolist() == [0.75]
    text = page(both, {})
    assert "Hard samples" in text
    assert "Hard samples: gradients of weights" in text


def test_a_registered_plot_draws_both_spaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PLOTS, "hard_samples", Plot(lambda frame, ax: ax.plot(frame["gini"]) and ax))
    table = Table("hard_samples_weights", pd.DataFrame({"network": ["net"], "gini": [0.5]}), "")
    assert table.plot().lines


def test_importing_the_catalogue_loads_no_heavy_libraries() -> None:
    heavy = ["torch", "pandas", "numpy", "matplotlib", "scipy"]
    code = f"import sys, gradlens.numbers; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def _is_all(statement: ast.stmt) -> bool:
    """Return whether a statement defines ``__all__``, which may contain names of tables."""
    return isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__"


def test_no_other_list_repeats_the_catalogue() -> None:
    """Mappings from names to code are registries, but a plain list of many names is a second list."""
    name_sets = [{entry.name for entry in entries} for entries in (QUANTITIES, TABLES)]
    repeated = []
    for path in (path for folder in ("gradlens", "cli") for path in (ROOT / folder).rglob("*.py")):
        if "catalogue" in path.parts:
            continue
        tree = ast.parse(path.read_text("utf-8"))
        for node in (
            node for statement in tree.body if not _is_all(statement) for node in ast.walk(statement)
        ):
            items = node.elts if isinstance(node, (ast.Tuple, ast.List, ast.Set)) else []
            texts = {item.value for item in items if isinstance(item, ast.Constant)}
            for values in name_sets:
                if len(texts & values) > LONGEST_REPEAT:
                    repeated.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert repeated == []


def test_a_quantity_has_at_most_one_column_per_screen() -> None:
    for entry in QUANTITIES:
        screens = [column.screen for column in entry.screens]
        assert len(screens) == len(set(screens))
    assert Column("paths", head="longer").head == "longer"
