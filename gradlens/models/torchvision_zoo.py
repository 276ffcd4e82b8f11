"""Classification models of torchvision, adapted to the classes and channels of the data."""

from __future__ import annotations

import contextlib
import sys

import torch
from torch import nn
from torchvision.models import get_model, get_model_weights

from gradlens.errors import GradlensError
from gradlens.models.checkpoint import misfits
from gradlens.models.downloads import socket_timeout
from gradlens.models.shape import InputShape

# Without auxiliary heads the output is one tensor in train mode; init_weights repeats the default, because
# leaving it out warns.
EXTRA: dict[str, dict[str, bool]] = {
    "googlenet": {"aux_logits": False, "init_weights": True},
    "inception_v3": {"aux_logits": False, "init_weights": True},
}


def torchvision_model(name: str, shape: InputShape, pretrained: bool) -> nn.Module:
    """Build a model of torchvision whose head and first convolution fit the data.

    Pretrained weights are loaded into every layer that they fit; the head is new if the classes differ.

    Raises:
        GradlensError: the weights cannot be downloaded, they do not fit layers other than the head and the first
            convolution, or the model cannot be built for this shape.
    """
    model = _build(name, shape)
    state = _pretrained_state(name) if pretrained else None
    if shape.in_chans != 3:
        _replace_first_convolution(name, model, shape.in_chans, state)
    if state is not None:
        _load_fitting(name, model, state)
    return model


def _build(name: str, shape: InputShape) -> nn.Module:
    options: dict[str, int | None] = {**EXTRA.get(name, {}), "weights": None}
    if shape.num_classes is not None:
        options["num_classes"] = shape.num_classes
    try:
        return _with_size_if_accepted(name, shape, options)
    except Exception as error:
        text = " ".join(str(error).split())
        raise GradlensError(
            f"torchvision cannot build {name} for this shape: {type(error).__name__}: {text}"
        ) from error


def _with_size_if_accepted(name: str, shape: InputShape, options: dict[str, int | None]) -> nn.Module:
    model: nn.Module
    if shape.image_size is not None:
        try:
            model = get_model(name, image_size=shape.image_size, **options)
            return model
        except TypeError as error:
            if "image_size" not in str(error):
                raise
    model = get_model(name, **options)
    return model


def _pretrained_state(name: str) -> dict[str, torch.Tensor]:
    """Return the state of torchvision's pretrained model; torchvision itself reads its old files."""
    try:
        with socket_timeout(), contextlib.redirect_stdout(sys.stderr):  # torch.hub prints there
            weights = get_model_weights(name).DEFAULT
            model: nn.Module = get_model(name, weights=weights, progress=False)
    except (OSError, RuntimeError, AttributeError) as error:
        raise GradlensError(
            f"the pretrained weights of torchvision:{name} are not in the cache and cannot be downloaded;"
            " connect to the internet, or give a file of weights as checkpoint=FILE"
        ) from error
    return model.state_dict()


def _replace_first_convolution(
    name: str, model: nn.Module, in_chans: int, state: dict[str, torch.Tensor] | None
) -> None:
    """Replace the convolution that reads RGB by one of ``in_chans`` channels.

    Fresh weights keep the standard deviation of the old ones; pretrained weights are averaged over the colours
    and scaled so that the output for a grey image does not change.
    """
    path, old = _first_convolution(name, model)
    new = nn.Conv2d(
        in_chans, old.out_channels, old.kernel_size, old.stride, old.padding, old.dilation,  # type: ignore[arg-type]
        bias=old.bias is not None, padding_mode=old.padding_mode,
    )  # fmt: skip
    with torch.no_grad():
        new.weight.normal_(0.0, float(old.weight.std()))
        if new.bias is not None and old.bias is not None:
            new.bias.copy_(old.bias)
    parent, _, last = path.rpartition(".")
    setattr(model.get_submodule(parent), last, new)
    if state is not None:
        grey = state[f"{path}.weight"].sum(dim=1, keepdim=True) / in_chans
        state[f"{path}.weight"] = grey.expand(-1, in_chans, -1, -1)


def _first_convolution(name: str, model: nn.Module) -> tuple[str, nn.Conv2d]:
    for path, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            if module.in_channels == 3 and module.groups == 1:
                return path, module
            break
    raise GradlensError(f"torchvision:{name} does not begin with an RGB convolution; use 3-channel images")


def _load_fitting(name: str, model: nn.Module, state: dict[str, torch.Tensor]) -> None:
    expected = model.state_dict()
    fitting = {
        key: value for key, value in state.items() if key in expected and expected[key].shape == value.shape
    }
    head = _head(model)
    problems = [text for key, text in misfits(expected, fitting) if key.rpartition(".")[0] != head]
    if problems:
        raise GradlensError(
            f"the pretrained weights of torchvision:{name} do not fit layers of this model other than its head:"
            f" {problems[0]} ({len(problems)} problems); use the default image size, or leave out pretrained=True"
        )
    model.load_state_dict(fitting, strict=False)


def _head(model: nn.Module) -> str:
    """Return the path of the last weighted layer, which is linear or, in SqueezeNet, a convolution."""
    weighted = (nn.Linear, nn.Conv2d)
    paths: list[str] = [path for path, module in model.named_modules() if isinstance(module, weighted)]
    return paths[-1]
