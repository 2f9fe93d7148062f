"""DSSD (Fu et al. 2017, "DSSD: Deconvolutional Single Shot Detector", arXiv 1701.06659) on
ResNet-101.

SSD on ResNet-101 (`ssd321_resnet101_voc0712` and its like, whose card says what holds for both),
and deconvolution modules that bring what the small maps know to the large ones (Figure 3). Stage 1
starts from the trained SSD, which is frozen, statistics included; stage 2 (`_ft`) starts from that
and trains everything. Four P40; batches as in SSD, since the paper prints none of its own. Layers
have the released names and shapes. DSSD513 has a 3×3 convolution of 512 channels of its own before
each head, which the paper does not print, and 256 inner channels in every prediction module. In
stage 1 the prediction modules and heads learn, too. All start anew, but for the prediction module
of the smallest map, which is SSD's own; that map's heads are new as well.
The released scripts (examples/ssd of chengyangfu/caffe, branch dssd) are for 321 on VOC 07+12, both
stages, and 513 on COCO; their prior boxes' first centres are in pixels where PriorBox counts in
steps, the paper's ids have them right. On a backbone of another kind (`--backbone vgg16`) nothing
is frozen, since no SSD was trained with it.

To run one: `netgen build <id>`, then `prototxt/<id>/train.sh`; the SSD first, or put its weights
where train.sh looks for them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from netgen.backbones.registry import NeckOnBackbone
from netgen.backbones.resnet101 import RESNET101, resnet101
from netgen.blocks.residual import FROZEN, GIVEN_STATISTICS, LEARNING, Learning
from netgen.graph import Blob, Net
from netgen.heads.multibox import MultiBox
from netgen.heads.predictions import predictor
from netgen.necks.dssd import deconvolve, ssd_resnet_neck
from netgen.necks.prediction import deep_predictor, prediction_modules
from netgen.recipe import Recipe
from netgen.schedules import Schedule
from netgen.sources import Source
from netgen.zoo.registry import detector, get


@dataclass(frozen=True)
class Decoder:
    """DSSD's neck over ResNet-101's maps.

    module: the prediction module over each map, a variant of Figure 2.
    method: how a deconvolution module joins its two sides, "product" or "sum".
    encoder: how SSD's part learns.
    decoder: how the deconvolution and prediction modules learn.
    pixel_offsets: see `ssd_resnet_neck`.
    """

    module: str = "c"
    method: str = "product"
    encoder: Learning = FROZEN
    decoder: Learning = LEARNING
    pixel_offsets: bool = False

    def __call__(self, net: Net, maps: dict[str, Blob], image: Blob) -> list[Source]:
        """Add SSD's pyramid, the deconvolution modules over it, and prediction modules."""
        sources = ssd_resnet_neck(
            net,
            maps,
            image,
            learning=self.encoder,
            pixel_offsets=self.pixel_offsets,
        )
        sources = deconvolve(net, sources, method=self.method, learning=self.decoder)
        return prediction_modules(net, sources, self.module, learning=self.decoder)


def deconvolved(
    start: Recipe,
    schedule: Schedule,
    suffix: str = "",
    neck: Decoder = Decoder(),
) -> Recipe:
    """Return DSSD that starts from the final weights of `start`: SSD, or in stage 2 DSSD."""
    backbone = replace(RESNET101, build=partial(resnet101, learning=neck.encoder))
    assert isinstance(start.head, MultiBox)
    head = replace(start.head, suffix="new", predictor=predictor)
    if start.size == 513:
        head = replace(head, predictor=deep_predictor)
    return replace(
        start,
        name=f"dssd{start.size}",
        suffix=suffix,
        features=NeckOnBackbone(neck, backbone),
        head=head,
        schedule=schedule,
        weights="",
        starts_from=start,
        needs_weights=neck.encoder == FROZEN,
    )


def stage_1(
    ssd: str,
    step: int,
    max_iter: int,
    suffix: str = "",
    neck: Decoder = Decoder(),
) -> Recipe:
    """Return stage 1, the decoder over a frozen SSD (§4).

    ssd: zoo id of the SSD.
    step: iteration of the schedule's only step.
    """
    start = get(ssd)
    passes = 1
    if start.size == 321:
        passes = 2  # as released
    schedule = replace(
        start.schedule,
        steps=(step,),
        max_iter=max_iter,
        per_gpu=start.schedule.per_gpu // passes,
    )
    return deconvolved(start, schedule, suffix, neck)


def stage_2(dssd: str) -> Recipe:
    """Return stage 2, in which every layer learns (§4).

    dssd: zoo id of stage 1.
    """
    start = get(dssd)
    schedule = replace(
        start.schedule,
        steps=(20_000,),
        max_iter=40_000,
    )
    return deconvolved(start, schedule, "_ft", Decoder(encoder=LEARNING))


@detector(committed=True)
def dssd321_voc0712() -> Recipe:
    """DSSD321 on VOC 07+12, stage 1, §4 and Table 3: 78.6 mAP on VOC2007 test, 17080 boxes."""
    return stage_1(
        "ssd321_resnet101_voc0712",
        step=20_000,
        max_iter=30_000,
    )


@detector()
def dssd513_voc0712() -> Recipe:
    """DSSD513 on VOC 07+12, stage 1, §4 and Table 3: 81.5 mAP on VOC2007 test, 43688 boxes. No file
    of the authors' is known for it.
    """
    return stage_1(
        "ssd513_resnet101_voc0712",
        step=20_000,
        max_iter=30_000,
    )


@detector()
def dssd321_voc0712_ft() -> Recipe:
    """DSSD321 on VOC 07+12, stage 2: everything learns, at 1e-3. §4 and Table 4: less than after
    stage 1 ("decreased performance").
    """
    return stage_2("dssd321_voc0712")


@detector()
def dssd513_voc0712_ft() -> Recipe:
    """DSSD513 on VOC 07+12, stage 2: everything learns, at 1e-3; the authors' README says that this
    helps at 513 only.
    """
    return stage_2("dssd513_voc0712")


@detector()
def dssd321_voc0712pp() -> Recipe:
    """DSSD321 on VOC 07++12, stage 1, §4 and Table 5: 76.3 mAP on VOC2012 test (by the VOC
    server).
    """
    return stage_1(
        "ssd321_resnet101_voc0712pp",
        step=30_000,
        max_iter=50_000,
    )


@detector()
def dssd513_voc0712pp() -> Recipe:
    """DSSD513 on VOC 07++12, stage 1, §4 and Table 5: 80.0 mAP on VOC2012 test (by the VOC
    server).
    """
    return stage_1(
        "ssd513_resnet101_voc0712pp",
        step=30_000,
        max_iter=50_000,
    )


@detector()
def dssd321_coco() -> Recipe:
    """DSSD321 on COCO trainval35k, stage 1, §4 and Table 6: 28.0 mAP (0.5:0.95) on test-dev2015."""
    return stage_1(
        "ssd321_resnet101_coco",
        step=80_000,
        max_iter=130_000,
    )


@detector(committed=True)
def dssd513_coco() -> Recipe:
    """DSSD513 on COCO trainval35k, stage 1, §4 and Table 6: 33.2 mAP (0.5:0.95) on test-dev2015."""
    return stage_1(
        "ssd513_resnet101_coco",
        step=80_000,
        max_iter=130_000,
    )


@dataclass(frozen=True)
class DecoderRow:
    """Stage 1 on VOC 07+12 with another decoder.

    ssd: zoo id of the SSD that it starts from.
    suffix: end of the zoo id.
    neck: the decoder.
    what: how it differs from the paper's, in words.
    """

    ssd: str
    suffix: str
    neck: Decoder
    what: str

    @property
    def size(self) -> int:
        """Side of the input in pixels."""
        return int(self.ssd[3:6])

    @property
    def id(self) -> str:
        """The zoo id."""
        return f"dssd{self.size}_voc0712{self.suffix}"


SUM = "the sum of both sides in place of their product (§3.3, Table 4: the product is better)"
MODULE_B = "prediction module (b) of Figure 2; the paper prints (c) only"
MODULE_D = "prediction module (d) of Figure 2; the paper prints (c) only"
# Table 4's row of the sum, for which the text prints no figure, and the prediction modules that the
# paper tries on SSD only.
OTHER_DECODERS = (
    DecoderRow("ssd321_resnet101_voc0712", "_sum", Decoder(method="sum"), SUM),
    DecoderRow("ssd321_resnet101_voc0712_pm_b", "_pm_b", Decoder(module="b"), MODULE_B),
    DecoderRow("ssd321_resnet101_voc0712_pm_d", "_pm_d", Decoder(module="d"), MODULE_D),
    DecoderRow("ssd513_resnet101_voc0712", "_sum", Decoder(method="sum"), SUM),
    DecoderRow("ssd513_resnet101_voc0712_pm_b", "_pm_b", Decoder(module="b"), MODULE_B),
    DecoderRow("ssd513_resnet101_voc0712_pm_d", "_pm_d", Decoder(module="d"), MODULE_D),
)


@detector(rows=OTHER_DECODERS)
def other_decoder(row: DecoderRow) -> Recipe:
    """DSSD{row.size} on VOC 07+12 with {row.what}."""
    return stage_1(
        row.ssd,
        step=20_000,
        max_iter=30_000,
        suffix=row.suffix,
        neck=row.neck,
    )


@detector(committed=True)
def dssd321_voc0712_release() -> Recipe:
    """DSSD321 as ssd_pascal_resnet_deconv_321.py has it, stage 1: centres in pixels, a solver for
    tests alone.

    The authors' README has 78.6 mAP on VOC2007 test after 30k iterations.
    """
    schedule = Schedule(
        steps=(20_000,),
        max_iter=30_000,
        per_gpu=4,
        test_batch=4,
        test_apart=True,
    )
    return deconvolved(
        get("ssd321_resnet101_voc0712_release"),
        schedule,
        suffix="_release",
        neck=Decoder(pixel_offsets=True),
    )


@detector()
def dssd321_voc0712_ft_release() -> Recipe:
    """DSSD321 as ssd_pascal_resnet_deconv_ft_321.py has it, stage 2: 1e-4, not the paper's 1e-3; no
    BatchNorm and no Scale learns.

    The authors' README: everything that normalises has to be frozen, and then it helps at 513 only.
    """
    start = get("dssd321_voc0712_release")
    schedule = replace(
        start.schedule,
        max_iter=40_000,
        base_lr=1e-4,
    )
    neck = Decoder(
        encoder=GIVEN_STATISTICS,
        decoder=GIVEN_STATISTICS,
        pixel_offsets=True,
    )
    return deconvolved(start, schedule, suffix="_ft_release", neck=neck)


@detector()
def dssd513_coco_release() -> Recipe:
    """DSSD513 on COCO as ssd_coco_resnet_deconv_513.py has it: 150k iterations of 32 images, one at
    a time; centres in pixels.

    The decoder's BatchNorm then normalises each image by itself, although the authors' README asks
    for five or more per GPU.
    """
    schedule = Schedule(
        steps=(80_000, 130_000),
        max_iter=150_000,
        gpus=(0,),
        per_gpu=1,
        test_batch=2,
        test_apart=True,
    )
    recipe = deconvolved(
        get("ssd513_resnet101_coco_release"),
        schedule,
        suffix="_release",
        neck=Decoder(pixel_offsets=True),
    )
    return replace(recipe, output_prefix="det_test")
