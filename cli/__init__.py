"""The command line of gradlens, installed as ``gradlens_cli``."""
