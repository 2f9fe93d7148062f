"""The maps of a net that a detector's heads look at."""

from __future__ import annotations

from dataclasses import dataclass

from netgen.graph import Blob


@dataclass(frozen=True)
class Source:
    """A map that heads look at.

    blob: the map itself, N×C×H×W.
    step: pixels between the centres of its prior boxes; 0 leaves it to PriorBox (image / cells).
    offset: of the first centre, in steps.
    across: pixels from column to column, where that is not `step`.
    name: of its heads; the blob's where left out.
    kernel_size: of its heads; 0 leaves it to them.
    l2_scale: what a learned factor per channel starts from, after L2 normalisation; 0 for a map
        that is not normalised.
    """

    blob: Blob
    step: float = 0
    offset: float = 0.5
    across: float = 0
    name: str = ""
    kernel_size: int = 0
    l2_scale: float = 0

    @property
    def head_name(self) -> str:
        """What the names of its heads begin with."""
        return self.name or self.blob.name


def pixel_step(image: Blob, x: Blob) -> int:
    """Return the stride of a map in pixels.

    That is the power of two by which the image was halved (300 → 38: 8).
    """
    step = 1
    while -(-max(image.size) // step) > max(x.size):
        step *= 2
    return step
