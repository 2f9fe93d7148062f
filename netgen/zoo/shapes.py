"""Small detectors for the embedded data set, that learn from scratch on a CPU within minutes."""

from __future__ import annotations

from netgen.backbones.vgg16 import vgg16
from netgen.datasets import SHAPES
from netgen.graph import Blob, Net
from netgen.heads.multibox import Source
from netgen.heads.priors import Scales
from netgen.necks.fssd import fssd_neck
from netgen.recipe import Detector
from netgen.schedules import Schedule
from netgen.zoo import entry

SIZE = 160  # pixels: maps of 20, 10, 5, 3 and 1 cells
WIDTH = 1 / 8  # of VGG16's and FSSD's channels
SCALES = Scales(first=(10, 20), low=20)
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


@entry
def fssd_tiny_shapes() -> Detector:
    """FSSD in small, for `make demo`: VGG16 of an eighth of the width with batch normalisation, 160×160, from scratch."""

    def features(net: Net, image: Blob) -> list[Source]:
        return fssd_neck(net, vgg16(net, image, width=WIDTH, normalise=True), width=WIDTH, normalise=True)

    # Whole images: SSD's crops and canvases pay off over tens of thousands of iterations, and slow down the first thousand.
    return Detector("fssd_tiny", SIZE, features, SHAPES, SCHEDULE, scales=SCALES, weights="", expand=1, crops=False)
