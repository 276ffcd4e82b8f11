"""Results as plain values: saved, loaded without torch, displayed and plotted."""

from __future__ import annotations

import errno
import io
import json
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from gradlens.errors import GradlensError
from gradlens.results import Result, Table, load
from gradlens.results.result import FORMAT

mpl.use("agg")


def cost():
    rows = [
        (name, stage, 1e9 * i, 10.0 * i, 4.0, 8.0)
        for name in ("a", "b")
        for i, stage in enumerate(("4", "whole"))
    ]
    columns = ["network", "stage", "flops", "parameters", "traffic_elements", "saved_bytes"]
    return pd.DataFrame(rows, columns=columns)


@pytest.fixture
def result():
    mixed = pd.DataFrame(
        {
            "number": [0.1, np.nan, -1e-300],
            "count": np.array([1, 2**53 + 1, -3]),
            "alive": [True, False, True],
            "text": ["a", "", 'é "quoted", λ'],
            "partly": ["a", None, "b"],
            "unknown": [np.nan] * 3,
        }
    )
    tables = [
        Table("mixed", mixed, "One row per thing.", "By hand.", {"number": "decades"}, reproducible=False),
        Table(
            "empty",
            pd.DataFrame({"x": np.array([], dtype=np.int64), "y": pd.Series([], dtype="str")}),
            "None.",
        ),
        Table("cost", cost(), "Costs."),
    ]
    meta = {
        "a": "resnet50",
        "seeds": (0, 1),
        "numpy": np.float32(0.5),
        "missing": np.nan,
        "inner": {"k": np.int64(3)},
    }
    return Result({table.name: table for table in tables}, meta, "A finding.", ("A warning.",))


def test_a_saved_result_is_loaded_unchanged(result, tmp_path):
    loaded = load(result.save(tmp_path / "deep" / "run"))
    assert list(loaded.tables) == ["mixed", "empty", "cost"]
    for name, table in result.tables.items():
        pd.testing.assert_frame_equal(loaded[name].frame, table.frame, check_exact=True)
        for field in ("name", "caption", "how", "units", "reproducible"):
            assert getattr(loaded[name], field) == getattr(table, field)
    assert (loaded.finding, loaded.warnings) == ("A finding.", ("A warning.",))
    assert loaded.meta == {"a": "resnet50", "seeds": [0, 1], "numpy": 0.5, "missing": None, "inner": {"k": 3}}
    assert loaded.to_json() == result.to_json()


def test_the_json_is_strict(result, tmp_path):
    def refuse_constant(name):
        raise AssertionError(f"{name} is not JSON")

    with_infinity = Table("flow", pd.DataFrame({"diversity": [np.inf, -np.inf, 1.0]}), "")
    extended = Result({**result.tables, "flow": with_infinity}, result.meta, "", ())
    document = json.loads(
        (extended.save(tmp_path) / "result.json").read_text("utf-8"), parse_constant=refuse_constant
    )
    assert document["format"] == FORMAT
    assert document["tables"]["mixed"]["columns"]["number"]["values"][1] is None
    assert document["tables"]["flow"]["columns"]["diversity"]["values"] == [None, None, 1.0]


def test_tables_are_also_written_as_csv(result, tmp_path):
    folder = result.save(tmp_path)
    assert sorted(path.name for path in (folder / "tables").iterdir()) == [
        "cost.csv",
        "empty.csv",
        "mixed.csv",
    ]
    pd.testing.assert_frame_equal(pd.read_csv(folder / "tables" / "cost.csv", dtype={"stage": "str"}), cost())


def test_a_result_is_loaded_and_plotted_without_torch(result, tmp_path):
    result.save(tmp_path)
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import gradlens\n"
        f"result = gradlens.load({str(tmp_path)!r})\n"
        "axes = result['cost'].plot()\n"
        "print(result.finding, len(result['mixed'].frame), type(axes).__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["A", "finding.", "3", "Axes"]


def test_an_unknown_table_gets_close_matches(result):
    with pytest.raises(
        GradlensError, match=r"no table 'costs'.*it has mixed, empty, cost; did you mean cost\?"
    ):
        result["costs"]
    assert result["cost"] is result.tables["cost"]


def test_a_folder_without_a_result(tmp_path):
    with pytest.raises(GradlensError, match=r"contains no saved result \(result.json is missing\)"):
        load(tmp_path)


def test_a_result_without_read_permission(result, tmp_path, monkeypatch):
    result.save(tmp_path)

    def forbidden_open(path, *_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(io, "open", forbidden_open)
    with pytest.raises(
        GradlensError, match=r"cannot read .*result\.json: Permission denied; ask for the right"
    ):
        load(tmp_path)


@pytest.mark.parametrize("blocked", ["none.csv", "result.json"])
def test_a_folder_that_cannot_be_written(result, tmp_path, blocked):
    folder = tmp_path / "run"
    if blocked == "result.json":
        (folder / blocked).mkdir(parents=True)  # a folder where the file should be
    else:
        folder.write_text("a file where the folder should be")
    with pytest.raises(GradlensError, match=rf"cannot write {folder}: \w+"):
        result.save(folder)


def document(result, **changes):
    return {**json.loads(result.to_json()), **changes}


def test_a_newer_format_is_distinguished_from_damage(result, tmp_path):
    (tmp_path / "result.json").write_text(json.dumps(document(result, format=FORMAT + 1)))
    with pytest.raises(
        GradlensError, match=f"has format {FORMAT + 1}, .* reads up to {FORMAT}; update gradlens"
    ):
        load(tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[]",
        lambda text: "null",
        lambda text: "\x00",
        lambda text: json.dumps({"format": FORMAT}),
        lambda text: text.replace('"caption"', '"kaption"'),
        lambda text: text.replace("float64", "float65"),
        lambda text: json.dumps({**json.loads(text), "tables": []}),
        lambda text: json.dumps({**json.loads(text), "tables": {"cost": []}}),
        lambda text: json.dumps({**json.loads(text), "format": "one"}),
    ],
)
def test_damage_raises_a_clear_error(result, tmp_path, damage):
    text = result.to_json()
    assert damage(text) != text
    (tmp_path / "result.json").write_text(damage(text), encoding="utf-8")
    with pytest.raises(
        GradlensError,
        match=r"result\.json (is damaged: |cannot be opened: it has no format version).*run the command again",
    ):
        load(tmp_path)


def test_bytes_that_are_not_text_are_damage(tmp_path):
    (tmp_path / "result.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(GradlensError, match="is damaged"):
        load(tmp_path)


def test_meta_is_added_to_a_copy(result):
    changed = result.with_meta(a="other", partial=True)
    assert (changed.meta["a"], changed.meta["partial"], changed.meta["seeds"]) == ("other", True, (0, 1))
    assert result.meta["a"] == "resnet50"
    assert "partial" not in result.meta


def test_tables_and_results_have_html_and_text_forms(result):
    assert ">One row per thing.<" in result["mixed"]._repr_html_().replace("</b>. ", "</b>>")
    assert repr(result["mixed"]).startswith("mixed: One row per thing.\n")
    html = result._repr_html_()
    assert html.index("A finding.") < html.index("A warning.") < html.index("<details>")
    assert repr(result) == (
        "Result: A finding.\nwarning: A warning.\ntables (rows): mixed (3), empty (0), cost (4)"
    )


def test_exploring_an_unknown_table_gets_close_matches(result):
    with pytest.raises(GradlensError, match=r"no table 'costs' to explore; .*did you mean cost\?"):
        result.explore(["costs"])


def test_the_static_form_contains_figures_and_numbers(result):
    whole = result.explore(static=True)._repr_html_()
    assert whole.count("<img ") == 1  # only cost has a plot
    assert all(f"<code>{name}</code>" in whole for name in result.tables)
    single = result["cost"].explore(static=True)._repr_html_()
    assert "<img " in single
    assert "mixed" not in single


def test_a_table_is_plotted_onto_axes_or_a_new_figure(result):
    from matplotlib.figure import Figure

    ax = Figure().add_subplot()
    assert result["cost"].plot(ax) is ax
    assert ax.has_data() or ax.child_axes or len(ax.figure.axes) > 1
    fresh = result["cost"].plot()
    assert fresh is not ax
    assert fresh.figure is not ax.figure


def test_a_notebook_shows_the_figure_without_pyplot(result):
    formatter = pytest.importorskip("IPython.core.formatters").DisplayFormatter()
    figure = result["cost"].plot().figure
    formats, details = formatter.format(figure)
    assert formats["image/png"].startswith(b"\x89PNG")
    assert "image/svg+xml" not in formats
    assert details["image/png"] == {"alt": result["cost"].caption}
    assert figure._repr_png_()[0] == formats["image/png"], "the same figure has the same bytes"


def test_the_error_for_a_table_without_a_plot_lists_those_with_one(result):
    with pytest.raises(
        GradlensError,
        match=r"no plot for table 'mixed'; tables with a plot: networks, .*strategies, .*duplication, .*correlation",
    ):
        result["mixed"].plot()


def test_a_finding_is_split_after_its_first_sentence_also_if_a_name_has_a_period():
    name = "old nets. 2019/net.py:make"
    result = Result(
        {}, {"a": "resnet50", "b": name}, f"{name} has less than resnet50. In numbers: 0.1. More."
    )
    assert result.headline == f"{name} has less than resnet50."
    assert result.details == "In numbers: 0.1. More."
    alone = Result({}, {}, "B copies less.")
    assert (alone.headline, alone.details) == ("B copies less.", "")
