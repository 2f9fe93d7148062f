"""FSSD (Li & Zhou 2017, "FSSD: Feature Fusion Single Shot Multibox Detector", arXiv 1712.00960) on
VGG16.

The plain ids train from VGG16 as §4.2 and §4.3 print it; the released scripts (examples/fssd of
lzx1413/CAFFE_SSD) differ from that and from each other, and are the `_release` ids. The rows of
Tables 1 and 2 start from a trained SSD where the paper does (§3.2, "FSSD+" in Figure 4): the fusion
module and what follows it learns at twice the rate, for 60k iterations; the paper prints neither
their steps, which are those of 120k in proportion, nor their base rate, here 1e-3 as from VGG16
(the released script that starts from SSD has 5e-4). §3.2 says that FSSD starts from a trained SSD
"by default", §4.2 from VGG16: the plain ids do what §4.2 says, `_plus` what §3.2 says. §3.1 and
§4.2 put a 1×1 convolution of 256 channels before every fused map; conv7_2, which has 256 already,
goes without one, as released. Hardware: two GTX 1080Ti for FSSD300 on VOC; 512
and COCO are not said (the scripts have eight GPUs). 82.7 and 84.5 mAP on VOC2007 need a start from
COCO: the 20 VOC classes' rows of the heads cut out of the 80-class model (§4.2).

To run one: `netgen build <id>`, then `prototxt/<id>/train.sh`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from netgen.backbones.registry import NeckOnBackbone
from netgen.backbones.vgg16 import VGG16
from netgen.datasets import COCO, VOC0712, VOC0712PP
from netgen.heads.multibox import MultiBox
from netgen.heads.priors import SSD512
from netgen.necks.fssd import Fusion
from netgen.recipe import Recipe
from netgen.schedules import Schedule
from netgen.zoo.registry import detector
from netgen.zoo.schedules import FSSD_COCO

# §4.2: two GPUs
VOC_300 = Schedule(
    steps=(80_000, 100_000, 120_000),
    max_iter=120_000,
    per_gpu=16,
    gpus=(0, 1),
    snapshot=5_000,
    test_interval=5_000,
    per_class=True,
)
VOC_512 = replace(
    VOC_300,
    per_gpu=4,
    gpus=tuple(range(8)),
    test_batch=1,
)
# §4.3
COCO_512 = replace(
    VOC_512,
    steps=(280_000, 320_000, 360_000),
    max_iter=360_000,
)
# Both released VOC scripts
SHORT = replace(
    VOC_300,
    steps=(40_000, 60_000, 80_000),
    max_iter=80_000,
)

FSSD300 = Recipe(
    name="fssd300",
    size=300,
    dataset=VOC0712,
    features=NeckOnBackbone(Fusion(), VGG16),
    head=MultiBox(),
    schedule=VOC_300,
    weights=VGG16.weights,
)
FSSD512 = replace(
    FSSD300,
    name="fssd512",
    size=512,
    schedule=VOC_512,
)
SSD300_VOC = "models/VGG_VOC0712_SSD_300x300_iter_120000.caffemodel"
SSD300_COCO = "models/VGG_coco_SSD_300x300_iter_400000.caffemodel"
FOUR = ("conv3_3", "conv4_3", "fc7", "conv7_2")
# From a trained SSD300 ("FSSD+", §3.2): layers that SSD300 lacks learn at twice the rate.
PLUS_NECK = Fusion(lr_mult=2, conv7_2_lr_mult=1)


@detector(committed=True)
def fssd300_voc0712() -> Recipe:
    """FSSD300 on VOC 07+12, §4.2 and Table 3: 78.8 mAP on VOC2007 test, from VGG16."""
    return replace(
        FSSD300,
        hardware="2 GTX 1080Ti",
    )


@detector(committed=True)
def fssd512_voc0712() -> Recipe:
    """FSSD512 on VOC 07+12, §4.2 and Table 3: 80.9 mAP on VOC2007 test, from VGG16."""
    return FSSD512


@detector(committed=True)
def fssd300_voc0712pp() -> Recipe:
    """FSSD300 on VOC 07++12 from VGG16. No mAP of that is printed: Table 4's 82.0 on VOC2012 test
    is of a start from COCO's 20 classes (§4.2).
    """
    return replace(
        FSSD300,
        dataset=VOC0712PP,
    )


@detector(committed=True)
def fssd512_voc0712pp() -> Recipe:
    """FSSD512 on VOC 07++12 from VGG16. No mAP of that is printed: Table 4's 84.2 on VOC2012 test
    is of a start from COCO's 20 classes (§4.2).
    """
    return replace(
        FSSD512,
        dataset=VOC0712PP,
    )


@detector(committed=True)
def fssd300_coco() -> Recipe:
    """FSSD300 on COCO trainval35k, §4.3 and Table 5: 27.1 mAP (0.5:0.95) on test-dev."""
    return replace(
        FSSD300,
        dataset=COCO,
        schedule=FSSD_COCO,
    )


@detector(committed=True)
def fssd512_coco() -> Recipe:
    """FSSD512 on COCO trainval35k, §4.3 and Table 5: 31.8 mAP (0.5:0.95) on test-dev."""
    return replace(
        FSSD512,
        dataset=COCO,
        schedule=COCO_512,
    )


@detector(committed=True)
def fssd300_voc0712_release() -> Recipe:
    """FSSD300 as fssd_pascal.py has it: from a trained SSD300, new layers at twice 5e-4, 80k
    iterations, 8682 boxes.

    Two boxes per cell are missing on the 5×5 map (aspect ratio 3) against the paper's 8732.
    """
    return replace(
        FSSD300,
        suffix="_release",
        features=NeckOnBackbone(Fusion(lr_mult=2), VGG16),
        head=MultiBox(
            ratios=((2,), (2, 3), (2, 3), (2,), (2,), (2,)),
            lr_mult=2,
        ),
        schedule=replace(SHORT, base_lr=5e-4, gpus=(4, 5)),
        weights=SSD300_VOC,
        weights_from="ssd300_voc0712",
    )


@detector(committed=True)
def fssd512_voc0712_release() -> Recipe:
    """FSSD512 as fssd_pascal_512.py has it: trained on 07++12 at 1e-4 for 80k iterations, new
    layers at twice that.

    Its training data hold the VOC2007 test images that it is tested on, so the mAP in its log
    measures nothing.
    """
    return replace(
        FSSD512,
        suffix="_release",
        dataset=replace(
            VOC0712,
            train_lmdb=VOC0712PP.train_lmdb,
            train_images=VOC0712PP.train_images,
        ),
        features=NeckOnBackbone(replace(PLUS_NECK, conv4_3_last=True), VGG16),
        head=MultiBox(lr_mult=2),
        schedule=replace(
            VOC_512,
            steps=SHORT.steps,
            max_iter=SHORT.max_iter,
            base_lr=1e-4,
        ),
    )


@detector(committed=True)
def fssd300_coco_release() -> Recipe:
    """FSSD300 on COCO as fssd_coco.py has it: the paper's schedule, tested at an overlap of 0.75
    while training.
    """
    return replace(
        FSSD300,
        suffix="_release",
        dataset=COCO,
        head=MultiBox(overlap_threshold=0.75),
        schedule=replace(FSSD_COCO, gpus=(4, 5, 6, 7)),
        output_prefix="detections_minival_fssd300_",
    )


@detector(committed=True)
def fssd512_coco_release() -> Recipe:
    """FSSD512 on COCO as fssd_coco_512.py has it: 380k iterations, prior boxes of SSD512 on VOC,
    trained on crowds, too.

    It does not ask for three channels of grey images (force_color), as fssd_coco.py does.
    """
    return replace(
        FSSD512,
        suffix="_release",
        dataset=replace(COCO, train_on_difficult=True, force_color=False),
        features=NeckOnBackbone(Fusion(conv4_3_last=True), VGG16),
        head=MultiBox(scales=SSD512, overlap_threshold=0.75),
        schedule=replace(COCO_512, max_iter=380_000),
        output_prefix="detections_minival_fssd512_",
    )


@detector()
def fssd300_coco_plus() -> Recipe:
    """FSSD300 on COCO from a trained SSD300, §4.3: 120k iterations in all are said to be enough; no
    mAP of its own is printed.
    """
    return replace(
        FSSD300,
        suffix="_plus",
        dataset=COCO,
        features=NeckOnBackbone(PLUS_NECK, VGG16),
        head=MultiBox(lr_mult=2),
        schedule=FSSD_COCO.shortened(120_000),
        weights=SSD300_COCO,
        weights_from="ssd300_coco",
    )


@dataclass(frozen=True)
class PlusRow:
    """A row of Table 1 or 2.

    suffix: end of the zoo id.
    what: table, row and difference in words.
    mAP: on VOC2007 test.
    neck: how it differs.
    """

    suffix: str
    what: str
    mAP: float
    neck: Fusion

    @property
    def id(self) -> str:
        """The zoo id."""
        return f"fssd300_voc0712{self.suffix}"


TABLES_1_AND_2 = (
    PlusRow(
        "_plus",
        "Table 2 row 3 and Table 1 (b): conv4_3, fc7 and conv7_2 fused",
        78.8,
        PLUS_NECK,
    ),
    PlusRow(
        "_plus_conv3",
        "Table 2 row 2: conv3_3 fused, too",
        78.6,
        replace(PLUS_NECK, fused=FOUR),
    ),
    PlusRow(
        "_plus_fc7",
        "Table 2 row 4: conv4_3 and fc7 fused, without conv7_2",
        78.6,
        replace(PLUS_NECK, fused=("conv4_3", "fc7")),
    ),
    PlusRow(
        "_plus_conv3_nobn",
        "Table 2 row 6: conv3_3 fused, too, without batch normalisation",
        78.1,
        replace(PLUS_NECK, fused=FOUR, batch_norm=False),
    ),
    PlusRow(
        "_plus_conv3_sum",
        "Table 2 row 7: conv3_3 fused, too, by element-wise sum",
        76.3,
        replace(PLUS_NECK, fused=FOUR, sum_up=True),
    ),
    PlusRow(
        "_plus_fused",
        "Table 1 (a): the fused map takes part in the detection",
        78.2,
        replace(PLUS_NECK, pyramid="a"),
    ),
    PlusRow(
        "_plus_bottleneck",
        "Table 1 (c): bottleneck blocks in the pyramid",
        78.4,
        replace(PLUS_NECK, pyramid="c"),
    ),
)


@detector(rows=TABLES_1_AND_2)
def plus(row: PlusRow) -> Recipe:
    """FSSD300 on VOC 07+12 from a trained SSD300, {row.what}: {row.mAP} mAP on VOC2007 test."""
    return replace(
        FSSD300,
        suffix=row.suffix,
        features=NeckOnBackbone(row.neck, VGG16),
        head=MultiBox(lr_mult=2),
        schedule=VOC_300.shortened(60_000),
        weights=SSD300_VOC,
        weights_from="ssd300_voc0712",
    )


@detector()
def fssd300_voc0712_conv3() -> Recipe:
    """FSSD300 on VOC 07+12 from VGG16, Table 2 row 5: conv3_3 fused, too: 78.8 mAP on VOC2007
    test.
    """
    return replace(
        FSSD300,
        suffix="_conv3",
        features=NeckOnBackbone(Fusion(fused=FOUR), VGG16),
    )


@detector()
def fssd300_voc0712_scratch() -> Recipe:
    """FSSD300 on VOC 07+12 from scratch, Table 2 row 1: conv3_3 fused, too: 72.7 mAP on VOC2007
    test (FSSD300S in Table 3).

    The paper prints no schedule for it; this is that of VGG16's start.
    """
    return replace(
        FSSD300,
        suffix="_scratch",
        features=NeckOnBackbone(Fusion(fused=FOUR), VGG16),
        weights="",
    )
