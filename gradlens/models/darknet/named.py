"""The network of a cfg file by its path, as the registry of sources builds it."""

from __future__ import annotations

from pathlib import Path

from gradlens.models.darknet.network import DarknetModel, darknet_model
from gradlens.models.shape import InputShape


def cfg_model(name: str, shape: InputShape, pretrained: bool = False) -> DarknetModel:
    """Build the network of the cfg file at path ``name`` (see ``darknet_model``); there are no pretrained weights."""
    return darknet_model(Path(name), shape)
