"""The command line of gradlens, installed as ``gradlens_cli``."""

from .foreign import refuse_foreign_package

refuse_foreign_package()
