"""Parse the name of a model, and list the available names; no library is loaded to check a name."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradlens.models.sources import Adapter, adapter_of, registered_names

if TYPE_CHECKING:
    from torch import nn

    from gradlens.models.shape import InputShape


@dataclass(frozen=True)
class Source:
    """What a name says: the adapter, and the name of one of its networks.

    Attributes:
        adapter: builds the network.
        name: of the network, without the prefix of the adapter; for files their path.
    """

    adapter: Adapter
    name: str

    @property
    def file(self) -> str:
        """Path of the file from which the network is built; empty for the libraries."""
        return self.adapter.names.path(self.name)

    def build(self, shape: InputShape, pretrained: bool = False) -> nn.Module:
        """Build the network."""
        return self.adapter.build(self.name, shape, pretrained)


def source(name: str) -> Source:
    """Parse a model name; files need not exist.

    Raises:
        GradlensError: the name has no known form, or its library does not have the model.

    >>> source("nets/mine.py:small").name
    'nets/mine.py:small'
    """
    return Source(*adapter_of(name))


def model_names(pattern: str | None = None) -> list[str]:
    """List the models of timm, gradlens and, with their prefixes, torchvision and the other libraries.

    Args:
        pattern: a wildcard pattern (``cs*50``); without wildcards it matches anywhere in the name. Detectors with a
            backbone of timm are listed if it begins with their prefix (``fcos:*50``).
    """
    start = re.split(r"[*?\[]", pattern or "")[0]
    names = registered_names()
    names += [name for name in registered_names(start) if ":" in start and name not in set(names)]
    if not pattern:
        return names
    if not re.search(r"[*?\[]", pattern):
        pattern = f"*{pattern}*"
    return [name for name in names if fnmatch.fnmatchcase(name, pattern)]
