"""FSSD (Li & Zhou 2017, "FSSD: Feature Fusion Single Shot Multibox Detector", arXiv 1712.00960) on VGG16.

The plain ids train from VGG16 as §4.2 and §4.3 print it; the released scripts (examples/fssd of lzx1413/CAFFE_SSD) differ from that and
from each other, and are the `_release` ids. The rows of Tables 1 and 2 start from a trained SSD where the paper does (§3.2, "FSSD+" in
Figure 4): the fusion module and what follows it learns at twice the rate, for 60k iterations; the paper does not print their steps, which
are those of 120k in proportion. Hardware: two GTX 1080Ti for FSSD300 on VOC; 512 and COCO are not said (the scripts have eight GPUs).
82.7 and 84.5 mAP on VOC2007 need a start from COCO: the 20 VOC classes' rows of the heads cut out of the 80-class model (§4.2).
To run one: `netgen build <id>`, then `prototxt/<id>/train.sh`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from netgen.backbones.registry import Stack
from netgen.datasets import COCO, VOC0712, VOC0712PP, Dataset
from netgen.heads.priors import SSD512
from netgen.necks.fssd import fssd_neck
from netgen.recipe import Detector, Features
from netgen.schedules import Schedule
from netgen.zoo import entry, row, variant


def spread(schedule: Schedule, gpus: Iterable[int], per_gpu: int, test_batch: int = 8) -> Schedule:
    """A schedule over other GPUs."""
    return replace(schedule, gpus=tuple(gpus), per_gpu=per_gpu, test_batch=test_batch)


BASE = Schedule(steps=(80_000, 100_000, 120_000), max_iter=120_000, snapshot=5_000, test_interval=5_000, per_class=True)
VOC_300 = spread(BASE, range(2), 16)  # §4.2: two GPUs
VOC_512 = spread(BASE, range(8), 4, test_batch=1)
COCO_300 = replace(BASE, steps=(280_000, 360_000, 400_000), max_iter=400_000)  # §4.3
COCO_512 = replace(VOC_512, steps=(280_000, 320_000, 360_000), max_iter=360_000)
SHORT = replace(BASE, steps=(40_000, 60_000, 80_000), max_iter=80_000)  # both released VOC scripts


def features(**options: Any) -> Stack:
    """VGG16 and the fusion neck. options: of `fssd_neck`."""
    return Stack(partial(fssd_neck, **options))


def fssd(size: int, dataset: Dataset, schedule: Schedule, *, features: Features = features(), **options: Any) -> Detector:  # noqa: B008
    """FSSD with VGG16 for a square input of `size` pixels. options: of Detector."""
    return Detector(f"fssd{size}", size, features, dataset, schedule, **options)


def plus(dataset: Dataset, schedule: Schedule, suffix: str = "_plus", **options: Any) -> Detector:
    """FSSD300 from a trained SSD300 ("FSSD+", §3.2), what that has not at twice the rate. options: of `fssd_neck`."""
    trained = {
        "voc0712": "models/VGG_VOC0712_SSD_300x300_iter_120000.caffemodel",
        "coco": "models/VGG_coco_SSD_300x300_iter_400000.caffemodel",
    }
    neck = features(lr_mult=2, conv7_2_lr_mult=1, **options)
    return fssd(300, dataset, schedule, suffix=suffix, features=neck, head_lr_mult=2, weights=trained[dataset.key])


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
        features=features(lr_mult=2),
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
        features=features(lr_mult=2, conv7_2_lr_mult=1, conv4_3_last=True),
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
    """FSSD512 on COCO as fssd_coco_512.py has it: 380k iterations, prior boxes of SSD512 on VOC, trained on crowds, too.

    It does not ask for three channels of grey images (force_color), as fssd_coco.py does.
    """
    return fssd(
        512,
        replace(COCO, train_on_difficult=True, force_color=False),
        replace(COCO_512, max_iter=380_000),
        suffix="_release",
        features=features(conv4_3_last=True),
        scales=SSD512,
        overlap_threshold=0.75,
        output_prefix="detections_minival_fssd512_",
    )


@variant
def fssd300_coco_plus() -> Detector:
    """FSSD300 on COCO from a trained SSD300, §4.3: 120k iterations in all are said to be enough; no mAP of its own is printed."""
    return plus(COCO, COCO_300.shortened(120_000))


PLUS_60K = VOC_300.shortened(60_000)
FOUR = ("conv3_3", "conv4_3", "fc7", "conv7_2")
# Tables 1 and 2: suffix, what it is, mAP on VOC2007 test, options of the neck.
TABLES: tuple[tuple[str, str, float, dict[str, Any]], ...] = (
    ("_plus", "Table 2 row 3 and Table 1 (b): conv4_3, fc7 and conv7_2 fused", 78.8, {}),
    ("_plus_conv3", "Table 2 row 2: conv3_3 fused, too", 78.6, {"fused": FOUR}),
    ("_plus_fc7", "Table 2 row 4: conv4_3 and fc7 fused, without conv7_2", 78.6, {"fused": FOUR[1:3]}),
    ("_plus_conv3_nobn", "Table 2 row 6: conv3_3 fused, too, without batch normalisation", 78.1, {"fused": FOUR, "batch_norm": False}),
    ("_plus_conv3_sum", "Table 2 row 7: conv3_3 fused, too, by element-wise sum", 76.3, {"fused": FOUR, "sum_up": True}),
    ("_plus_fused", "Table 1 (a): the fused map takes part in the detection", 78.2, {"pyramid": "a"}),
    ("_plus_bottleneck", "Table 1 (c): bottleneck blocks in the pyramid", 78.4, {"pyramid": "c"}),
)
for _suffix, _what, _mean, _options in TABLES:
    _card = f"FSSD300 on VOC 07+12 from a trained SSD300, {_what}: {_mean} mAP on VOC2007 test."
    row(f"fssd300_voc0712{_suffix}", partial(plus, VOC0712, PLUS_60K, _suffix, **_options), _card)


@variant
def fssd300_voc0712_conv3() -> Detector:
    """FSSD300 on VOC 07+12 from VGG16, Table 2 row 5: conv3_3 fused, too: 78.8 mAP on VOC2007 test."""
    return fssd(300, VOC0712, VOC_300, suffix="_conv3", features=features(fused=FOUR))


@variant
def fssd300_voc0712_scratch() -> Detector:
    """FSSD300 on VOC 07+12 from scratch, Table 2 row 1: conv3_3 fused, too: 72.7 mAP on VOC2007 test (FSSD300S in Table 3).

    The paper prints no schedule for it; this is that of VGG16's start.
    """
    return fssd(300, VOC0712, VOC_300, suffix="_scratch", features=features(fused=FOUR), weights="")
