"""The networks of a study: names, modules and factories, with distinct labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from gradlens.errors import GradlensError
from gradlens.models.spec import NetworkSpec
from gradlens.models.supplied import Network, title_of
from gradlens.results.labels import renamed
from gradlens.studies.cell import Subject, Weights
from gradlens.studies.options import Study

Labels = Sequence[str] | Mapping[str, str]
"""One label per network, or labels by the names of some networks."""


def subjects(
    networks: Sequence[Network], checkpoints: Sequence[Weights], labels: Labels = ()
) -> list[Subject]:
    """Give networks distinct labels: repeated names are followed by their file of weights or their position.

    Args:
        networks: names, modules and factories.
        checkpoints: one file of weights or None per network.
        labels: one label per network; empty to use names. Labels by name are checked only: a result is relabelled at
            the end.

    Raises:
        GradlensError: a network is of another kind, a module has a checkpoint, or the labels do not fit.
    """
    named = [_subject(network, checkpoint) for network, checkpoint in zip(networks, checkpoints, strict=True)]
    chosen = _distinct(named)
    if isinstance(labels, Mapping):
        renamed(chosen, labels)
    elif labels:
        chosen = _checked(labels, len(named))
    return [
        Subject(subject.spec, label, subject.checkpoint, subject.supplied)
        for subject, label in zip(named, chosen, strict=True)
    ]


def unvaried(study: Study, networks: Sequence[Subject]) -> list[str]:
    """Return the labels of networks that have the same weights and the same batches for every seed.

    Raises:
        GradlensError: all have, so that the seeds vary nothing.
    """
    source = study.supply.batches
    fixed = [network.label for network in networks if network.stored or study.pretrained]
    if source is None or study.seeds == 1 or not fixed:
        return []
    first, second = (source.batches(seed, study.batches, 0).identity["sha256"] for seed in (0, 1))
    if first != second:  # the loader shuffles
        return []
    if len(fixed) == len(networks):
        raise GradlensError(
            f"seeds={study.seeds} would measure the same weights on the same batches each time; use seeds=1, whose "
            "intervals are over batches, a loader that shuffles, or a function that builds the network: lambda seed: "
            "Net()"
        )
    return fixed


def check_weights(study: Study, networks: Sequence[Subject]) -> None:
    """Check that options about weights have a network that they are about.

    Raises:
        GradlensError: pretrained weights of a factory or of modules only, or stages without a strategy.
    """
    factories = [
        n.label for n in networks if n.supplied is not None and not isinstance(n.supplied, nn.Module)
    ]
    if study.pretrained and factories:
        raise GradlensError(
            f"pretrained=True loads weights by the name of a model, and {factories[0]} is a function; load them in it"
        )
    if study.pretrained and all(network.supplied is not None for network in networks):
        raise GradlensError("pretrained=True loads weights by the name of a model; a module keeps its own")
    if study.stages and not any(network.spec.csp or network.spec.twin for network in networks):
        raise GradlensError(
            f"stages={study.stages!r} are cut by a transition strategy, and no network has one; write NAME@csp, or use "
            "strategies"
        )


def _subject(network: Network, checkpoint: Weights) -> Subject:
    if isinstance(network, str):
        spec = NetworkSpec.parse(network)
        return Subject(spec, network, checkpoint)
    if not isinstance(network, nn.Module) and not callable(network):
        raise GradlensError(
            f"a {type(network).__name__} is not a network; give a name such as 'resnet50', a torch.nn.Module, or a "
            "function that returns one: lambda seed: Net()"
        )
    if checkpoint is not None and isinstance(network, nn.Module):
        raise GradlensError(
            f"checkpoint={str(checkpoint)!r} belongs to a {type(network).__name__} that is measured as it is; load the "
            "weights into it, or give a function that builds it"
        )
    title = title_of(network)
    return Subject(NetworkSpec(title), title, checkpoint, network)


def _distinct(subjects: Sequence[Subject]) -> list[str]:
    names = [subject.label for subject in subjects]
    labels = list(names)
    for name in {name for name in names if names.count(name) > 1}:
        positions = [index for index, other in enumerate(names) if other == name]
        tags = [str(subjects[index].checkpoint or index + 1) for index in positions]
        if len(set(tags)) < len(tags):
            tags = [f"{tag}, {index + 1}" for tag, index in zip(tags, positions, strict=True)]
        for index, tag in zip(positions, tags, strict=True):
            labels[index] = f"{name} [{tag}]"
    return labels


def _checked(labels: Sequence[str], count: int) -> list[str]:
    texts = [labels] if isinstance(labels, str) else [str(label).strip() for label in labels]
    if len(texts) != count:
        raise GradlensError(
            f"{len(texts)} labels for {count} networks; give one for each, or leave out labels="
        )
    if len(set(texts)) < count or not all(texts):
        raise GradlensError(f"labels={texts} are empty or alike; give each network a label of its own")
    return texts
