"""Run the command line with ``python -m gradlens``."""

from gradlens_cli.app import gradlens

if __name__ == "__main__":
    gradlens(prog_name="gradlens")
