"""DSOD (Shen et al. 2017, "DSOD: Learning Deeply Supervised Object Detectors from Scratch", ICCV;
arXiv 1708.01241), and GRP-DSOD.

Every net starts from random Xavier weights. Batch 128 over eight Titan X of 12 GB, gradients
accumulated over two iterations (§4.2; the released scripts have four images per GPU and four
iterations; with twelve on a P40 the authors reach 78.9 mAP, says their README). Learning rate 0.1.
Speed: 17.4 images per second dense, 20.6 plain, on a Titan X (§4.1).

Boxes: SSD's 8732 as the paper means it, whose sixth map is 1×1. The released nets (szq0214/DSOD)
halve a map of 3 cells to 2, have 8744 boxes, and keep step 300 there, so that three of those four
cells have their centres outside the image. Their heads' weights start Gaussian (σ 0.01), not Xavier
as §4.2 has it. Heads have BatchNorm in both: the paper does not say, the released weights need it.
Every Scale of the body decays, as released (no `param`).

Parameters of Tables 3 and 4 count BatchNorm's statistics (59.2 MB for 14.8M). Dense (14.8M, 5.9M,
lite 10.4M) and, without stem, plain (6.3M, 6.1M, 18.0M) come out. Where plain prediction layers
follow a stem, Figure 1's widths give 0.9M more than printed (19.1M for 18.2M): 18.2M and 5.2M are
those of 128 channels, what a dense layer learns, on Fourth to Sixth, which these ids have. Each
card says what is left. Not checked against the printed table: the parameters of Table 3's rows 1 to
8 and the mAP of row 8. The other mAPs are in §4.1, or follow from the differences there.

To run one: `netgen build <id>`, then `prototxt/<id>/train.sh`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from netgen.backbones.dsod import Structure, grp_dsod
from netgen.backbones.registry import Maps, NeckOnBackbone
from netgen.backbones.resnet101 import RESNET101, resnet101
from netgen.backbones.vgg16 import VGG16
from netgen.blocks.numbered_layers import NumberedLayers
from netgen.blocks.residual import Learning
from netgen.datasets import COCO, VOC0712, VOC0712PP
from netgen.graph import Blob, Net
from netgen.heads.multibox import MultiBox
from netgen.necks.dsod import DENSE, dsod_neck, grp_neck, predictor, released_predictor
from netgen.necks.ssd import ssd_neck
from netgen.recipe import Recipe
from netgen.schedules import Schedule
from netgen.sources import Source
from netgen.zoo.dsod_structures import TABLE_3, AblationRow, dense, plain
from netgen.zoo.registry import detector, get
from netgen.zoo.schedules import SSD_VOC

# §4.2: ÷10 after every 20k iterations
VOC = Schedule(
    steps=(20_000, 40_000, 60_000, 80_000),
    max_iter=100_000,
    base_lr=0.1,
    batch=128,
    gpus=tuple(range(8)),
    test_batch=2,
    snapshot=2_000,
    test_interval=2_000,
    display=20,
)
# §4.3: first after 30k
VOC_PP = replace(
    VOC,
    steps=(30_000, 50_000, 70_000, 90_000),
    max_iter=110_000,
    test_batch=1,
)
# §4.4: after 80k, then every 60k
COCO_PAPER = replace(
    VOC,
    steps=(80_000, 140_000, 200_000, 260_000),
    max_iter=320_000,
    snapshot=10_000,
    test_interval=10_000,
    display=10,
)
VOC_RELEASE = replace(
    VOC,
    steps=(20_000, 40_000, 60_000, 80_000, 100_000),
    per_gpu=4,
    test_first=True,
    average_loss=10,
)
VOC_PP_RELEASE = replace(
    VOC_RELEASE,
    max_iter=120_000,
    test_batch=1,
    test_interval=160_000,
    test_first=False,
)
COCO_RELEASE = replace(
    COCO_PAPER,
    steps=(80_000, 140_000, 200_000, 260_000, 320_000),
    per_gpu=4,
    test_interval=1_000_000,
)
GRP_RELEASE = replace(
    VOC_RELEASE,
    steps=VOC.steps,
    batch=144,  # 128 / (6 x 8), rounded up, times 6 x 8
    per_gpu=6,
)

DSOD300 = Recipe(
    name="dsod300",
    size=300,
    dataset=VOC0712,
    features=dense(Structure()),
    head=MultiBox(predictor=predictor),
    schedule=VOC,
    hardware="8 GPUs of 12 GB, Titan X",
)
RELEASED = replace(
    DSOD300,
    suffix="_release",
    features=dense(Structure(), released=True),
    head=MultiBox(predictor=released_predictor),
    schedule=VOC_RELEASE,
    hardware="",
)


@detector(committed=True)
def dsod300_voc0712() -> Recipe:
    """DSOD300, DS/64-192-48-1 with dense prediction layers, on VOC 07+12, Table 4: 77.7 mAP on
    VOC2007 test, 14.8M parameters.

    81.7 with COCO as training data, too (Table 3, last row): the paper does not say how; the heads
    of 81 classes fit no 21.
    """
    return DSOD300


@detector(committed=True)
def dsod300_voc0712pp() -> Recipe:
    """DSOD300 on VOC 07++12, §4.3 and Table 5: 76.3 mAP on VOC2012 test (by the VOC server); 79.3
    with COCO.
    """
    return replace(
        DSOD300,
        dataset=VOC0712PP,
        schedule=VOC_PP,
    )


@detector(committed=True)
def dsod300_coco() -> Recipe:
    """DSOD300 on COCO trainval, §4.4 and Table 6: 29.3 mAP (0.5:0.95), 47.3 (0.5) on test-dev2015.

    The paper trains on train and val together; data/coco has trainval35k.
    """
    return replace(
        DSOD300,
        dataset=COCO,
        schedule=COCO_PAPER,
    )


@detector(committed=True)
def dsod300_voc0712_release() -> Recipe:
    """DSOD300 on VOC 07+12 as released (examples/dsod/DSOD300_pascal.py): 8744 boxes, 14,715,804
    parameters and 80,024 statistics.
    """
    return RELEASED


@detector()
def dsod300_voc0712pp_release() -> Recipe:
    """DSOD300 on VOC 07++12 as released (DSOD300_pascal++.py): 120k iterations with 07+12's steps,
    the paper has 110k from a later one.
    """
    return replace(
        RELEASED,
        dataset=replace(VOC0712PP, ap_version="11point"),
        schedule=VOC_PP_RELEASE,
    )


@detector()
def dsod300_coco_release() -> Recipe:
    """DSOD300 on COCO as released (DSOD300_coco.py): 21,700,524 parameters and 83,624 statistics;
    it never tests while training.
    """
    return replace(
        RELEASED,
        dataset=COCO,
        schedule=COCO_RELEASE,
        output_prefix="detections_minival_ssd300_results",
    )


@detector()
def dsod300_voc0712_plain() -> Recipe:
    """DSOD300, DS/64-192-48-1 with plain prediction layers, Table 3 row 9: 77.3 mAP on VOC2007
    test, 18.2M parameters.

    With Figure 1's 256 channels on Fourth to Sixth it would have 19.1M; with 128 it has 18.2M.
    """
    return replace(
        DSOD300,
        suffix="_plain",
        features=plain(Structure()),
    )


@detector()
def dsod300_voc0712_lite() -> Recipe:
    """DSOD300 lite, §4.1: 76.7 mAP on VOC2007 test, 25.8 images per second, 10.4M parameters, 41.8
    MB.

    The paper does not print its structure. Copies of the authors' demo name its folder
    lite_DS-64-256-64-1; with half of each block's layers (3, 4, 4, 4), which is taken here, that
    has 10,436,854 values with statistics, 41.75 MB without layer names.
    """
    return replace(
        DSOD300,
        suffix="_lite",
        features=dense(Structure(64, 256, 64, blocks=(3, 4, 4, 4))),
    )


@detector()
def dsod300_voc0712_smallest() -> Recipe:
    """DSOD300 smallest, DS/64-64-16-1 with dense prediction layers, Table 3 row 10: 73.6 mAP on
    VOC2007 test, 5.9M parameters.
    """
    return replace(
        DSOD300,
        suffix="_smallest",
        features=dense(Structure(64, 64, 16)),
    )


@detector(rows=TABLE_3)
def ablation(row: AblationRow) -> Recipe:
    """{row.structure}{row.left_out}, plain prediction layers, Table 3 row {row.number}: {row.mAP}
    mAP on VOC2007 test, {row.printed} parameters.{row.note}
    """
    return replace(
        DSOD300,
        suffix=row.suffix,
        features=plain(row.structure),
    )


def dense_prediction(net: Net, maps: Maps, image: Blob) -> list[Source]:
    """Add dense prediction layers on VGG16 in place of SSD's (§4.1)."""
    layers = NumberedLayers(net)
    channels = (1024, *DENSE[1:])
    return dsod_neck(layers, image, maps["conv4_3"], maps["fc7"], channels=channels)


# The authors in szq0214/DSOD, issue 10: twice SSD's batch.
SCRATCH = replace(SSD_VOC, batch=64)


@detector(committed=True)
def ssd300_voc0712_dense() -> Recipe:
    """SSD300 on VGG16 with DSOD's dense prediction layers, §4.1: 76.1 mAP on VOC2007 test, SSD300's
    own 75.8.

    The paper says no more. Taken: SSD's channels (1024, 512, 256, …), half of the second map from
    fc7 and half from conv4_3, layers as in DSOD with their BatchNorm, SSD's schedule. That has
    26.4M parameters; Table 4 prints 26.0M, which no division tried gives.
    """
    return replace(
        get("ssd300_voc0712"),
        suffix="_dense",
        features=NeckOnBackbone(dense_prediction, VGG16),
        head=MultiBox(predictor=predictor),
    )


@detector()
def ssd300_voc0712_dense_scratch() -> Recipe:
    """SSD300 with DSOD's dense prediction layers, from scratch, Table 4 (SSD300S): 70.4 mAP on
    VOC2007 test.

    26.0M parameters are printed, it has 26.4M: see ssd300_voc0712_dense.
    """
    return replace(
        get("ssd300_voc0712"),
        suffix="_dense_scratch",
        features=NeckOnBackbone(dense_prediction, VGG16),
        head=MultiBox(predictor=predictor),
        schedule=SCRATCH,
        weights="",
    )


@detector()
def ssd300_voc0712_scratch() -> Recipe:
    """SSD300 from scratch, Table 4 (SSD300S): 69.6 mAP on VOC2007 test, 26.3M parameters."""
    return replace(
        get("ssd300_voc0712"),
        suffix="_scratch",
        schedule=SCRATCH,
        weights="",
    )


# Nothing in it is trained, so its convolutions start as SSD's do.
FROM_SCRATCH = replace(RESNET101, build=partial(resnet101, learning=Learning(xavier=True)))


@detector()
def ssd300_resnet101_voc0712_scratch() -> Recipe:
    """SSD300* on ResNet-101 from scratch, Table 4 (SSD300S): 63.8 mAP on VOC2007 test, "with the
    default setting of SSD, which may not be optimal".

    The paper says no more. Taken: SSD300* as it is (`ssd300_voc0712`: its 8732 boxes, pyramid,
    augmentation, schedule, Xavier's values) with ResNet-101 as SSD has it in VGG16's place.
    """
    return replace(
        get("ssd300_voc0712"),
        name="ssd300_resnet101",
        suffix="_scratch",
        features=NeckOnBackbone(ssd_neck, VGG16, FROM_SCRATCH),
        weights="",
    )


def grp_features(net: Net, image: Blob) -> list[Source]:
    """Add GRP-DSOD's backbone and neck."""
    layers = NumberedLayers(net)
    first, x = grp_dsod(layers, image, Structure())
    return grp_neck(layers, image, first, x)


@detector(committed=True)
def grp_dsod320_voc0712_release() -> Recipe:
    """GRP-DSOD320 on VOC 07+12 as released (examples/grp_dsod/GRP_DSOD320_pascal.py of
    szq0214/DSOD; Shen et al. 2017, arXiv 1712.00886).

    79.0 mAP on VOC2007 test and 16.0M parameters, 63.9 MB, says GFR-DSOD's README (320*; its nets
    of 14.1M and 14.2M have no script). 17,078 boxes, 15,928,690 parameters, 388,728 of them frozen
    bilinear filters, 26,637 statistics. Effective batch 144: 128 does not divide by 6 x 8. The
    gates are as good as dead: their weights start at zero, where no gradient reaches them; each is
    a learned constant per channel. Three of the last map's four cells have their centres outside
    the image (step 320).
    """
    return Recipe(
        name="grp_dsod320",
        size=320,
        dataset=VOC0712,
        suffix="_release",
        features=grp_features,
        head=MultiBox(
            predictor=released_predictor,
            ratios=(*[(1.6, 2, 3)] * 4, *[(1.6, 2)] * 2),
        ),
        schedule=GRP_RELEASE,
    )
