"""Draw the picture of scenes in docs/data.md: ``python -m benchmarks.scenes``.

Six scenes of seed 0 as a detector gets them, with their boxes and labels; their masks are below.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from benchmarks.gallery import save_small
from gradlens.data import load_data

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "scenes.png"
SCENES, SIZE = 6, 96


def picture() -> Figure:
    """Return the scenes in the first row, and the ink of their digits in the second."""
    images, targets = load_data("scenes", batch_size=SCENES, batches=1, image_size=SIZE, seed=0)[0]
    figure = Figure(figsize=(9.0, 3.2), layout="constrained")
    rows: Any = figure.subplots(2, SCENES)
    for column, (image, target) in enumerate(zip(images, targets, strict=True)):
        above, below = rows[:, column]
        above.imshow(image.permute(1, 2, 0).numpy(), interpolation="nearest")
        below.imshow(target["masks"].sum(dim=0).numpy(), cmap="gray", interpolation="nearest")
        for box, label in zip(target["boxes"].tolist(), target["labels"].tolist(), strict=True):
            left, top, right, bottom = (edge - 0.5 for edge in box)  # pixel centres are at whole numbers
            above.add_patch(
                Rectangle((left, top), right - left, bottom - top, fill=False, ec="white", lw=1.2)
            )
            above.text(
                left, top - 2, f"{label}", color="white", fontsize=8, va="bottom",
                bbox={"facecolor": "black", "pad": 1, "lw": 0},
            )  # fmt: skip
        for panel in (above, below):
            panel.set_axis_off()
    return figure


def main() -> None:
    mpl.use("agg")
    file = BytesIO()
    picture().savefig(file, dpi=110)
    save_small(file, PICTURE)


if __name__ == "__main__":
    main()
