"""Where networks come from: one lazy adapter per library or kind of file. Reading a name loads no library."""

from gradlens.models.sources.adapter import Adapter, Names
from gradlens.models.sources.registry import ADAPTERS, FORMS, adapter_of, registered_names

__all__ = ["ADAPTERS", "FORMS", "Adapter", "Names", "adapter_of", "registered_names"]
