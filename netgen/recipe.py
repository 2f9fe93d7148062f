"""A recipe: everything that a paper fixes about a detector, whatever machine trains it."""

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
    """Makes source maps from an image: a backbone with a neck on top."""

    def __call__(self, net: Net, image: Blob) -> list[Source]:
        """Add its layers to `net` and return the source maps, largest first."""
        ...


class Head(Protocol):
    """Makes a loss or detections from source maps (`netgen.heads.multibox.MultiBox`)."""

    def predict(self, net: Net, image: Blob, sources: Sequence[Source], dataset: Dataset) -> Any:
        """Add the predictions of every source and its prior boxes."""
        ...

    def add_loss(self, net: Net, predictions: Any, label: Blob, dataset: Dataset) -> Blob:
        """Add the loss of a training net."""
        ...

    def detect(self, net: Net, predictions: Any, dataset: Dataset, save: dict | None) -> Blob:
        """Add the detections.

        save: fields of SaveOutputParameter; None to write no files.
        """
        ...

    def evaluate(self, net: Net, detections: Blob, label: Blob, dataset: Dataset) -> Blob:
        """Add the layer that counts right and wrong detections in a test net."""
        ...

    def scaled(self, factor: float) -> Head:
        """Return the same head for an image whose sides are `factor` times as long."""
        ...


@dataclass(frozen=True)
class Recipe:
    """A detector as its paper, or its authors' released files, describe it.

    name: with the input's size, "fssd300"; the zoo id joins name, data set and suffix.
    size: side of the input, or its (height, width), in pixels.
    dataset: the data set that the paper trains and tests on.
    features: image → source maps, largest first.
    head: source maps → loss or detections.
    schedule: the authors' iterations, learning rates, batch and GPUs.
    suffix: end of the zoo id, "_release" for the authors' released files.
    weights: the file that training starts from; "" to train from scratch.
    starts_from: the detector whose trained weights training starts from, in place of `weights`.
    weights_from: zoo id of a detector whose own run gives weights like `weights`; "" for none.
    needs_weights: some layers never learn, so training without weights makes no sense.
    pixels: how an image's values are normalised.
    augmentation: how training images are augmented.
    output_prefix: beginning of the names of detection files; "" for the data set's own.
    hardware: the paper's hardware, in its own words; "" where it does not say.
    hours: training time on that hardware; None where the paper does not say.
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
    weights_from: str = ""
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
        if isinstance(self.size, int):
            return self.size, self.size
        return self.size

    def resized(self, size: int | Size) -> Recipe:
        """Return the same detector for another input size.

        Prior boxes that the head itself sets grow with the shorter side.

        size: the side in pixels, or (height, width).

        Raises CaffeError for a size below one pixel. Whether the layers fit turns out when the net
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
    """Return a size as names spell it: 300 → "300", (512, 320) → "512x320"."""
    if isinstance(size, int):
        return str(size)
    return f"{size[0]}x{size[1]}"
