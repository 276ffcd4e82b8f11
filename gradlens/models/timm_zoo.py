"""Models of timm."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import timm
from torch import nn

from gradlens.errors import GradlensError
from gradlens.models.downloads import offline_if_unreachable
from gradlens.models.shape import InputShape
from gradlens.models.sources.registry import unknown_model


def timm_model(name: str, shape: InputShape, pretrained: bool) -> nn.Module:
    """Build a model of timm; a network of fixed input size is built for ``shape.image_size``.

    Raises:
        GradlensError: timm has no such model or weights, cannot fetch them, or cannot
            build the model for this shape.
    """
    return _created(name, shape, pretrained, num_classes=shape.num_classes)


def feature_model(name: str, shape: InputShape, pretrained: bool) -> nn.Module:
    """Build the backbone of a model of timm: it returns a list of features ``[n, c, h, w]`` of falling resolution.

    Raises:
        GradlensError: as ``timm_model``, or timm does not return features of this model.
    """
    return _created(name, shape, pretrained, features_only=True)


def _created(name: str, shape: InputShape, pretrained: bool, **options: Any) -> nn.Module:
    try:
        with offline_if_unreachable(pretrained):
            return _with_size_if_accepted(name, shape, pretrained, options)
    except OSError as error:
        if not pretrained:
            raise _reason(name, error) from error
        raise GradlensError(
            f"the pretrained weights of {name} are not in the cache and cannot be downloaded;"
            " connect to the internet, or give a file of weights as checkpoint=FILE"
        ) from error
    except Exception as error:
        raise _reason(name, error) from error


def _with_size_if_accepted(
    name: str, shape: InputShape, pretrained: bool, options: Mapping[str, Any]
) -> nn.Module:
    create = functools.partial(
        timm.create_model, name, pretrained=pretrained, in_chans=shape.in_chans, **options
    )
    if shape.image_size is not None:
        try:
            return create(img_size=shape.image_size)
        except TypeError as error:
            if "img_size" not in str(error):
                raise
    return create()


def _reason(name: str, error: Exception) -> GradlensError:
    text = " ".join(str(error).split())
    if "Unknown model" in text:
        return unknown_model(name)
    if "No pretrained weights exist" in text:
        return GradlensError(
            f"timm has no pretrained weights for {name}; leave out pretrained=True, or give checkpoint=FILE"
        )
    if "Invalid pretrained tag" in text:
        base, tag = name.split(".", 1)
        tags = [full.split(".", 1)[1] for full in timm.list_pretrained(f"{base}.*")]
        return GradlensError(
            f"timm's {base} has no weights tagged {tag!r}; it has {', '.join(tags) or 'none'}"
        )
    return GradlensError(f"timm cannot build {name} for this shape: {type(error).__name__}: {text}")
