"""Errors of a network on the data of a study: found before the first measurement, and explained in one sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from torch import nn

from gradlens.data import Batches
from gradlens.data.checks import in_bytes
from gradlens.data.tokens import Tokens, is_tokens
from gradlens.errors import CallerError, GradlensError, callers_errors
from gradlens.hooks.checks import check_same_size, checked_size
from gradlens.hooks.dry import SAMPLES
from gradlens.hooks.rehearsal import rehearse
from gradlens.memory import free_bytes
from gradlens.studies.cell import samples_of
from gradlens.studies.options import Study
from gradlens.studies.steps import step_for, summed

UNFIT = (RuntimeError, ValueError, IndexError, AssertionError, TypeError)
"""Exceptions of torch if data do not fit a network."""
SEQUENTIAL = (nn.RNNBase, nn.RNNCellBase)
SMALL = re.compile(
    r"[Kk]ernel size can't be greater|[Oo]utput size is too small|more than 1 (spatial element|value per channel)"
    r"|[Pp]adding size should be less|too small|non-zero size|smaller than kernel|should be greater than zero"
)
"""What torch says of images that a network shrinks to less than a pixel."""
SIZED = re.compile(r"doesn't match model|Wrong image (height|size|width)|[Ii]nput.* size .* (match|expected)")
"""What libraries say of images of another size than the network is made for."""
CHANNELS = re.compile(r"to have (\d+) channels?, but got (\d+) channels?")


def few_samples(study: Study) -> Batches:
    """Return the data of the first seed: all that the caller supplies, but only one small batch of data by name.

    Raises:
        GradlensError: as ``samples_of``, or the caller's batches differ in size.
    """
    if study.supply.batches is not None:
        data = samples_of(study, 0)
        sizes = [checked_size(index, batch, study.watch) for index, batch in enumerate(data)]
        for index, size in enumerate(sizes):
            check_same_size(index, size, sizes[0])
        return data
    return samples_of(replace(study, batch_size=SAMPLES), 0, batches=1)


def try_network(study: Study, model: nn.Module, name: str, data: Batches) -> None:
    """Run the network on a few samples, so that its errors come before any measurement.

    Args:
        study: the options.
        model: the network.
        name: its name in messages.
        data: from ``few_samples``.

    Raises:
        GradlensError: it does not run, or a backward pass of a batch would need more memory than is free.
    """
    step = step_for(study.supply, data)
    run = None if step is None else summed(step)
    with explain_misfit(name, data, model):
        saved = rehearse(model, data[0], study.watch, loss=study.supply.loss, step=run)
    free, needed = free_bytes(), saved * study.batch_size
    if free is not None and needed > free:
        images = "" if data.described else " or image_size="
        raise GradlensError(
            f"a backward pass of {name} on a batch of {study.batch_size} samples saves about {in_bytes(needed)}, and "
            f"{in_bytes(free)} are free; use a smaller batch_size={images}"
        )


@contextmanager
def explain_misfit(name: str, data: Batches, model: nn.Module) -> Iterator[None]:
    """Turn an error of torch about data that do not fit a network into one sentence.

    Raises:
        GradlensError: the block raised such an error.
    """
    try:
        with callers_errors("model"):
            yield
    except (CallerError, *UNFIT) as error:
        cause = error.__cause__ if isinstance(error, CallerError) else error
        if not isinstance(cause, UNFIT):
            raise
        first_line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        advice = _advice(first_line, data, model)
        if "memory" in first_line:
            first_line = "the memory is full"
        raise GradlensError(
            f"{name} fails on {data}: {first_line}{f' ({advice})' if advice else ''}"
        ) from error


def _advice(message: str, data: Batches, model: nn.Module) -> str:
    """Return what to do about a message of torch; empty if that cannot be told from it."""
    if message.startswith(("your step raised", "your loss raised")):
        return ""
    tokens = is_tokens(str(data.identity.get("name", "")))
    embeddings = [(path, m) for path, m in model.named_modules() if isinstance(m, nn.Embedding)]
    if "memory" in message:
        return "use a smaller batch_size=" if data.described else "use a smaller batch_size= or image_size="
    if tokens and ("out of range" in message or "out of bounds" in message):
        return _of_tokens(str(data.identity["name"]), embeddings, data)
    if "arget" in message and "out of bounds" in message:
        return f"its head has fewer classes than the data, {data.num_classes}"
    if not tokens and embeddings and ("Long" in message or "indices" in message):
        if data.described:
            return "an embedding reads whole numbers; use batches of token numbers, of type torch.long"
        return "a network of tokens needs input=tokens:length=32,vocabulary=100"
    if embeddings and data.described and "out of range" in message:
        return f"{_entries(embeddings)}; use batches of token numbers and positions below that"
    if data.described:
        return "if the network takes other inputs, use other batches, or step="
    if any(isinstance(m, SEQUENTIAL) for m in model.modules()) and not _has_images(model):
        return "a recurrent network reads sequences; use a step= that makes them of the images"
    return _of_images(message, data)


def _has_images(model: nn.Module) -> bool:
    return any(isinstance(module, nn.Conv2d) for module in model.modules())


def _entries(embeddings: list[tuple[str, nn.Embedding]]) -> str:
    return ", ".join(f"{path} has {layer.num_embeddings} entries" for path, layer in embeddings)


def _of_tokens(name: str, embeddings: list[tuple[str, nn.Embedding]], data: Batches) -> str:
    """Return which embedding is smaller than the tokens or the length of the sequences, and the input that fits."""
    form = Tokens.parse(name, data.num_classes)
    least = min((layer.num_embeddings for _, layer in embeddings), default=0)
    if not least:
        return "lower the vocabulary or the length of the tokens"
    length, vocabulary = min(form.length, least), min(form.vocabulary, least)
    return f"{_entries(embeddings)}; use input=tokens:length={length},vocabulary={vocabulary}"


def _of_images(message: str, data: Batches) -> str:
    channels = CHANNELS.search(message)
    if channels and int(channels[2]) == data.in_chans:
        return f"the network takes images of {channels[1]} channels, and these have {channels[2]}"
    if SIZED.search(message):
        return "the network is made for images of another size; use that image_size="
    if SMALL.search(message):
        return "if the images are too small for the network, use a larger image_size="
    if "mat1 and mat2" in message:
        return "if the network is made for images of another size, use that image_size="
    return ""
