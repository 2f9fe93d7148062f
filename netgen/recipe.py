"""A recipe: everything that a paper fixes about a detector, and nothing of a machine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from netgen.data_layer import VGG_PIXELS, Augmentation, Pixels
from netgen.datasets import Dataset
from netgen.graph import Blob, Net
from netgen.schedules import Schedule
from netgen.sources import Source
from ssd_common.errors import CaffeError

Size = tuple[int, int]  # (height, width) in pixels


class Features(Protocol):
    """What makes source maps of an image: a backbone with a neck on top."""

    def __call__(self, net: Net, image: Blob) -> list[Source]:
        """Add its layers to `net` and return the source maps, largest first."""
        ...


class Head(Protocol):
    """What makes a loss, or detections, of source maps (`netgen.heads.multibox.MultiBox`)."""

    def predict(self, net: Net, image: Blob, sources: Sequence[Source], dataset: Dataset) -> Any:
        """Add the predictions of every source and its prior boxes."""
        ...

    def add_loss(self, net: Net, predictions: Any, label: Blob, dataset: Dataset) -> Blob:
        """Add the loss of a training net."""
        ...

    def detect(self, net: Net, predictions: Any, dataset: Dataset, save: dict | None) -> Blob:
        """Add the detections. save: fields of SaveOutputParameter; None writes no files."""
        ...

    def evaluate(self, net: Net, detections: Blob, label: Blob, dataset: Dataset) -> Blob:
        """Add what counts right and wrong detections in a test net."""
        ...

    def scaled(self, factor: float) -> Head:
        """Return the same head for an image that is so many times as large."""
        ...


@dataclass(frozen=True)
class Recipe:
    """A detector as its paper, or its authors' released files, have it.

    name: with the input's size, "fssd300"; the zoo id is name, data set and suffix.
    size: of the input in pixels: the side, or (height, width).
    dataset: what the paper trains and tests on.
    features: image → source maps, largest first.
    head: source maps → loss or detections.
    schedule: iterations, learning rates, batch and GPUs of the authors.
    suffix: of the zoo id, "_release" for what the authors released.
    weights: the file that training starts from; "" for from scratch.
    starts_from: the detector whose trained weights training starts from, in place of `weights`.
    needs_weights: some layers never learn: without weights there is nothing to train.
    pixels: what becomes of an image's values before the first layer.
    augmentation: what training images go through.
    output_prefix: of files with detections, where the data set's own is not used.
    hardware: what the paper trained on, in its own words; "" where it does not say.
    hours: how long that took; None where the paper does not say.
    """

    name: str
    size: int | Size
    dataset: Dataset
    features: Features
    head: Head
    schedule: Schedule
    suffix: str = ""
    weights: str = ""
    starts_from: Recipe | None = None
    needs_weights: bool = False
    pixels: Pixels = VGG_PIXELS
    augmentation: Augmentation = Augmentation()  # noqa: RUF009 (frozen)
    output_prefix: str = ""
    hardware: str = ""
    hours: float | None = None

    @property
    def id(self) -> str:
        """The zoo id."""
        return f"{self.name}_{self.dataset.key}{self.suffix}"

    @property
    def image_size(self) -> Size:
        """(height, width) of the input in pixels."""
        return (self.size, self.size) if isinstance(self.size, int) else self.size

    def resized(self, size: int | Size) -> Recipe:
        """Return the same detector for another input size.

        Prior boxes of the head's own grow with the shorter side.
        size: the side in pixels, or (height, width).
        Raises CaffeError for a size below one pixel; whether the layers fit is seen when the net
        is built.
        """
        if isinstance(size, tuple) and size[0] == size[1]:
            size = size[0]
        old = rf"(?<!\d){_spell(self.size)}(?!\d)"
        other = replace(self, size=size, name=re.sub(old, _spell(size), self.name, count=1))
        if min(other.image_size) < 1:
            raise CaffeError(f"an input has at least one pixel, not {_spell(size)}")
        factor = min(other.image_size) / min(self.image_size)
        return replace(other, head=self.head.scaled(factor))


def _spell(size: int | Size) -> str:
    """300 → "300", (512, 320) → "512x320"."""
    return str(size) if isinstance(size, int) else f"{size[0]}x{size[1]}"
