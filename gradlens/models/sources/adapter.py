"""An adapter: the names of a library's networks, how one of them is built, and the losses of its training step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from gradlens.catalogue.datasets import CLASSIFICATION, DETECTION, FLOW, SEGMENTATION, VIDEO
from gradlens.catalogue.named import named
from gradlens.libraries import missing, require

if TYPE_CHECKING:
    from torch import Tensor, nn

    from gradlens.models.shape import InputShape

    Builder = Callable[[str, InputShape, bool], nn.Module]
    Step = Callable[[nn.Module, Any], Tensor | Mapping[str, Tensor]]

ANY = ""
"""Task of a network about which its name says nothing."""
KINDS = {
    CLASSIFICATION: "a classifier",
    DETECTION: "a detector",
    SEGMENTATION: "for segmentation",
    VIDEO: "a video classifier",
    FLOW: "for optical flow",
}
"""What a network is, by its task, for messages."""
TARGETS = {
    CLASSIFICATION: "images with classes",
    DETECTION: "images with boxes",
    SEGMENTATION: "images with classes of pixels",
    VIDEO: "clips with classes",
    FLOW: "pairs of images with their flow",
}
"""What data holds, by its task, for messages."""


class Names(Protocol):
    """The names of an adapter's networks, without their prefix."""

    def has(self, name: str) -> bool:
        """Return whether a network may have this name; files need not exist."""

    def check(self, name: str) -> None:
        """Raise a GradlensError if a file that the name contains does not exist or cannot be read."""

    def path(self, name: str) -> str:
        """Return the path of the file that the name contains; empty if it contains none."""

    def listed(self) -> Iterable[str]:
        """Return the names without loading a library; none for paths of files."""


@dataclass(frozen=True)
class Adapter:
    """Networks of one task and one library or kind of file.

    Attributes:
        library: what the networks come from, for messages.
        prefix: start of their names, with a colon; empty for names without one.
        form: how a name is written, for messages and help.
        names: the names after the prefix.
        builder: dotted name of the function of (name, shape, pretrained) that returns a network.
        licence: of the library.
        task: what the networks are trained for; ``ANY`` if that is not known.
        step: dotted name of the function of (model, batch) that returns the losses; empty for the usual step.
        packages: packages that must be installed beside the dependencies of gradlens.
        requirement: what ``pip install`` is asked for if one of them is missing.
        weights: whether the library has pretrained weights.
        body: path of the module that a transition strategy restructures; empty for the whole network.
        whole: whether its names are listed among those of all networks.
    """

    library: str
    prefix: str
    form: str
    names: Names
    builder: str
    licence: str
    task: str = CLASSIFICATION
    step: str = ""
    packages: tuple[str, ...] = ()
    requirement: str = ""
    weights: bool = False
    body: str = ""
    whole: bool = True

    def build(self, name: str, shape: InputShape, pretrained: bool) -> nn.Module:
        """Build a network by its name without the prefix.

        Raises:
            GradlensError: a package is missing, or the network cannot be built for this shape.
        """
        self.require(name)
        return cast("Builder", named(self.builder))(name, shape, pretrained)

    def losses(self) -> Step | None:
        """Return the function that computes the losses of a batch; None for the usual step of a capture."""
        return cast("Step", named(self.step)) if self.step else None

    def missing(self) -> list[str]:
        """Return the packages that are not installed."""
        return missing(self.packages)

    def require(self, name: str) -> None:
        """Check that the packages are installed.

        Raises:
            GradlensError: one is not; the message has the command that installs it.
        """
        require(f"{self.prefix}{name}", self.packages, install=self.requirement, licence=self.licence)

    @property
    def described(self) -> str:
        """The form of the names, what they are, the licence and, if a package is missing, its installation."""
        needed = f"; needs `python -m pip install {self.requirement}`" if self.missing() else ""
        task = f"{self.task}, " if self.task else ""
        return f"{self.form}: {task}{self.library}, {self.licence}{needed}"
