"""SSD (Liu et al. 2016, "SSD: Single Shot MultiBox Detector", ECCV; arXiv 1512.02325v5) on VGG16.

The paper's iterations are doubled where it trains with the "zoom out" augmentation (§3.6: "we
double the training iterations"), which is what its printed figures for 300* and 512* have. The
released models (`_release` ids) ran for other numbers, which their files are named by: 240k on VOC
07++12, 400k (300) and 360k (512) on COCO; on VOC 07+12 for 120k, as here.

The cards give no hardware and no hours of training, because the sources at hand name none: the
Titan X of the paper's abstract is where its speed was measured, and the released scripts spread the
batch of 32 over four GPUs of an unnamed kind.

To run one: `netgen build <id>`, then `prototxt/<id>/train.sh`.
"""

from __future__ import annotations

from dataclasses import replace

from netgen.backbones.registry import NeckOnBackbone
from netgen.backbones.vgg16 import VGG16
from netgen.datasets import COCO, ILSVRC2016, VOC0712, VOC0712PP
from netgen.heads.multibox import MultiBox
from netgen.necks.ssd import ssd_neck
from netgen.recipe import Recipe
from netgen.schedules import Schedule
from netgen.zoo.registry import detector
from netgen.zoo.schedules import SSD_VOC

# 2 x (60k, 20k), §3.3
VOC_PP = Schedule(
    steps=(120_000, 160_000),
    max_iter=160_000,
    snapshot=40_000,
)
# 2 x (160k, 40k, 40k), §3.4
COCO_PAPER = Schedule(
    steps=(320_000, 400_000, 480_000),
    max_iter=480_000,
    snapshot=40_000,
)
COCO_RELEASE = replace(
    COCO_PAPER,
    steps=(280_000, 360_000, 400_000),
    max_iter=400_000,
)
# The archive holds iteration 360,000. Steps are those of FSSD512 (FSSD paper, §4.3).
COCO_512_RELEASE = replace(
    COCO_PAPER,
    steps=(280_000, 320_000, 360_000),
    max_iter=360_000,
)
# The archives hold iteration 240,000. Steps are those of VOC 07+12, doubled with the iterations.
VOC_PP_RELEASE = replace(
    VOC_PP,
    steps=(160_000, 200_000, 240_000),
    max_iter=240_000,
)
# 320k, 80k, 40k, §3.5
ILSVRC = Schedule(
    steps=(320_000, 400_000, 440_000),
    max_iter=440_000,
    snapshot=30_000,
    test_batch=1,
)

SSD300 = Recipe(
    name="ssd300",
    size=300,
    dataset=VOC0712,
    features=NeckOnBackbone(ssd_neck, VGG16),
    head=MultiBox(),
    schedule=SSD_VOC,
    weights=VGG16.weights,
)
SSD512 = replace(
    SSD300,
    name="ssd512",
    size=512,
    schedule=replace(SSD_VOC, snapshot=40_000),
)


@detector(committed=True)
def ssd300_voc0712() -> Recipe:
    """SSD300 on VOC 07+12, §3.1 and §3.6: 77.2 mAP on VOC2007 test. Equal to the released files."""
    return SSD300


@detector(committed=True)
def ssd512_voc0712() -> Recipe:
    """SSD512 on VOC 07+12, §3.1 and §3.6: 79.8 mAP on VOC2007 test. Equal to the released files."""
    return SSD512


@detector(committed=True)
def ssd300_voc0712pp() -> Recipe:
    """SSD300 on VOC 07++12, §3.3: 75.8 mAP on VOC2012 test (by the VOC server)."""
    return replace(
        SSD300,
        dataset=VOC0712PP,
        schedule=VOC_PP,
    )


@detector(committed=True)
def ssd512_voc0712pp() -> Recipe:
    """SSD512 on VOC 07++12, §3.3: 78.5 mAP on VOC2012 test (by the VOC server)."""
    return replace(
        SSD512,
        dataset=VOC0712PP,
        schedule=VOC_PP,
    )


@detector()
def ssd300_voc0712pp_release() -> Recipe:
    """SSD300 on VOC 07++12 over the iterations of the released weights,
    VGG_VOC0712Plus_SSD_300x300_iter_240000. No script of the authors' is known for them: the steps
    are those of ssd_pascal.py, doubled.
    """
    return replace(
        SSD300,
        dataset=VOC0712PP,
        schedule=VOC_PP_RELEASE,
        suffix="_release",
    )


@detector()
def ssd512_voc0712pp_release() -> Recipe:
    """SSD512 on VOC 07++12 over the iterations of the released weights,
    VGG_VOC0712Plus_SSD_512x512_iter_240000. No script of the authors' is known for them: the steps
    are those of ssd_pascal.py, doubled.
    """
    return replace(
        SSD512,
        dataset=VOC0712PP,
        schedule=VOC_PP_RELEASE,
        suffix="_release",
    )


@detector(committed=True)
def ssd300_coco() -> Recipe:
    """SSD300 on COCO trainval35k, §3.4: 25.1 mAP (0.5:0.95) on test-dev2015."""
    return replace(
        SSD300,
        dataset=COCO,
        schedule=COCO_PAPER,
    )


@detector(committed=True)
def ssd512_coco() -> Recipe:
    """SSD512 on COCO trainval35k, §3.4: 28.8 mAP (0.5:0.95) on test-dev2015."""
    return replace(
        SSD512,
        dataset=COCO,
        schedule=COCO_PAPER,
    )


@detector(committed=True)
def ssd300_coco_release() -> Recipe:
    """SSD300 on COCO as examples/ssd/ssd_coco.py of weiliu89/caffe trains it: 400k iterations."""
    return replace(
        SSD300,
        dataset=COCO,
        schedule=COCO_RELEASE,
        suffix="_release",
    )


@detector(committed=True)
def ssd512_coco_release() -> Recipe:
    """SSD512 on COCO over the iterations of the released weights,
    VGG_coco_SSD_512x512_iter_360000. No script of the authors' is known for them: the first step is
    that of examples/ssd/ssd_coco.py of weiliu89/caffe, the others are FSSD512's on COCO.
    """
    return replace(
        SSD512,
        dataset=COCO,
        schedule=COCO_512_RELEASE,
        suffix="_release",
    )


@detector(committed=True)
def ssd300_ilsvrc() -> Recipe:
    """SSD300 on ILSVRC2016 DET train and val1. Equal to the released files.

    §3.5's 43.4 mAP on val2 are another training's: on ILSVRC2014 DET, with the architecture of
    COCO, so smaller prior boxes, and before the "zoom out" augmentation. The released files have
    VOC's boxes and zoom out, over §3.5's iterations, not doubled.
    """
    return replace(
        SSD300,
        dataset=ILSVRC2016,
        schedule=ILSVRC,
    )
