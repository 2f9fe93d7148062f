"""M2Det (Zhao et al. 2019, "M2Det: A Single-Shot Object Detector based on Multi-Level Feature
Pyramid Network", AAAI; arXiv 1811.04533).

COCO trainval35k throughout, from ImageNet weights: batch 32, warm-up over 5 epochs, 2e-3, divided
by ten at 90 and 120 of 150 epochs ("Implementation details"). Caffe has no warm-up, so `train.sh`
runs two solvers one after the other. Hardware: four Titan X for 320 and 512 with VGG16 (3 and 6
days; 5 for 320 with ResNet-101), two V100 for 512 with ResNet-101 (11 days), V100s for 800 (14
days).

What the paper leaves open is as in the authors' code (qijiezhao/M2Det): batch normalisation behind
every new convolution and none of them with a bias, prior sizes from 0.08 (320), 0.06 (512) and 0.04
(800) of the image up to 1.05, their centres' steps, a warm-up from 1e-6; ResNet-101 with stride 1
in conv4 and stride 2 in conv5, which is not dilated (PyTorch's has these strides in the 3×3
convolutions, Caffe's weights are for strides in the 1×1 ones before). Where figures and text say
otherwise, the code's layers are taken: the deep map is fc7, not "e.g., conv4_3 and conv5_3"; FFMv1
compresses the shallow map by a 3×3 convolution, not 1×1; the last of a TUM's five convolutions on
the way down has stride 1 and no padding, not stride 2.

PriorBox cuts sizes to whole pixels, so the layers count in parts of a pixel, `img_size` and step
too: all boxes are the authors', but for those that they clamp to the image's size about their
centres, which PriorBox cannot: 22 of 12,810 at 320, 48 of 32,760 at 512, 136 of 62,022 at 704, 198
of 80,208 at 800.

The code differs from the paper in this (`_release` ids): no SFAM; one FFMv2 base convolution for
all levels and, where SFAM is switched on, one pair of connections for all scales; batch
normalisation of the largest map before its heads; 4e-3, 2e-3, 4e-4, 4e-5, 4e-6 up to 90, 110, 130,
150, 160 epochs, batch 16; 0.6 of the images zoomed out, 0.5 in SSD; a score of 0.1 at test time.
Not as in the code, since stock layers lack it: the canvas of an image zoomed out has the image's
own aspect ratio; the 200 best detections of an image are kept in all, not the 50 best of each class
(`keep_per_class`).

Test: scores above 0.05 and soft suppression with a linear kernel. Stock Caffe has the hard one
only, which the test net does, at 0.45; `netrun test` and `netrun detect` do the other on the same
nets with `--soft-nms`. Multi-scale testing is not there.

Parameters: Table 3 prints 98.9M for 8 levels of 256 channels, and the released code does not give
that: with 81 classes and the heads it has 132.6M (133.2M with SFAM); the other rows likewise. The
ids here have 136.5M: the paper does not share what the code does.

To run one: `netgen build <id>`, then `prototxt/<id>/train.sh`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import pairwise

from netgen.backbones.registry import Maps, NeckOnBackbone
from netgen.backbones.resnet101 import RESNET101, resnet101
from netgen.backbones.vgg16 import VGG16
from netgen.data_layer import Augmentation
from netgen.datasets import COCO
from netgen.graph import Blob, Net
from netgen.heads.detections import Suppression
from netgen.heads.multibox import MultiBox
from netgen.heads.priors import Priors, Scales
from netgen.necks.m2det import Mlfpn, with_steps
from netgen.necks.ssd import ssd_neck
from netgen.recipe import Recipe
from netgen.sources import Source
from netgen.zoo.m2det_schedules import PAPER, released_schedule
from netgen.zoo.m2det_sizes import TABLE_3, SizeRow
from netgen.zoo.registry import detector


def head(first: int, confidence: float = 0.05) -> MultiBox:
    """Return the head; the sides of its boxes are SSD's on COCO, but for the first map.

    first: smallest side, in percent of the image (configs/ of qijiezhao/M2Det).
    confidence: score that a detection must exceed.
    """
    return MultiBox(
        scales=Scales(first=(first, 15), low=15),
        ratios=((2, 3),),
        suppression=Suppression(confidence=confidence),
        fractions=True,
    )


# The authors' ResNet has stride 1 in conv4 and stride 2 in conv5, which is not dilated.
RESNET = replace(RESNET101, build=partial(resnet101, halving="35"))


def on_vgg(neck: Mlfpn) -> NeckOnBackbone:
    """Return a neck on VGG16, which `--backbone resnet101` puts on the authors' ResNet."""
    return NeckOnBackbone(neck, VGG16, own=(RESNET,))


VGG_NECK = Mlfpn(maps=(VGG16.maps[8], VGG16.maps[16]))
RESNET_NECK = Mlfpn(maps=(RESNET.maps[8], RESNET.maps[16]))
M2DET320 = Recipe(
    name="m2det320_vgg",
    size=320,
    dataset=COCO,
    features=on_vgg(VGG_NECK),
    head=head(8),
    schedule=PAPER,
    weights=VGG16.weights,
    hardware="4 Titan X",
)


@detector(committed=True)
def m2det320_vgg_coco() -> Recipe:
    """M2Det320 with VGG16, 8 levels of 256 channels, Table 1: 33.5 mAP (0.5:0.95) on test-dev;
    Tables 2 and 3: 33.2 on minival.
    """
    return replace(
        M2DET320,
        hours=3 * 24,
    )


@detector(committed=True)
def m2det320_resnet101_coco() -> Recipe:
    """M2Det320 with ResNet-101, Table 1: 34.3 mAP (0.5:0.95) on test-dev; last column of Table 2:
    34.1 on minival.
    """
    return replace(
        M2DET320,
        name="m2det320_resnet101",
        features=NeckOnBackbone(RESNET_NECK, RESNET, own=(RESNET,)),
        weights=RESNET.weights,
        hours=5 * 24,
    )


@detector(committed=True)
def m2det512_vgg_coco() -> Recipe:
    """M2Det512 with VGG16, Table 1: 37.6 mAP (0.5:0.95) on test-dev."""
    return replace(
        M2DET320,
        name="m2det512_vgg",
        size=512,
        head=head(6),
        hours=6 * 24,
    )


@detector()
def m2det512_resnet101_coco() -> Recipe:
    """M2Det512 with ResNet-101, Table 1: 38.8 mAP (0.5:0.95) on test-dev."""
    return replace(
        M2DET320,
        name="m2det512_resnet101",
        size=512,
        features=NeckOnBackbone(RESNET_NECK, RESNET, own=(RESNET,)),
        head=head(6),
        schedule=replace(PAPER, per_gpu=16, gpus=(0, 1)),
        weights=RESNET.weights,
        hardware="2 V100",
        hours=11 * 24,
    )


@detector(committed=True)
def m2det800_vgg_coco() -> Recipe:
    """M2Det800 with VGG16, Table 1: 41.0 mAP (0.5:0.95) on test-dev; the text counts 147M
    parameters for it.
    """
    return replace(
        M2DET320,
        name="m2det800_vgg",
        size=800,
        head=head(4),
        hardware="V100",
        hours=14 * 24,
    )


@detector()
def m2det800_resnet101_coco() -> Recipe:
    """M2Det800 with ResNet-101: the paper names backbone and size, but prints no result of the two
    together.
    """
    return replace(
        M2DET320,
        name="m2det800_resnet101",
        size=800,
        features=NeckOnBackbone(RESNET_NECK, RESNET, own=(RESNET,)),
        head=head(4),
        schedule=replace(PAPER, per_gpu=4),
        weights=RESNET.weights,
        hardware="",
    )


def baseline_neck(net: Net, maps: Maps, image: Blob) -> list[Source]:
    """Add SSD's source maps, whose prior boxes have M2Det's steps."""
    return with_steps(ssd_neck(net, maps, image), image)


@detector()
def m2det320_vgg_coco_baseline() -> Recipe:
    """SSD with VGG16 at 320×320, first column of Table 2: 25.8 mAP on minival. Prior boxes and
    schedule are M2Det's.
    """
    return replace(
        M2DET320,
        suffix="_baseline",
        features=NeckOnBackbone(baseline_neck, VGG16, own=(RESNET,)),
    )


@detector()
def m2det320_vgg_coco_stum1() -> Recipe:
    """One s-TUM (no 1×1 smoothing) on the base feature, no SFAM, second column of Table 2: 27.5 mAP
    on minival.

    The text describes this column as the baseline with "a series of Deconv layers" after DSSD; the
    table's own name is followed here.
    """
    neck = replace(VGG_NECK, levels=1, smooth=False, sfam=False)
    return replace(
        M2DET320,
        suffix="_stum1",
        features=on_vgg(neck),
    )


@detector()
def m2det320_vgg_coco_stum8() -> Recipe:
    """Eight s-TUMs, the base feature for the first only, no SFAM, third column of Table 2: 30.6 mAP
    on minival.
    """
    neck = replace(VGG_NECK, smooth=False, base_feature=False, sfam=False)
    return replace(
        M2DET320,
        suffix="_stum8",
        features=on_vgg(neck),
    )


@detector()
def m2det320_vgg_coco_tum8() -> Recipe:
    """Eight TUMs, the base feature for the first only, no SFAM, fourth column of Table 2: 30.8 mAP
    on minival.
    """
    neck = replace(VGG_NECK, base_feature=False, sfam=False)
    return replace(
        M2DET320,
        suffix="_tum8",
        features=on_vgg(neck),
    )


@detector()
def m2det320_vgg_coco_nosfam() -> Recipe:
    """Eight TUMs, each with the base feature, no SFAM, fifth column of Table 2: 32.7 mAP on
    minival.
    """
    neck = replace(VGG_NECK, sfam=False)
    return replace(
        M2DET320,
        suffix="_nosfam",
        features=on_vgg(neck),
    )


@detector(rows=TABLE_3)
def other_size(row: SizeRow) -> Recipe:
    """M2Det320 with VGG16, {row.levels} levels of {row.channels} channels, Table 3: {row.mAP} mAP
    (0.5:0.95) on minival.

    The table prints {row.millions}M parameters; see the head of this file.
    """
    neck = replace(VGG_NECK, levels=row.levels, channels=row.channels)
    return replace(
        M2DET320,
        suffix=row.suffix,
        features=on_vgg(neck),
    )


# The configurations of the authors' code, with steps as they round them; the paper's ids divide the
# image by the cells.
RELEASED_NECK = replace(
    VGG_NECK,
    sfam=False,  # the switch is off in all of them
    shared=True,
    normalise_first=True,
)
RELEASED320 = replace(
    M2DET320,
    suffix="_release",
    features=on_vgg(RELEASED_NECK),
    head=head(8, confidence=0.1),
    schedule=released_schedule(16),
    augmentation=Augmentation(expand_prob=0.6),
    hardware="",
)


@detector()
def m2det320_vgg_coco_release() -> Recipe:
    """M2Det320 as configs/m2det320_vgg.py of qijiezhao/M2Det has it: no SFAM, batch 16, 160
    epochs.
    """
    return RELEASED320


@detector()
def m2det512_vgg_coco_release() -> Recipe:
    """M2Det512 as configs/m2det512_vgg.py of qijiezhao/M2Det has it: no SFAM, batch 16, 160
    epochs.
    """
    return replace(
        RELEASED320,
        name="m2det512_vgg",
        size=512,
        head=head(6, confidence=0.1),
        schedule=released_schedule(16),
    )


@detector(committed=True)
def m2det704_vgg_coco_release() -> Recipe:
    """M2Det704 as configs/m2det704_vgg.py of qijiezhao/M2Det has it: a size that the paper lacks;
    no SFAM, batch 11, 160 epochs.
    """
    # Pixels: the min size of each map, and the last map's max size.
    sides = [704 * side for side in (0.04, 0.11, 0.23, 0.39, 0.58, 0.80, 1.05)]
    priors = [Priors(low, high, (2, 3)) for low, high in pairwise(sides)]
    return replace(
        RELEASED320,
        name="m2det704_vgg",
        size=704,
        head=replace(head(4, confidence=0.1), scales=None, priors=priors),
        schedule=released_schedule(11),
    )


@detector()
def m2det800_vgg_coco_release() -> Recipe:
    """M2Det800 as configs/m2det800_vgg.py of qijiezhao/M2Det has it: no SFAM, batch 9, 160
    epochs.
    """
    return replace(
        RELEASED320,
        name="m2det800_vgg",
        size=800,
        head=head(4, confidence=0.1),
        schedule=released_schedule(9),
    )


@detector()
def m2det320_resnet101_coco_release() -> Recipe:
    """M2Det320 as configs/m2det320_resnet101.py of qijiezhao/M2Det has it: no SFAM, batch 12, 160
    epochs.
    """
    neck = replace(RELEASED_NECK, maps=RESNET_NECK.maps)
    return replace(
        RELEASED320,
        name="m2det320_resnet101",
        features=NeckOnBackbone(neck, RESNET, own=(RESNET,)),
        schedule=released_schedule(12),
        weights=RESNET.weights,
    )
