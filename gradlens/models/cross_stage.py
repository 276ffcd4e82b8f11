"""Make the stages of a network cross stage partial (Wang et al. 2019, arXiv 1911.11929)."""

from __future__ import annotations

import copy
import functools
import warnings
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gradlens.catalogue.transitions import CUT, GAMMA, PARTIAL, check_options
from gradlens.errors import GradlensError, ModelNote
from gradlens.models.cutting import Cuttable, Refused
from gradlens.models.examining import examine
from gradlens.models.finding import put
from gradlens.models.stage import CspStage, Parts, Style, private_generator
from gradlens.models.transitions import TRANSITIONS, Widths
from gradlens.models.trial import ERRORS, evaluating, image_for
from gradlens.randomness import seeded


class StageNotCut(ModelNote):
    """Warns that a stage is not cut, with the reason."""


def cspify(
    model: nn.Module,
    strategy: str = "csp",
    *,
    gamma: float = GAMMA,
    partial: str = PARTIAL,
    cut: str = CUT,
    stages: Sequence[str] | str | None = None,
    image_size: int | tuple[int, int, int] | None = None,
    seed: int | None = None,
) -> nn.Module:
    """Return a copy of a network whose stages are cross stage partial; the original does not change.

    The modules of a stage up to the last change of resolution or width stay whole. The rest is cut:
    ``round(gamma · c)`` channels (at least 1, at most c − 1) bypass the block, and the other channels pass
    through it, rebuilt at their width (``narrowed``; in a dense block only the inputs shrink and the growth
    rate stays, as in the paper's count ``(c m + (m² + m) d) / 2``).

    Args:
        model: has stages called ``layer1``, ``stages.0``, ``blocks.0``, ``s1`` or
            ``denseblock1``, each a sequence of blocks, or blocks that return the shape that they read.
        strategy: a key of ``TRANSITIONS``; ``none`` returns a plain copy.
        gamma: share of channels that bypasses the block, 0 <= gamma < 1. The paper does not define its γ; its
            FLOPs fall with γ, which fits this reading. With 0 nothing is cut off and the block keeps its width: only
            the strategy's transitions are added, which is the control that tells their effect from that of the cut.
        partial: ``split`` cuts channels, ``project`` makes the parts by two 1x1 convolutions.
        cut: channels of a split that bypass the block: the ``first`` ones, or as many drawn at ``random``, once for
            each stage when the network is built. They are stored in the buffer ``cut.order`` of the stage.
        stages: module paths to cut, in a list or separated by commas; None finds the stages by
            name or, if no module has such a name, by the shapes of their blocks.
        image_size: size of a test image that runs through the model: side, or (channels, height, width);
            None uses the model's configuration, else 64.
        seed: determines the weights of the new layers and the channels of a random cut; None draws them from the
            global random state.

    Raises:
        GradlensError: an unknown strategy, partial or cut, gamma outside [0, 1), or 0 with a strategy that adds no
            transition, no stage that can be cut, or a named stage that cannot be cut.

    Warns:
        StageNotCut: a stage found by name is not cut.
    """
    check_options(strategy, gamma, partial, cut, known=TRANSITIONS)
    if not isinstance(model, nn.Module):
        raise GradlensError(
            f"a {type(model).__name__} is not a torch.nn.Module; load_model builds one from a name"
        )
    if any(parameter.is_meta for parameter in model.parameters()):
        raise GradlensError(
            f"{type(model).__name__} is on the meta device, so no forward pass can verify its stages; make it "
            "on a real device first"
        )
    rebuilt = copy.deepcopy(model)
    if strategy == "none":
        return rebuilt
    stages = [path.strip() for path in stages.split(",")] if isinstance(stages, str) else stages
    if stages is not None and not all(isinstance(path, str) for path in stages):
        raise GradlensError(f"stages={list(stages)!r}; give module paths such as ['layer1', 'layer2']")
    image = image_for(rebuilt, image_size)
    with evaluating(rebuilt):
        candidates = examine(rebuilt, image, stages)
        before = _output_shapes(rebuilt, image, candidates)
    cuts = _cuttable(candidates, named=stages is not None)
    style = Style.of(model)
    with seeded(seed):
        draws = private_generator() if cut == "random" else None
        for cuttable in cuts:
            training = rebuilt.get_submodule(cuttable.path).training
            stage = _stage(cuttable, strategy, gamma, Parts(partial, style, draws), training)
            _install(rebuilt, cuttable, stage.to(image))
    _check_shapes(rebuilt, image, cuts, before)
    return rebuilt


def _cuttable(candidates: Sequence[Cuttable | Refused], named: bool) -> list[Cuttable]:
    refused = [f"{stage.path}: {stage.reason}" for stage in candidates if isinstance(stage, Refused)]
    cuts = [stage for stage in candidates if isinstance(stage, Cuttable)]
    if refused and (named or not cuts):
        raise GradlensError(f"cannot be made cross stage partial: {'; '.join(refused[:4])}")
    for reason in refused:
        warnings.warn(f"not cut: {reason}", StageNotCut, stacklevel=3)
    return cuts


def _stage(cut: Cuttable, strategy: str, gamma: float, parts: Parts, training: bool) -> CspStage:
    """Build the stage; ``training`` sets the mode of the new layers, the network's own layers keep theirs."""
    if cut.channels < 2 and gamma:
        raise GradlensError(f"{cut.path} has {cut.channels} channel and cannot be cut")
    bypass = min(max(round(gamma * cut.channels), 1), cut.channels - 1) if gamma else 0
    dense = cut.channels - bypass
    widths = Widths(bypass, dense + cut.grows, cut.out)
    if widths.out <= bypass:
        raise GradlensError(
            f"{cut.path}: {bypass} of {cut.channels} channels would bypass the block, and the stage's output has "
            f"only {cut.out}; use a smaller gamma"
        )

    layer = functools.partial(parts.style.layer, cut.preactivated)
    try:
        transition = TRANSITIONS[strategy](widths, layer, cut.pool)
    except GradlensError as error:
        raise GradlensError(f"{cut.path}: {error}") from error
    stage = CspStage(
        lead=nn.Sequential(*copy.deepcopy(cut.lead)),
        cut=parts.module(bypass, dense).train(training),
        blocks=cut.rebuild(bypass),
        transition=transition.train(training),
    )
    for whole in (stage, stage.lead, stage.blocks):
        whole.training = training
    return stage


def _install(model: nn.Module, cut: Cuttable, stage: CspStage) -> None:
    put(model, cut.path, model.get_submodule(cut.path), stage)
    for path in (cut.absorbed, *cut.joined):
        if path:
            put(model, path, model.get_submodule(path), nn.Identity().train(stage.training))


def _check_shapes(
    model: nn.Module, image: Tensor, cuts: Sequence[Cuttable], before: dict[str, torch.Size]
) -> None:
    """Run the rebuilt network to check that every stage has the output shape of the baseline."""
    with evaluating(model):
        try:
            after = _output_shapes(model, image, cuts)
        except ERRORS as error:
            raise GradlensError(
                f"a block does not run at the width of a part ({' '.join(str(error).split())[:200]}), although it does "
                "at half its width: its channel counts cannot be rounded alike; use another gamma, such as 0.5 or 0.25"
            ) from error
    wrong = [path for path in after if after[path] != before[path]]
    if wrong:
        raise GradlensError(
            f"{wrong[0]} returns {tuple(after[wrong[0]])}, but {tuple(before[wrong[0]])} in the baseline"
        )


def _output_shapes(
    model: nn.Module, image: Tensor, stages: Sequence[Cuttable | Refused]
) -> dict[str, torch.Size]:
    """Return the shape at the end of each stage that can be cut, after the network's own transition."""
    shapes: dict[str, torch.Size] = {}
    handles = []
    for stage in stages:
        if isinstance(stage, Cuttable):
            end = model.get_submodule(stage.end)
            path = stage.path
            handles.append(
                end.register_forward_hook(lambda m, a, out, path=path: shapes.update({path: out.shape}))
            )
    try:
        with torch.no_grad():
            model(image)
    finally:
        for handle in handles:
            handle.remove()
    return shapes
