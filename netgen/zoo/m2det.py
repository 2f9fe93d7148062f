"""M2Det (Zhao et al. 2019, "M2Det: A Single-Shot Object Detector based on Multi-Level Feature Pyramid Network", AAAI; arXiv 1811.04533).

COCO trainval35k throughout, from ImageNet weights: batch 32, warm-up over 5 epochs, 2e-3, divided by ten at 90 and 120 of 150 epochs
("Implementation details"). Caffe has no warm-up, so `train.sh` runs two solvers one after the other. Hardware: four Titan X for 320 and 512
with VGG16 (3 and 6 days; 5 for 320 with ResNet-101), two V100 for 512 with ResNet-101 (11 days), V100s for 800 (14 days).

What the paper leaves open is as in the authors' code (qijiezhao/M2Det): batch normalisation behind every new convolution and none of them
with a bias, prior sizes from 0.08 (320), 0.06 (512) and 0.04 (800) of the image up to 1.05, a warm-up from 1e-6. The deep map is the
code's, fc7, where the text says "e.g., conv4_3 and conv5_3". The code differs from the paper in this (`_release` ids): no SFAM;
one FFMv2 base convolution for all levels and, where SFAM is switched on, one pair of connections for all scales; batch normalisation of the
largest map before its heads; 4e-3, 2e-3, 4e-4, 4e-5, 4e-6 up to 90, 110, 130, 150, 160 epochs, batch 16; a score of 0.1 at test time.
Its prior boxes are clamped to the image's size about their centres, which PriorBox cannot: at 320 that concerns 22 of 12810 boxes.

Test: scores above 0.05 and soft suppression with a linear kernel. Stock Caffe has the hard one only, which the test net does, at 0.45;
`netrun test` and `netrun detect` do the other on the same nets with `--soft-nms`. Multi-scale testing is not there.

Parameters: Table 3 prints 98.9M for 8 levels of 256 channels, and the released code does not give that: with 81 classes and the heads it
has 132.6M (133.2M with SFAM); the other rows likewise. The ids here have 136.5M: the paper does not share what the code does.
To run one: `netgen build <id>`, then `prototxt/<id>/train.sh`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

from netgen.backbones.registry import RESNET101, VGG16, Maps, Stack
from netgen.backbones.resnet101 import resnet101
from netgen.datasets import COCO
from netgen.graph import Blob, Net
from netgen.heads.multibox import Source, Suppression
from netgen.heads.priors import Priors, Scales
from netgen.necks.m2det import mlfpn
from netgen.necks.ssd import ssd_neck
from netgen.recipe import Detector
from netgen.schedules import Leg, Schedule
from netgen.zoo import entry, row, variant

WARM_UP_FROM = 1e-6  # `end_lr` of the released configurations
EPOCH = COCO.train_images // 32  # 118,287 // 32 = 3,696 iterations
PAPER = Schedule(
    steps=(90 * EPOCH, 120 * EPOCH),
    max_iter=150 * EPOCH,
    base_lr=2e-3,
    batch=32,
    legs=(Leg(5 * EPOCH, WARM_UP_FROM, 2e-3),),
    snapshot=10 * EPOCH,
    test_interval=10 * EPOCH,
)

# Sides of the prior boxes (configs/ of qijiezhao/M2Det): SSD's on COCO but for the first map.
SCALES = {size: Scales(first=(first, 15), low=15) for size, first in ((320, 8), (512, 6), (800, 4))}
SIDES_704 = (0.04, 0.11, 0.23, 0.39, 0.58, 0.80, 1.05)  # in the image's own, of each map and one more
# Pixels between centres as the released configurations round them; the paper's ids have the image divided by the cells.
STEPS = {
    320: (8, 16, 32, 64, 107, 320),
    512: (8, 16, 32, 64, 128, 256),
    704: (8, 16, 32, 64, 117, 176),
    800: (8, 16, 32, 62, 115, 160),
}


def released_schedule(batch: int) -> Schedule:
    """The rates of the released configurations, in epochs of batches of `batch` images on one GPU (train.py: --ngpu 1)."""
    epoch = COCO.train_images // batch  # 7,392 iterations of 16
    return Schedule(
        steps=(130 * epoch, 150 * epoch),
        max_iter=160 * epoch,
        base_lr=4e-4,
        batch=batch,
        per_gpu=batch,
        gpus=(0,),
        legs=(Leg(5 * epoch, WARM_UP_FROM, 4e-3), Leg(90 * epoch, 4e-3, 4e-3), Leg(110 * epoch, 2e-3, 2e-3)),
        snapshot=10 * epoch,
        test_interval=10 * epoch,
    )


def m2det(
    size: int,
    backbone: str = "vgg",
    suffix: str = "",
    *,
    schedule: Schedule = PAPER,
    steps: Sequence[float] = (),
    confidence: float = 0.05,
    halving: str = "34",
    **options: Any,
) -> Detector:
    """M2Det for a square input of `size` pixels. backbone: "vgg" or "resnet101", `halving` of that; steps: of the prior boxes, none for
    image / cells; options: of `mlfpn`."""

    home = VGG16 if backbone == "vgg" else replace(RESNET101, build=partial(resnet101, halving=halving))

    def neck(net: Net, maps: Maps, image: Blob) -> list[Source]:
        sources = mlfpn(net, *(maps[name] for name in home.maps[1:]), **options)
        # Steps in pixels suit one size of the image only.
        return [replace(x, step=step) for x, step in zip(sources, steps, strict=True)] if steps and image.size == (size, size) else sources

    return Detector(
        f"m2det{size}_{backbone}",
        size,
        Stack(neck, home),
        COCO,
        schedule,
        suffix,
        scales=SCALES.get(size),
        ratios=((2, 3),),
        suppression=Suppression(confidence=confidence),
        weights=home.weights,
    )


def released(size: int, backbone: str = "vgg", *, batch: int, sfam: bool = False, **options: Any) -> Detector:
    """M2Det as configs/m2det<size>_<backbone>.py has it. sfam: that switch of the configurations, off in all of them."""
    options |= {"sfam": sfam, "shared": True, "normalise_first": True}
    schedule = released_schedule(batch)
    return m2det(size, backbone, "_release", schedule=schedule, steps=STEPS[size], confidence=0.1, **options)


@entry
def m2det320_vgg_coco() -> Detector:
    """M2Det320 with VGG16, 8 levels of 256 channels, Table 1: 33.5 mAP (0.5:0.95) on test-dev; Tables 2 and 3: 33.2 on minival."""
    return m2det(320)


@entry
def m2det320_resnet101_coco() -> Detector:
    """M2Det320 with ResNet-101, Table 1: 34.3 mAP (0.5:0.95) on test-dev; last column of Table 2: 34.1 on minival."""
    return m2det(320, "resnet101")


@entry
def m2det512_vgg_coco() -> Detector:
    """M2Det512 with VGG16, Table 1: 37.6 mAP (0.5:0.95) on test-dev."""
    return m2det(512)


@variant
def m2det512_resnet101_coco() -> Detector:
    """M2Det512 with ResNet-101, Table 1: 38.8 mAP (0.5:0.95) on test-dev."""
    return m2det(512, "resnet101", schedule=replace(PAPER, per_gpu=16, gpus=(0, 1)))


@entry
def m2det800_vgg_coco() -> Detector:
    """M2Det800 with VGG16, Table 1: 41.0 mAP (0.5:0.95) on test-dev; the text counts 147M parameters for it."""
    return m2det(800)


@variant
def m2det800_resnet101_coco() -> Detector:
    """M2Det800 with ResNet-101: the paper names backbone and size, but prints no result of the two together."""
    return m2det(800, "resnet101", schedule=replace(PAPER, per_gpu=4))


@variant
def m2det320_vgg_coco_baseline() -> Detector:
    """SSD with VGG16 at 320×320, first column of Table 2: 25.8 mAP on minival. Prior boxes and schedule are M2Det's."""

    return replace(m2det(320, suffix="_baseline"), features=Stack(ssd_neck))


@variant
def m2det320_vgg_coco_stum1() -> Detector:
    """One s-TUM (no 1×1 smoothing) on the base feature, no SFAM, second column of Table 2: 27.5 mAP on minival.

    The text describes this column as the baseline with "a series of Deconv layers" after DSSD; the table's own name is followed here.
    """
    return m2det(320, suffix="_stum1", levels=1, smooth=False, sfam=False)


@variant
def m2det320_vgg_coco_stum8() -> Detector:
    """Eight s-TUMs, the base feature for the first only, no SFAM, third column of Table 2: 30.6 mAP on minival."""
    return m2det(320, suffix="_stum8", smooth=False, base_feature=False, sfam=False)


@variant
def m2det320_vgg_coco_tum8() -> Detector:
    """Eight TUMs, the base feature for the first only, no SFAM, fourth column of Table 2: 30.8 mAP on minival."""
    return m2det(320, suffix="_tum8", base_feature=False, sfam=False)


@variant
def m2det320_vgg_coco_nosfam() -> Detector:
    """Eight TUMs, each with the base feature, no SFAM, fifth column of Table 2: 32.7 mAP on minival."""
    return m2det(320, suffix="_nosfam", sfam=False)


# Table 3, without 8 levels of 256 channels, the plain id: levels, channels, mAP on minival, millions of parameters as printed.
TABLE_3 = (
    (2, 256, 30.5, 40.1),
    (2, 512, 32.1, 106.5),
    (4, 128, 29.8, 34.2),
    (4, 256, 31.8, 60.2),
    (4, 512, 33.4, 192.2),
    (8, 128, 31.8, 47.5),
    (8, 512, 34.0, 368.8),
    (16, 128, 32.5, 73.9),
    (16, 256, 33.6, 176.8),
)


for _levels, _channels, _map, _millions in TABLE_3:
    _suffix = f"_l{_levels}_c{_channels}"
    row(
        f"m2det320_vgg_coco{_suffix}",
        partial(m2det, 320, suffix=_suffix, levels=_levels, channels=_channels),
        f"M2Det320 with VGG16, {_levels} levels of {_channels} channels, Table 3: {_map} mAP (0.5:0.95) on minival.\n\n"
        f"    The table prints {_millions}M parameters; see the head of this file.\n    ",
    )


@variant
def m2det320_vgg_coco_release() -> Detector:
    """M2Det320 as configs/m2det320_vgg.py of qijiezhao/M2Det has it: no SFAM, batch 16, 160 epochs."""
    return released(320, batch=16)


@variant
def m2det512_vgg_coco_release() -> Detector:
    """M2Det512 as configs/m2det512_vgg.py of qijiezhao/M2Det has it: no SFAM, batch 16, 160 epochs."""
    return released(512, batch=16)


@entry
def m2det704_vgg_coco_release() -> Detector:
    """M2Det704 as configs/m2det704_vgg.py of qijiezhao/M2Det has it: a size that the paper lacks; no SFAM, batch 11, 160 epochs."""
    sides = [704 * side for side in SIDES_704]
    priors = [Priors(low, high, (2, 3)) for low, high in pairwise(sides)]
    return replace(released(704, batch=11), priors=priors)


@variant
def m2det800_vgg_coco_release() -> Detector:
    """M2Det800 as configs/m2det800_vgg.py of qijiezhao/M2Det has it: no SFAM, batch 9, 160 epochs."""
    return released(800, batch=9)


@variant
def m2det320_resnet101_coco_release() -> Detector:
    """M2Det320 as configs/m2det320_resnet101.py of qijiezhao/M2Det has it: no SFAM, batch 12, 160 epochs.

    Its ResNet has stride 1 in conv4 and stride 2 in conv5, which is not dilated. (PyTorch's has these strides in the 3×3 convolutions,
    Caffe's weights are for strides in the 1×1 ones before.)
    """
    return released(320, "resnet101", batch=12, halving="35")
