"""Networks from darknet's definition and weight files, the format of the CSPNet authors."""

from gradlens.models.darknet.cfg import parse_cfg, read_cfg
from gradlens.models.darknet.counting import darknet_flops
from gradlens.models.darknet.detection import detection_losses
from gradlens.models.darknet.network import DarknetModel, darknet_model, with_head_of
from gradlens.models.darknet.weights import load_weights

__all__ = [
    "DarknetModel",
    "darknet_flops",
    "darknet_model",
    "detection_losses",
    "load_weights",
    "parse_cfg",
    "read_cfg",
    "with_head_of",
]
