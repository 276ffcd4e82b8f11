"""Notebooks that teach gradlens, and the command that runs them again."""
