"""Small detectors for the embedded data set, that learn from scratch on a CPU within minutes."""

from __future__ import annotations

from netgen.backbones.vgg16 import vgg16
from netgen.data_layer import Augmentation
from netgen.datasets import SHAPES
from netgen.graph import Blob, Net
from netgen.heads.multibox import MultiBox
from netgen.heads.priors import Scales
from netgen.necks.fssd import Fusion
from netgen.recipe import Recipe
from netgen.schedules import Schedule
from netgen.sources import Source
from netgen.zoo.registry import detector

WIDTH = 1 / 8  # factor on VGG16's and FSSD's channels
SCHEDULE = Schedule(
    steps=(600, 800),
    max_iter=900,
    base_lr=0.02,  # twenty times SSD's: batch-normalised and from scratch
    batch=16,
    per_gpu=16,
    gpus=(),
    test_batch=10,
    snapshot=150,
    test_interval=150,
    per_class=True,
)


def narrow_fssd(net: Net, image: Blob) -> list[Source]:
    """Add VGG16 and FSSD's neck at an eighth of the width, batch-normalised."""
    maps = vgg16(net, image, width=WIDTH, normalise=True)
    return Fusion(width=WIDTH, normalise=True)(net, maps, image)


@detector(committed=True)
def fssd_tiny_shapes() -> Recipe:
    """FSSD in small, for `make demo`: VGG16 of an eighth of the width with batch normalisation,
    160×160, from scratch.
    """
    return Recipe(
        name="fssd_tiny",
        size=160,  # pixels: maps of 20, 10, 5, 3 and 1 cells
        dataset=SHAPES,
        features=narrow_fssd,
        head=MultiBox(scales=Scales(first=(10, 20), low=20)),
        schedule=SCHEDULE,
        # Whole images: SSD's crops and canvases pay off over tens of thousands of iterations, but
        # slow down the first thousand.
        augmentation=Augmentation(expand=1, crops=False),
    )
