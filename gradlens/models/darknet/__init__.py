"""Networks from darknet's definition and weight files, the format of the CSPNet authors."""

from gradlens.models.darknet.cfg import parse_cfg, read_cfg
from gradlens.models.darknet.network import DarknetModel, darknet_model, with_head_of
from gradlens.models.darknet.weights import load_weights

__all__ = ["DarknetModel", "darknet_model", "load_weights", "parse_cfg", "read_cfg", "with_head_of"]
