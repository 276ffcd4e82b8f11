"""One entry to every check: ``nox -l`` lists them, ``nox -s lint types`` runs some."""

import nox

nox.options.sessions = ["lint", "types", "layers", "tests"]


@nox.session
def lint(session: nox.Session) -> None:
    """Style and formatting."""
    session.install("ruff>=0.6")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Types, strictly."""
    session.install("-e", ".[dev]")
    session.run("mypy")


@nox.session
def layers(session: nox.Session) -> None:
    """Who may import whom."""
    session.install("-e", ".[dev]")
    session.run("lint-imports")


@nox.session
def tests(session: nox.Session) -> None:
    """The whole suite, doctests and notebooks included."""
    session.install("-e", ".[test]")
    session.run("pytest", *session.posargs, env={"HF_HUB_OFFLINE": "1"})


@nox.session
def notebooks(session: nox.Session) -> None:
    """Execute the notebooks."""
    session.install("-e", ".[test]")
    session.run("pytest", "tests/notebooks", env={"HF_HUB_OFFLINE": "1"})


@nox.session
def refresh(session: nox.Session) -> None:
    """Run the notebooks again and save them; takes the beginnings of their names."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "notebooks.run", *session.posargs, env={"HF_HUB_OFFLINE": "1"})


@nox.session
def docs(session: nox.Session) -> None:
    """Build the pages into build/docs; a warning is an error."""
    session.install("-e", ".[docs]")
    session.run("sphinx-build", "-W", "--keep-going", "-q", "docs", "build/docs")


@nox.session
def screenshots(session: nox.Session) -> None:
    """Make the pictures of the page in README and docs anew; takes the folder of a run, else measures one."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "docs.screenshots", *session.posargs, env={"HF_HUB_OFFLINE": "1"})


@nox.session
def bench(session: nox.Session) -> None:
    """Cost of capturing against a plain step; prints JSON."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "benchmarks.overhead", *session.posargs)


@nox.session
def performance(session: nox.Session) -> None:
    """Measure speed and memory beside other tools, and write docs/performance.md; --only SECTION for a part."""
    session.install("-e", ".[test]", "-r", "benchmarks/peers.txt")
    session.run("python", "-m", "benchmarks.performance", "--measure", *session.posargs)
