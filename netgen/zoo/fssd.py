"""FSSD (Li & Zhou 2017, "FSSD: Feature Fusion Single Shot Multibox Detector", arXiv 1712.00960) on VGG16.

The plain ids train from VGG16 as §4.2 and §4.3 print it; the released scripts (examples/fssd of lzx1413/CAFFE_SSD) differ from that and
from each other, and are the `_release` ids. Hardware: two GTX 1080Ti for FSSD300 on VOC.
To run one: `netgen build <id>`, then `prototxt/<id>/train.sh`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from netgen.backbones.vgg16 import vgg16
from netgen.datasets import COCO, VOC0712, VOC0712PP, Dataset
from netgen.detector import Detector, Features
from netgen.graph import Blob, Net
from netgen.multibox import Source
from netgen.necks.fssd import fssd_neck
from netgen.priors import SSD512
from netgen.schedules import Schedule
from netgen.zoo import entry


def spread(schedule: Schedule, gpus: Iterable[int], per_gpu: int, test_batch: int = 8) -> Schedule:
    """A schedule over other GPUs."""
    return replace(schedule, gpus=tuple(gpus), per_gpu=per_gpu, test_batch=test_batch)


BASE = Schedule(steps=(80_000, 100_000, 120_000), max_iter=120_000, snapshot=5_000, test_interval=5_000, per_class=True)
VOC_300 = spread(BASE, range(2), 16)  # §4.2: two GPUs
VOC_512 = spread(BASE, range(8), 4, test_batch=1)
COCO_300 = replace(BASE, steps=(280_000, 360_000, 400_000), max_iter=400_000)  # §4.3
COCO_512 = replace(VOC_512, steps=(280_000, 320_000, 360_000), max_iter=360_000)
SHORT = replace(BASE, steps=(40_000, 60_000, 80_000), max_iter=80_000)  # both released VOC scripts


def features(net: Net, image: Blob, **options: Any) -> list[Source]:
    """VGG16 and the fusion neck. options: of `fssd_neck`."""
    return fssd_neck(net, vgg16(net, image), **options)


def fssd(size: int, dataset: Dataset, schedule: Schedule, *, features: Features = features, **options: Any) -> Detector:
    """FSSD with VGG16 for a square input of `size` pixels. options: of Detector."""
    return Detector(f"fssd{size}", size, features, dataset, schedule, **options)


@entry
def fssd300_voc0712() -> Detector:
    """FSSD300 on VOC 07+12, §4.2 and Table 3: 78.8 mAP on VOC2007 test, from VGG16."""
    return fssd(300, VOC0712, VOC_300)


@entry
def fssd512_voc0712() -> Detector:
    """FSSD512 on VOC 07+12, §4.2 and Table 3: 80.9 mAP on VOC2007 test, from VGG16."""
    return fssd(512, VOC0712, VOC_512)


@entry
def fssd300_voc0712pp() -> Detector:
    """FSSD300 on VOC 07++12, §4.2 and Table 4: 82.0 mAP on VOC2012 test when started from COCO's 20 classes."""
    return fssd(300, VOC0712PP, VOC_300)


@entry
def fssd512_voc0712pp() -> Detector:
    """FSSD512 on VOC 07++12, §4.2 and Table 4: 84.2 mAP on VOC2012 test when started from COCO's 20 classes."""
    return fssd(512, VOC0712PP, VOC_512)


@entry
def fssd300_coco() -> Detector:
    """FSSD300 on COCO trainval35k, §4.3 and Table 5: 27.1 mAP (0.5:0.95) on test-dev."""
    return fssd(300, COCO, COCO_300)


@entry
def fssd512_coco() -> Detector:
    """FSSD512 on COCO trainval35k, §4.3 and Table 5: 31.8 mAP (0.5:0.95) on test-dev."""
    return fssd(512, COCO, COCO_512)


@entry
def fssd300_voc0712_release() -> Detector:
    """FSSD300 as fssd_pascal.py has it: from a trained SSD300, new layers at twice 5e-4, 80k iterations, 8682 boxes.

    Two boxes per cell are missing on the 5×5 map (aspect ratio 3) against the paper's 8732.
    """
    return fssd(
        300,
        VOC0712,
        replace(spread(SHORT, (4, 5), 16), base_lr=5e-4),
        suffix="_release",
        features=partial(features, lr_mult=2),
        ratios=((2,), (2, 3), (2, 3), (2,), (2,), (2,)),
        head_lr_mult=2,
        weights="models/VGG_VOC0712_SSD_300x300_iter_120000.caffemodel",
    )


@entry
def fssd512_voc0712_release() -> Detector:
    """FSSD512 as fssd_pascal_512.py has it: trained on 07++12 at 1e-4 for 80k iterations, new layers at twice that.

    Its training data hold the VOC2007 test images that it is tested on, so the mAP in its log measures nothing.
    """
    return fssd(
        512,
        replace(VOC0712, train_lmdb=VOC0712PP.train_lmdb, train_images=VOC0712PP.train_images),
        replace(spread(SHORT, range(8), 4, test_batch=1), base_lr=1e-4),
        suffix="_release",
        features=partial(features, lr_mult=2, conv7_2_lr_mult=1, conv4_3_last=True),
        head_lr_mult=2,
    )


@entry
def fssd300_coco_release() -> Detector:
    """FSSD300 on COCO as fssd_coco.py has it: the paper's schedule, tested at an overlap of 0.75 while training."""
    return fssd(
        300,
        COCO,
        spread(COCO_300, (4, 5, 6, 7), 8),
        suffix="_release",
        overlap_threshold=0.75,
        output_prefix="detections_minival_fssd300_",
    )


@entry
def fssd512_coco_release() -> Detector:
    """FSSD512 on COCO as fssd_coco_512.py has it: 380k iterations, prior boxes of SSD512 on VOC, trained on crowds too."""
    return fssd(
        512,
        replace(COCO, train_on_difficult=True),
        replace(COCO_512, max_iter=380_000),
        suffix="_release",
        features=partial(features, conv4_3_last=True),
        scales=SSD512,
        overlap_threshold=0.75,
        output_prefix="detections_minival_fssd512_",
    )
