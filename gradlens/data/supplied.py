"""Batches that the caller supplies: a list, a ``DataLoader``, or any other iterable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass, field
from itertools import islice

from torch import Tensor
from torch.utils import _pytree
from torch.utils.data import DataLoader, TensorDataset

from gradlens.data.batches import Batches, fingerprint
from gradlens.errors import BATCHES, GradlensError, callers_errors
from gradlens.randomness import seeded

FEWEST_CLASSES = 2


@dataclass(frozen=True, eq=False)
class SuppliedBatches:
    """Batches of any form, in the order of their source.

    A source that can be read again (a list, a loader) is read once for each seed, after the generators are seeded: a
    loader that shuffles gives each seed its own samples, all others give each seed the same. An iterator is read once,
    and its batches are kept.

    Attributes:
        source: the iterable of batches.
        samples: number of samples in a batch; 0 if it is not known.
        first: the first batch.
    """

    source: Iterable[object]
    samples: int
    first: object
    _kept: list[object] = field(default_factory=list)
    _classes: list[int] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Return a short description of the source."""
        if isinstance(self.source, DataLoader):
            return f"DataLoader of {type(self.source.dataset).__name__}"
        return f"{type(self.source).__name__} of batches"

    @property
    def image(self) -> tuple[int, int, int] | None:
        """Channels, height and width of the images if a batch is (images ``[n, c, h, w]``, ...); else None."""
        batch = self.first
        if not isinstance(batch, (tuple, list)) or not batch or not isinstance(batch[0], Tensor):
            return None
        shape = batch[0].shape
        return (shape[1], shape[2], shape[3]) if len(shape) == 4 else None

    def batches(self, seed: int, count: int, start: int) -> Batches:
        """Return up to ``count`` batches after the first ``start``, in the order of a seed.

        Raises:
            GradlensError: no batch is left, or fewer than are to be measured.
        """
        with seeded(seed), callers_errors(BATCHES):
            items = tuple(self._items(start, start + count))
        if not start and len(items) < count:
            raise GradlensError(f"data= has {len(items)} batches, not {count}; lower batches=")
        if not items:
            raise GradlensError(
                f"data= has no batches after the first {start}, and warm-up and training need others than those that "
                "are measured; give more, or lower batches="
            )
        channels, side, _ = self.image or (3, 0, 0)
        if not self._classes:
            self._classes.append(classes_of(self.source, items))
        (classes,) = self._classes  # the same for every seed, so that heads have one width
        length = length_of(self.source)
        identity = {
            "name": self.name,
            "seed": seed,
            "samples": len(items) * self.samples,
            "batches": len(items),
            "batch_size": self.samples,
            "start": start,
            "total": None if length is None else length * self.samples,
            "classes": classes,
            "sha256": fingerprint(items),
            "skipped": [],
        }
        return Batches(items, classes, (), channels, side, identity, described=shapes_of(items[0]))

    def _items(self, start: int, stop: int) -> Iterator[object]:
        if not isinstance(self.source, Iterator):
            return islice(iter(self.source), start, stop)
        self._kept.extend(islice(self.source, max(stop - len(self._kept), 0)))
        return iter(self._kept[start:stop])


def length_of(source: Iterable[object]) -> int | None:
    """Return the number of batches of a source; None if it does not know it."""
    try:
        return len(source) if isinstance(source, Sized) else None
    except TypeError:  # a loader over a stream
        return None


def classes_of(source: object, items: Iterable[object]) -> int:
    """Return the number of classes of batches of (inputs, targets); 0 if the targets are no classes.

    It is that of the loader's data set if it tells, else the largest target of these batches + 1.
    """
    dataset = getattr(source, "dataset", None)
    named = getattr(dataset, "classes", None)
    if isinstance(named, Sized) and len(named):
        return len(named)
    targets: list[object] = [item[1] for item in items if isinstance(item, (tuple, list)) and len(item) == 2]
    if isinstance(dataset, TensorDataset) and len(dataset.tensors) == 2:
        targets = [dataset.tensors[1]]
    integers = [
        target
        for target in targets
        if isinstance(target, Tensor)
        and not target.is_floating_point()
        and not target.is_complex()
        and target.numel()
    ]
    if not integers or len(integers) < len(targets):
        return 0
    return max(FEWEST_CLASSES, 1 + max(int(target.max()) for target in integers))


def shapes_of(batch: object) -> str:
    """Return the shapes of the tensors of a batch as text."""
    leaves = _pytree.tree_leaves(batch)
    shapes = [str(list(leaf.shape)) for leaf in leaves if isinstance(leaf, Tensor)]
    return f"a batch of {', '.join(shapes[:4])}{', ...' if len(shapes) > 4 else ''}"
