"""Data and libraries in the page: no name can end a script, and libraries are as published."""

import hashlib
import json
import re
from importlib.resources import files

import pandas as pd
import pytest

from gradlens.results import Table
from gradlens.showing.embedding import LIBRARIES, as_json, script, table_data

VENDOR = files("gradlens.showing") / "assets" / "vendor"


@pytest.mark.parametrize("text", ["</script>", "<!--", "a & b", "\u2028", "]]>", '"', "\\"])
def test_json_can_contain_any_text_and_cannot_end_a_script(text):
    encoded = as_json({"name": text})
    assert json.loads(encoded) == {"name": text}
    assert not re.search("[<>&\u2028]", encoded)


def test_a_table_is_stored_by_column():
    frame = pd.DataFrame(
        {
            "network": ["a", "b", None],
            "rms": [0.123456789, float("nan"), float("inf")],
            "layers": [1, 2, 3],
            "flops": [1e9, 2.0, 3.0],
            "dead": [True, False, True],
        }
    )
    data = table_data(Table("t", frame, "", units={"rms": "u"}))
    columns = {column["name"]: column for column in data["columns"]}
    assert columns["network"]["codes"] == [0, 1, -1]
    assert columns["network"]["levels"] == ["a", "b"]
    assert columns["rms"]["values"] == [0.123456789, None, "inf"]
    assert columns["rms"]["unit"] == "u"
    assert {name: column["kind"] for name, column in columns.items()} == {
        "network": "text", "rms": "number", "layers": "integer", "flops": "count", "dead": "flag",
    }  # fmt: skip
    json.loads(as_json(data))


def test_libraries_are_as_published():
    sums = dict(line.split()[::-1] for line in (VENDOR / "SHA256SUMS").read_text().splitlines())
    named = {name.removeprefix("vendor/") for name in LIBRARIES}
    assert set(sums) == named
    listed = (VENDOR / "README.md").read_text()
    for name, expected in sums.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == expected
        assert name in listed
        licence = name.removesuffix(".js").removesuffix(".min")
        assert (VENDOR / f"LICENSE.{licence}").is_file()


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_library_cannot_end_its_script_tag(name):
    assert "</script" not in script(name).lower()
    assert "sourceMappingURL" not in script(name)
