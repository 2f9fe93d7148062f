"""DSOD (Shen et al. 2017, "DSOD: Learning Deeply Supervised Object Detectors from Scratch", ICCV; arXiv 1708.01241), and GRP-DSOD.

Every net starts from random Xavier weights. Batch 128 over eight Titan X of 12 GB, gradients accumulated over two iterations (§4.2; the
released scripts have four images per GPU and four iterations; with twelve on a P40 the authors reach 78.9 mAP, says their README).
Learning rate 0.1. Speed: 17.4 images per second dense, 20.6 plain, on a Titan X (§4.1).

Boxes: SSD's 8732 as the paper means it, whose sixth map is 1×1. The released nets (szq0214/DSOD) halve a map of 3 cells to 2, have
8744 boxes, and keep step 300 there, so that three of those four cells have their centres outside the image. Their heads' weights
start Gaussian (σ 0.01), not Xavier as §4.2 has it. Heads have BatchNorm in both: the paper does not say, the released weights need it.
Every Scale of the body decays, as released (no `param`).

Parameters of Tables 3 and 4 count BatchNorm's statistics (59.2 MB for 14.8M). Dense (14.8M, 5.9M, lite 10.4M) and, without stem, plain
(6.3M, 6.1M, 18.0M) come out. Where plain prediction layers follow a stem, Figure 1's widths give 0.9M more than printed (19.1M for 18.2M):
18.2M and 5.2M are those of 128 channels, what a dense layer learns, on Fourth to Sixth, which these ids have. Each card says what is left.
Not checked against the printed table: the parameters of Table 3's rows 1 to 8 and the mAP of row 8. The other mAPs are in §4.1, or follow
from the differences there.
To run one: `netgen build <id>`, then `prototxt/<id>/train.sh`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from netgen.backbones.dsod import Backbone, dsod, grp_dsod
from netgen.backbones.registry import Maps, Stack
from netgen.blocks.numbered_layers import Unnamed
from netgen.datasets import COCO, VOC0712, VOC0712PP, Dataset
from netgen.graph import Blob, Net
from netgen.heads.multibox import Source, multibox_head
from netgen.necks.dsod import DENSE, dsod_neck, grp_neck, predictor, released_predictor
from netgen.recipe import VGG_WEIGHTS, Detector
from netgen.schedules import Schedule
from netgen.zoo import entry, row, variant
from netgen.zoo.resnet import ssd300_resnet101_voc0712_release
from netgen.zoo.ssd import VOC_300, ssd

GPUS = tuple(range(8))
# §4.2: ÷10 after every 20k iterations; §4.3: first after 30k; §4.4: after 80k, then every 60k.
VOC = Schedule(
    (20_000, 40_000, 60_000, 80_000), 100_000, 0.1, batch=128, gpus=GPUS, test_batch=2, snapshot=2_000, test_interval=2_000, display=20
)
VOC_PP = replace(VOC, steps=(30_000, 50_000, 70_000, 90_000), max_iter=110_000, test_batch=1)
COCO_PAPER = replace(VOC, steps=(80_000, 140_000, 200_000, 260_000), max_iter=320_000, snapshot=10_000, test_interval=10_000, display=10)
VOC_RELEASE = replace(VOC, steps=(*VOC.steps, 100_000), per_gpu=4, test_first=True, average_loss=10)
VOC_PP_RELEASE = replace(VOC_RELEASE, max_iter=120_000, test_batch=1, test_interval=160_000, test_first=False)
COCO_RELEASE = replace(COCO_PAPER, steps=(*COCO_PAPER.steps, 320_000), per_gpu=4, test_interval=1_000_000)
GRP_RELEASE = replace(VOC_RELEASE, steps=VOC.steps, batch=144, per_gpu=6)  # 128 / (6 x 8), rounded up, times 6 x 8

# Channels of Second to Sixth in plain prediction layers (Figure 1), after a backbone without stem and with one.
PLAIN = (512, 256)
PLAIN_STEM = (512, 128)
HEAD = partial(multibox_head, predict=predictor)
RELEASED_HEAD = partial(multibox_head, predict=released_predictor)


def dense(spec: Backbone, *, released: bool = False) -> Any:
    """Features: a backbone and dense prediction layers."""

    def features(net: Net, image: Blob) -> list[Source]:
        layers = Unnamed(net)
        return dsod_neck(layers, image, *dsod(layers, image, spec), released=released)

    return features


def plain(spec: Backbone) -> Any:
    """Features: a backbone, its second transition without pooling (Table 1) and plain prediction layers."""

    def features(net: Net, image: Blob) -> list[Source]:
        layers = Unnamed(net)
        first, x = dsod(layers, image, spec)
        channels = (spec.compressed(x.channels), *(PLAIN_STEM if spec.stem else PLAIN))
        return dsod_neck(layers, image, first, x, channels=channels, dense=False)

    return features


def dsod300(dataset: Dataset, schedule: Schedule, *, features: Any = dense(Backbone()), **options: Any) -> Detector:  # noqa: B008
    """DSOD for 300×300 pixels. options: of Detector."""
    return Detector("dsod300", 300, features, dataset, schedule, **{"head": HEAD, "weights": "", **options})


def release(dataset: Dataset, schedule: Schedule, **options: Any) -> Detector:
    """DSOD300 as released."""
    return dsod300(dataset, schedule, suffix="_release", features=dense(Backbone(), released=True), head=RELEASED_HEAD, **options)


@entry
def dsod300_voc0712() -> Detector:
    """DSOD300, DS/64-192-48-1 with dense prediction layers, on VOC 07+12, Table 4: 77.7 mAP on VOC2007 test, 14.8M parameters.

    81.7 with COCO as training data, too (Table 3, last row): the paper does not say how; the heads of 81 classes fit no 21.
    """
    return dsod300(VOC0712, VOC)


@entry
def dsod300_voc0712pp() -> Detector:
    """DSOD300 on VOC 07++12, §4.3 and Table 5: 76.3 mAP on VOC2012 test (by the VOC server); 79.3 with COCO."""
    return dsod300(VOC0712PP, VOC_PP)


@entry
def dsod300_coco() -> Detector:
    """DSOD300 on COCO trainval, §4.4 and Table 6: 29.3 mAP (0.5:0.95), 47.3 (0.5) on test-dev2015.

    The paper trains on train and val together; data/coco has trainval35k.
    """
    return dsod300(COCO, COCO_PAPER)


@entry
def dsod300_voc0712_release() -> Detector:
    """DSOD300 on VOC 07+12 as released (examples/dsod/DSOD300_pascal.py): 8744 boxes, 14,715,804 parameters and 80,024 statistics."""
    return release(VOC0712, VOC_RELEASE)


@variant
def dsod300_voc0712pp_release() -> Detector:
    """DSOD300 on VOC 07++12 as released (DSOD300_pascal++.py): 120k iterations with 07+12's steps, the paper has 110k from a later one."""
    return release(replace(VOC0712PP, ap_version="11point"), VOC_PP_RELEASE)


@variant
def dsod300_coco_release() -> Detector:
    """DSOD300 on COCO as released (DSOD300_coco.py): 21,700,524 parameters and 83,624 statistics; it never tests while training."""
    return release(COCO, COCO_RELEASE, output_prefix="detections_minival_ssd300_results")


@variant
def dsod300_voc0712_plain() -> Detector:
    """DSOD300, DS/64-192-48-1 with plain prediction layers, Table 3 row 9: 77.3 mAP on VOC2007 test, 18.2M parameters.

    With Figure 1's 256 channels on Fourth to Sixth it would have 19.1M; with 128 it has 18.2M.
    """
    return dsod300(VOC0712, VOC, suffix="_plain", features=plain(Backbone()))


@variant
def dsod300_voc0712_lite() -> Detector:
    """DSOD300 lite, §4.1: 76.7 mAP on VOC2007 test, 25.8 images per second, 10.4M parameters, 41.8 MB.

    The paper does not print its structure. Copies of the authors' demo name its folder lite_DS-64-256-64-1; with half of each block's
    layers (3, 4, 4, 4), which is taken here, that has 10,436,854 values with statistics, 41.75 MB without layer names.
    """
    return dsod300(VOC0712, VOC, suffix="_lite", features=dense(Backbone(64, 256, 64, blocks=(3, 4, 4, 4))))


@variant
def dsod300_voc0712_smallest() -> Detector:
    """DSOD300 smallest, DS/64-64-16-1 with dense prediction layers, Table 3 row 10: 73.6 mAP on VOC2007 test, 5.9M parameters."""
    return dsod300(VOC0712, VOC, suffix="_smallest", features=dense(Backbone(64, 64, 16)))


def table3(number: int, spec: Backbone, mAP: float, printed: str, note: str = "") -> None:
    """A row of Table 3 with plain prediction layers; Table 2's columns are rows 1 to 6 and 9 and what is dense."""
    left_out = ", without stem" * (not spec.stem) + " and transition w/o pooling" * (len(spec.blocks) == 3)
    card = f"{spec}{left_out}, plain prediction layers, Table 3 row {number}: {mAP} mAP on VOC2007 test, {printed} parameters.{note}"
    letters = f"{spec.first}_{spec.bottleneck}_{spec.growth}_{spec.compression:g}".replace(".", "")
    suffix = f"_ds{letters}" + "_nostem" * (not spec.stem) + "_3blocks" * (len(spec.blocks) == 3)
    row(f"dsod300_voc0712{suffix}", lambda: dsod300(VOC0712, VOC, suffix=suffix, features=plain(spec)), card)


bare = partial(Backbone, stem=False)
table3(1, bare(32, 12, 16, 0.5, blocks=(6, 8, 8)), 59.9, "4.1M")
table3(2, bare(32, 12, 16, 0.5), 61.6, "4.2M")
table3(3, bare(32, 12, 16), 64.5, "5.5M", " It has 5.44M, 0.06M less than printed.")
table3(4, bare(32, 64, 16), 68.6, "6.1M")
table3(5, bare(64, 64, 16), 69.7, "6.3M")
table3(6, bare(64, 192, 48), 74.5, "18.0M")
table3(7, Backbone(64, 12, 16), 70.7, "5.2M", " 70.3 from ImageNet weights.")
table3(8, Backbone(64, 36, 48), 76.0, "12.5M", " It has 12.3M, 0.2M less than printed: B of 36 for row 9's 192 takes 5.9M off its 18.2M.")


def dense_prediction(net: Net, maps: Maps, image: Blob) -> list[Source]:
    """Dense prediction layers on VGG16 in place of SSD's (§4.1)."""
    return dsod_neck(Unnamed(net), image, maps["conv4_3"], maps["fc7"], channels=(1024, *DENSE[1:]))


SCRATCH = replace(VOC_300, batch=64)  # the authors in szq0214/DSOD, issue 10: twice SSD's batch


def ssd300_dense(suffix: str, schedule: Schedule, weights: str) -> Detector:
    return replace(ssd(300, VOC0712, schedule, suffix), features=Stack(dense_prediction), head=HEAD, weights=weights)


@entry
def ssd300_voc0712_dense() -> Detector:
    """SSD300 on VGG16 with DSOD's dense prediction layers, §4.1: 76.1 mAP on VOC2007 test, SSD300's own 75.8.

    The paper says no more. Taken: SSD's channels (1024, 512, 256, …), half of the second map from fc7 and half from conv4_3, layers as in
    DSOD with their BatchNorm, SSD's schedule. That has 26.4M parameters; Table 4 prints 26.0M, which no division tried gives.
    """
    return ssd300_dense("_dense", VOC_300, VGG_WEIGHTS)


@variant
def ssd300_voc0712_dense_scratch() -> Detector:
    """SSD300 with DSOD's dense prediction layers, from scratch, Table 4 (SSD300S): 70.4 mAP on VOC2007 test.

    26.0M parameters are printed, it has 26.4M: see ssd300_voc0712_dense.
    """
    return ssd300_dense("_dense_scratch", SCRATCH, "")


@variant
def ssd300_voc0712_scratch() -> Detector:
    """SSD300 from scratch, Table 4 (SSD300S): 69.6 mAP on VOC2007 test, 26.3M parameters."""
    return replace(ssd(300, VOC0712, SCRATCH, "_scratch"), weights="")


@variant
def ssd300_resnet101_voc0712_scratch() -> Detector:
    """SSD300 on ResNet-101 from scratch, Table 4 (SSD300S): 63.8 mAP on VOC2007 test, "with the default setting of SSD"."""
    return replace(ssd300_resnet101_voc0712_release(), suffix="_scratch", weights="")


@entry
def grp_dsod320_voc0712_release() -> Detector:
    """GRP-DSOD320 on VOC 07+12 as released (examples/grp_dsod/GRP_DSOD320_pascal.py of szq0214/DSOD; Shen et al. 2017, arXiv 1712.00886).

    79.0 mAP on VOC2007 test and 16.0M parameters, 63.9 MB, says GFR-DSOD's README (320*; its nets of 14.1M and 14.2M have no script).
    17,078 boxes, 15,928,690 parameters, 388,728 of them frozen bilinear filters, 26,637 statistics. Effective batch 144: 128 does not
    divide by 6 x 8.
    The gates are as good as dead: their weights start at zero, where no gradient reaches them; each is a learned constant per channel.
    Three of the last map's four cells have their centres outside the image (step 320).
    """

    def features(net: Net, image: Blob) -> list[Source]:
        layers = Unnamed(net)
        return grp_neck(layers, image, *grp_dsod(layers, image, Backbone()))

    ratios = [(1.6, 2, 3)] * 4 + [(1.6, 2)] * 2
    return Detector("grp_dsod320", 320, features, VOC0712, GRP_RELEASE, suffix="_release", ratios=ratios, head=RELEASED_HEAD, weights="")
