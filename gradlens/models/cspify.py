"""Any network with stages made cross stage partial (Wang et al. 2019, arXiv 1911.11929)."""

from __future__ import annotations

import copy
import functools
import warnings
from collections.abc import Sequence
from numbers import Real

import torch
from torch import Tensor, nn

from gradlens.errors import GradlensError, ModelNote, close_matches
from gradlens.models.cutting import Cuttable, Refused, examine
from gradlens.models.stage import CspStage, Project, Split, Style
from gradlens.models.transitions import TRANSITIONS, Widths
from gradlens.randomness import seeded

PARTIALS = ("split", "project")


class StageNotCut(ModelNote):
    """A stage was left whole, with the reason."""


def cspify(
    model: nn.Module,
    strategy: str = "csp",
    *,
    gamma: float = 0.5,
    partial: str = "split",
    stages: Sequence[str] | str | None = None,
    image_size: int | tuple[int, int, int] | None = None,
    seed: int | None = None,
) -> nn.Module:
    """A copy of a network whose stages are cross stage partial; the network itself is left alone.

    Of each stage the modules up to the last change of resolution or width stay whole; what follows is
    cut: ``round(gamma · c)`` channels (at least 1, at most c − 1) go round, the others through the
    block, rebuilt at their width (``narrowed``; in a dense block only the inputs shrink, the growth
    rate stays, as in the paper's count ``(c m + (m² + m) d) / 2``).

    Args:
        model: its stages are modules called ``layer1``, ``stages.0``, ``blocks.0``, ``s1`` or
            ``denseblock1``, each a sequence of blocks.
        strategy: one of ``TRANSITIONS``; ``none`` gives a plain copy.
        gamma: share of channels that goes round the block, 0 < gamma < 1. The paper never defines its
            γ; its FLOPs fall with γ, so this is the reading that fits.
        partial: ``split`` cuts channels, ``project`` makes the parts by two 1x1 convolutions.
        stages: module paths to cut; None finds them by name.
        image_size: of the image that is run through to see shapes: side, or (channels, height, width);
            None asks the model, then 64.
        seed: of the new layers' weights; None draws from the global random state.

    Raises:
        GradlensError: an unknown strategy or partial, gamma outside (0, 1), no stage that can be cut, a
            named stage that cannot be.

    Warns:
        StageNotCut: for each stage found by name that stays whole.
    """
    check_options(strategy, gamma, partial)
    if not isinstance(model, nn.Module):
        raise GradlensError(
            f"a {type(model).__name__} is no torch.nn.Module; load_model makes one from a name"
        )
    if any(parameter.is_meta for parameter in model.parameters()):
        raise GradlensError(
            f"{type(model).__name__} is on the meta device, so no forward pass can verify its stages; make it "
            "on a real device first"
        )
    rebuilt = copy.deepcopy(model)
    if strategy == "none":
        return rebuilt
    stages = [stages] if isinstance(stages, str) else stages
    if stages is not None and not all(isinstance(path, str) for path in stages):
        raise GradlensError(f"stages={list(stages)!r}; give module paths such as ['layer1', 'layer2']")
    image = _image(rebuilt, image_size)
    with _evaluating(rebuilt), torch.random.fork_rng(devices=[]):
        found = examine(rebuilt, image, stages)
        before = _outputs(rebuilt, image, found)
    cuts = _chosen(found, named=stages is not None)
    style = Style.of(model)
    with seeded(seed):
        for cut in cuts:
            stage = _stage(cut, strategy, gamma, partial, style, rebuilt.get_submodule(cut.path).training)
            _install(rebuilt, cut, stage.to(image))
    _check_shapes(rebuilt, image, cuts, before)
    return rebuilt


def check_options(strategy: str, gamma: float, partial: str) -> None:
    """Refuse what ``cspify`` does not know.

    Raises:
        GradlensError: an unknown strategy or partial, or gamma outside (0, 1).
    """
    if strategy not in TRANSITIONS:
        names, near = ", ".join(TRANSITIONS), close_matches(str(strategy), TRANSITIONS)
        raise GradlensError(f"no transition strategy {strategy!r}; use one of {names}{near}")
    if partial not in PARTIALS:
        raise GradlensError(f"partial={partial!r} is not known; use one of {', '.join(PARTIALS)}")
    if not isinstance(gamma, Real) or not 0 < gamma < 1:
        raise GradlensError(
            f"gamma is {_told(gamma)}; it is the share of channels that goes round the block, between 0 and 1"
        )


def _told(gamma: object) -> str:
    return f"{gamma:g}" if isinstance(gamma, float) else repr(gamma)


def _chosen(found: Sequence[Cuttable | Refused], named: bool) -> list[Cuttable]:
    refused = [f"{stage.path}: {stage.reason}" for stage in found if isinstance(stage, Refused)]
    cuts = [stage for stage in found if isinstance(stage, Cuttable)]
    if refused and (named or not cuts):
        raise GradlensError(f"cannot be made cross stage partial: {'; '.join(refused[:4])}")
    for reason in refused:
        warnings.warn(f"left whole: {reason}", StageNotCut, stacklevel=3)
    return cuts


def _stage(
    cut: Cuttable, strategy: str, gamma: float, partial: str, style: Style, training: bool
) -> CspStage:
    """The stage, its new layers in the given mode and the network's own in theirs."""
    if cut.channels < 2:
        raise GradlensError(f"{cut.path} has {cut.channels} channel, which cannot be cut")
    bypass = min(max(round(gamma * cut.channels), 1), cut.channels - 1)
    dense = cut.channels - bypass
    widths = Widths(bypass, dense + cut.grows, cut.out)
    if widths.out <= bypass:
        raise GradlensError(
            f"{cut.path}: {bypass} of {cut.channels} channels would go round, and the stage's output has "
            f"only {cut.out}; use a smaller gamma"
        )

    project = functools.partial(Project, bypass, dense, functools.partial(style.layer, False))
    layer = functools.partial(style.layer, cut.preactivated)
    try:
        transition = TRANSITIONS[strategy](widths, layer, cut.pool)
    except GradlensError as error:
        raise GradlensError(f"{cut.path}: {error}") from error
    stage = CspStage(
        lead=nn.Sequential(*copy.deepcopy(cut.lead)),
        cut=(Split(bypass, dense) if partial == "split" else project()).train(training),
        blocks=cut.rebuild(bypass),
        transition=transition.train(training),
    )
    for whole in (stage, stage.lead, stage.blocks):
        whole.training = training
    return stage


def _install(model: nn.Module, cut: Cuttable, stage: CspStage) -> None:
    for path, module in ((cut.path, stage), (cut.absorbed, nn.Identity().train(stage.training))):
        if path:
            parent, _, name = path.rpartition(".")
            setattr(model.get_submodule(parent), name, module)


def _check_shapes(
    model: nn.Module, image: Tensor, cuts: Sequence[Cuttable], before: dict[str, torch.Size]
) -> None:
    """Run the rebuilt network: every stage must give what the baseline's gave."""
    with _evaluating(model), torch.random.fork_rng(devices=[]):
        try:
            after = _outputs(model, image, cuts)
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            raise GradlensError(
                f"a block does not run at a part's width ({' '.join(str(error).split())[:200]}); it keeps "
                "channel counts outside its layers, so it cannot be made cross stage partial"
            ) from error
    wrong = [path for path in after if after[path] != before[path]]
    if wrong:
        raise GradlensError(
            f"{wrong[0]} gives {tuple(after[wrong[0]])}, the baseline's gave {tuple(before[wrong[0]])}"
        )


def _outputs(model: nn.Module, image: Tensor, stages: Sequence[Cuttable | Refused]) -> dict[str, torch.Size]:
    """Shape at the end of each stage that can be cut, the network's own transition included."""
    shapes: dict[str, torch.Size] = {}
    handles = []
    for stage in stages:
        if isinstance(stage, Cuttable):
            end = model.get_submodule(stage.absorbed or stage.path)
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


class _evaluating:  # noqa: N801  # reads as a statement: with _evaluating(model)
    def __init__(self, model: nn.Module) -> None:
        self._model = model

    def __enter__(self) -> None:
        self._modes = [(module, module.training) for module in self._model.modules()]
        self._model.eval()

    def __exit__(self, *_: object) -> None:
        for module, mode in self._modes:
            module.training = mode


def _image(model: nn.Module, image_size: int | tuple[int, int, int] | None) -> Tensor:
    """A random image of a size that the network takes.

    It has the channels of the first convolution, or, where the network does not run on that, those that
    its configuration names (a space-to-depth stem folds pixels into channels first).
    """
    first = next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None)
    if first is None:
        raise GradlensError(f"{type(model).__name__} has no convolution; there are no channels to cut")
    config = getattr(model, "pretrained_cfg", None) or {}
    named = config.get("input_size", (3, 64, 64))
    side = named[-1] if config.get("fixed_input_size") else 64
    if isinstance(image_size, int):
        side = image_size
    shapes = (
        [image_size]
        if isinstance(image_size, tuple)
        else [(c, side, side) for c in (first.in_channels, named[0])]
    )
    generator = torch.Generator()
    images = [torch.rand(1, *shape, generator=generator.manual_seed(0)).to(first.weight) for shape in shapes]
    return next((image for image in images if len(set(shapes)) == 1 or _runs(model, image)), images[0])


def _runs(model: nn.Module, image: Tensor) -> bool:
    with _evaluating(model), torch.random.fork_rng(devices=[]), torch.no_grad():
        try:
            model(image)
        except (RuntimeError, ValueError, TypeError, IndexError, AssertionError):
            return False
        return True
