"""SSD (Liu et al. 2016, "SSD: Single Shot MultiBox Detector", ECCV; arXiv 1512.02325v5) on VGG16.

The paper's iterations are doubled where it trains with the "zoom out" augmentation (§3.6: "we double the training iterations"), which
is what its printed figures for 300* and 512* and the released models have. Hardware: Titan X; batch 32 over four of them.
Not checked against the paper's text: its section numbers, VOC 07++12's iterations and ILSVRC's mAP. The other figures are also printed in
the DSSD, DSOD and FSSD papers.
To run one: `netgen build <id>`, then `prototxt/<id>/train.sh`.
"""

from __future__ import annotations

from dataclasses import replace

from netgen.backbones.registry import Stack
from netgen.datasets import COCO, ILSVRC2016, VOC0712, VOC0712PP, Dataset
from netgen.necks.ssd import ssd_neck
from netgen.recipe import Detector
from netgen.schedules import Schedule
from netgen.zoo import entry

VOC_300 = Schedule(steps=(80_000, 100_000, 120_000), max_iter=120_000, snapshot=80_000)  # 2 x (40k, 10k, 10k)
VOC_512 = replace(VOC_300, snapshot=40_000)
VOC_PP = Schedule(steps=(120_000, 160_000), max_iter=160_000, snapshot=40_000)  # 2 x (60k, 20k), §3.3
COCO_PAPER = Schedule(steps=(320_000, 400_000, 480_000), max_iter=480_000, snapshot=40_000)  # 2 x (160k, 40k, 40k), §3.4
COCO_RELEASE = replace(COCO_PAPER, steps=(280_000, 360_000, 400_000), max_iter=400_000)
ILSVRC = Schedule(steps=(320_000, 400_000, 440_000), max_iter=440_000, snapshot=30_000, test_batch=1)  # 320k, 80k, 40k, §3.5


def ssd(size: int, dataset: Dataset, schedule: Schedule, suffix: str = "") -> Detector:
    """SSD with VGG16 for a square input of `size` pixels."""
    return Detector(f"ssd{size}", size, Stack(ssd_neck), dataset, schedule, suffix)


@entry
def ssd300_voc0712() -> Detector:
    """SSD300 on VOC 07+12, §3.1 and §3.6: 77.2 mAP on VOC2007 test. Equal to the released files."""
    return ssd(300, VOC0712, VOC_300)


@entry
def ssd512_voc0712() -> Detector:
    """SSD512 on VOC 07+12, §3.1 and §3.6: 79.8 mAP on VOC2007 test. Equal to the released files."""
    return ssd(512, VOC0712, VOC_512)


@entry
def ssd300_voc0712pp() -> Detector:
    """SSD300 on VOC 07++12, §3.3: 75.8 mAP on VOC2012 test (by the VOC server)."""
    return ssd(300, VOC0712PP, VOC_PP)


@entry
def ssd512_voc0712pp() -> Detector:
    """SSD512 on VOC 07++12, §3.3: 78.5 mAP on VOC2012 test (by the VOC server)."""
    return ssd(512, VOC0712PP, VOC_PP)


@entry
def ssd300_coco() -> Detector:
    """SSD300 on COCO trainval35k, §3.4: 25.1 mAP (0.5:0.95) on test-dev2015."""
    return ssd(300, COCO, COCO_PAPER)


@entry
def ssd512_coco() -> Detector:
    """SSD512 on COCO trainval35k, §3.4: 28.8 mAP (0.5:0.95) on test-dev2015."""
    return ssd(512, COCO, COCO_PAPER)


@entry
def ssd300_coco_release() -> Detector:
    """SSD300 on COCO as examples/ssd/ssd_coco.py of weiliu89/caffe trains it: 400k iterations."""
    return ssd(300, COCO, COCO_RELEASE, "_release")


@entry
def ssd512_coco_release() -> Detector:
    """SSD512 on COCO over the iterations of examples/ssd/ssd_coco.py; no file of the authors' is known for it."""
    return ssd(512, COCO, COCO_RELEASE, "_release")


@entry
def ssd300_ilsvrc() -> Detector:
    """SSD300 on ILSVRC2016 DET train and val1, §3.5: 43.4 mAP on val2. Equal to the released files."""
    return ssd(300, ILSVRC2016, ILSVRC)
