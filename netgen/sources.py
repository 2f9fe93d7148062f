"""Source maps: the feature maps from which a detector's heads predict."""

from __future__ import annotations

from dataclasses import dataclass

from netgen.graph import Blob


@dataclass(frozen=True)
class Source:
    """A source map, and how its prior boxes and heads differ from the defaults.

    blob: the map itself, N×C×H×W.
    step: pixels between the centres of its prior boxes; 0 for PriorBox's own, image / cells.
    offset: distance of the first centre from the border, in steps.
    across: pixels from column to column where these differ from `step`; 0 where they do not.
    name: what names of its heads begin with; the blob's name where left out.
    kernel_size: kernel size of its heads; 0 for their own.
    l2_scale: first value of the learned factors, one per channel, that follow L2 normalisation;
        0 for a map that is not normalised.
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
        """The beginning of the names of its heads."""
        return self.name or self.blob.name


def pixel_step(image: Blob, x: Blob) -> int:
    """Return the stride of a map in pixels: the power of two that took the image to it.

    300 pixels and 38 cells have stride 8.
    """
    step = 1
    while -(-max(image.size) // step) > max(x.size):
        step *= 2
    return step


def image_over_cells(image: Blob, x: Blob) -> float:
    """Return the pixels per cell of a map, or 0 where rows and columns differ.

    `Source.step` 0 leaves both to PriorBox, which divides the same way on each axis.
    """
    rows = image.size[0] / x.size[0]
    columns = image.size[1] / x.size[1]
    if rows != columns:
        return 0
    return rows
