"""gradlens models: one name per line, and close names if none matches."""

from __future__ import annotations

from collections.abc import Callable

from click.testing import Result as Ran

from gradlens.catalogue.transitions import DEFAULT, STRATEGIES

Run = Callable[..., Ran]


def test_names_are_listed_one_per_line(run: Run) -> None:
    ran = run("models", "cspresnet50")
    assert ran.exit_code == 0
    assert {"cspresnet50", "cspresnet50d", "cspresnet50w"} <= set(ran.stdout.splitlines())
    assert ran.stderr == ""


def test_the_error_for_an_unknown_name_suggests_similar_names(run: Run) -> None:
    ran = run("models", "resnet5O")
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert "did you mean" in ran.stderr
    assert "resnet50" in ran.stderr


def test_the_error_for_a_pattern_without_matches_is_one_line(run: Run) -> None:
    ran = run("models", "qqqqqq*")
    assert ran.exit_code == 1
    assert ran.stderr.startswith("error: no model matches 'qqqqqq*'")


def test_the_strategies_are_listed_with_their_programs(run: Run) -> None:
    ran = run("models", "--csp", "resnet18")
    assert ran.exit_code == 0
    assert ran.stdout.split() == ["resnet18@csp"]
    for name, strategy in STRATEGIES.items():
        assert [name, *strategy.program.split()] in [line.split() for line in ran.stderr.splitlines()]


def test_the_help_of_strategies_shows_the_programs_and_the_default(run: Run) -> None:
    text = " ".join(run("strategies", "--help").stdout.split())
    assert f"[default: {','.join(DEFAULT)}]" in text
    for name, strategy in STRATEGIES.items():
        assert f"{name} {strategy.program}" in text
