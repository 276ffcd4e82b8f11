"""The arguments of a watch: what is refused, in one line."""

from __future__ import annotations

import pytest
from torch import nn
from watching.loops import network

from gradlens.errors import GradlensError
from gradlens.watching.watching import watch


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": 0}, "every=0 is not a number of steps"),
        ({"every": 2.5}, "every=2.5 is not a number of steps"),
        ({"space": "weights"}, "space of activations"),
        ({"evry": 2}, "did you mean every"),
        ({"to": "flow"}, r"to='flow' is a path, not a log; give to=gl.CsvLog\('flow'\)"),
        ({"to": [3]}, "a int, which is not a log"),
        ({"scaler": 1024.0}, "scaler= is a float"),
        ({"keep": -1}, "keep=-1 is not a number"),
        ({"on_alarm": 3}, "on_alarm= is a int"),
    ],
)
def test_wrong_options_are_refused_in_one_line(options: dict[str, object], message: str) -> None:
    with pytest.raises(GradlensError, match=message):
        watch(network(), **options)


def test_a_model_of_fully_shard_is_refused_in_one_line() -> None:
    sharded = type("FSDPLinear", (nn.Linear,), {})  # as fully_shard names the class
    with pytest.raises(GradlensError, match="fully_shard splits the parameters"):
        watch(nn.Sequential(sharded(2, 2)))
