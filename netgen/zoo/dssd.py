"""DSSD (Fu et al. 2017, "DSSD: Deconvolutional Single Shot Detector", arXiv 1701.06659) on ResNet-101.

SSD on ResNet-101 (`ssd321_resnet101_voc0712` and its like, whose card says what holds for both), and deconvolution modules that bring what
the small maps know to the large ones (Figure 3). Stage 1 starts from the trained SSD, which is frozen, statistics included; stage 2
(`_ft`) starts from that and trains everything. Four P40; batches as in SSD, since the paper prints none of its own.
Layers have the released names and shapes. DSSD513 has a 3×3 convolution of 512 channels of its own before each head, which the paper
does not print, and 256 inner channels in every prediction module. In stage 1 the prediction modules and heads learn, too: only those of
the smallest map are SSD's own. The released scripts (examples/ssd of chengyangfu/caffe, branch dssd) are for 321 on VOC 07+12, both
stages, and 513 on COCO; their prior boxes' first centres are in pixels where PriorBox counts in steps, the paper's ids have them right.
On a backbone of another kind (`--backbone vgg16`) nothing is frozen, since no SSD was trained with it.
To run one: `netgen build <id>`, then `prototxt/<id>/train.sh`; the SSD first, or put its weights where train.sh looks for them.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from netgen.backbones.registry import RESNET101, Stack
from netgen.backbones.resnet101 import FIXED_STATISTICS, FROZEN, LEARNING, Learning, resnet101
from netgen.datasets import COCO, VOC0712, VOC0712PP, Dataset
from netgen.graph import Blob, Net
from netgen.heads.multibox import Source, multibox_head, predictor
from netgen.necks.dssd import deconvolve, ssd_resnet_neck
from netgen.necks.prediction import CHANNELS, deep_predictor, prediction_modules
from netgen.recipe import Detector
from netgen.schedules import Schedule
from netgen.zoo import entry, row, variant
from netgen.zoo.resnet import ssd321_resnet101_voc0712_release, ssd513_resnet101_coco_release, ssd_resnet

# Iterations until the one step, and altogether (§4): stage 1 by data set, and stage 2.
STAGE_1 = {VOC0712: (20_000, 30_000), VOC0712PP: (30_000, 50_000), COCO: (80_000, 130_000)}
STAGE_2 = (20_000, 40_000)


def neck(
    net: Net,
    maps: dict[str, Blob],
    image: Blob,
    *,
    module: str,
    method: str,
    encoder: Learning,
    decoder: Learning,
    pixel_offsets: bool,
    width: float = 1,
) -> list[Source]:
    """SSD's pyramid, the deconvolution modules over it, and a prediction module over each of their maps. width: factor on all channels."""
    sources = ssd_resnet_neck(net, maps, image, width=width, learning=encoder, pixel_offsets=pixel_offsets)
    sources = deconvolve(net, sources, method=method, width=width, learning=decoder)
    return prediction_modules(net, sources, module, channels=(max(1, round(CHANNELS * width)),), learning=decoder)


def final_weights(detector: Detector) -> str:
    """The last snapshot of a detector's training."""
    return f"{detector.snapshot_prefix}_iter_{detector.schedule.max_iter}.caffemodel"


def dssd(
    size: int,
    dataset: Dataset,
    suffix: str = "",
    *,
    start: Detector,
    schedule: Schedule,
    module: str = "c",
    method: str = "product",
    encoder: Learning = FROZEN,
    decoder: Learning = LEARNING,
    released: bool = False,
    **options: Any,
) -> Detector:
    """DSSD for a square input of `size` pixels, from the final weights of `start`. module: of Figure 2; encoder: how SSD's part learns."""
    backbone = replace(RESNET101, build=partial(resnet101, learning=encoder))
    features = partial(neck, module=module, method=method, encoder=encoder, decoder=decoder, pixel_offsets=released)
    predict = deep_predictor if size == 513 else predictor
    return replace(
        start,
        name=f"dssd{size}",
        suffix=suffix,
        features=Stack(features, backbone),
        schedule=schedule,
        head=partial(multibox_head, grouped=True, suffix="new", predict=predict),
        weights=final_weights(start),
        needs_weights=encoder == FROZEN,
        **options,
    )


def stage_1(size: int, dataset: Dataset, suffix: str = "", *, module: str = "c", method: str = "product") -> Detector:
    """The decoder over a frozen SSD."""
    until, max_iter = STAGE_1[dataset]
    ssd = ssd_resnet(size, dataset, f"_pm_{module}" if module != "c" else "", module=module)
    per_gpu = ssd.schedule.per_gpu // (2 if size == 321 else 1)  # at 321 an iteration takes two passes, as released
    schedule = replace(ssd.schedule, steps=(until,), max_iter=max_iter, per_gpu=per_gpu)
    return dssd(size, dataset, suffix, start=ssd, schedule=schedule, module=module, method=method)


def stage_2(size: int, dataset: Dataset) -> Detector:
    """All of it."""
    first = stage_1(size, dataset)
    schedule = replace(first.schedule, steps=STAGE_2[:1], max_iter=STAGE_2[1])
    return dssd(size, dataset, "_ft", start=first, schedule=schedule, encoder=LEARNING)


@entry
def dssd321_voc0712() -> Detector:
    """DSSD321 on VOC 07+12, stage 1, §4 and Table 3: 78.6 mAP on VOC2007 test, 17080 boxes."""
    return stage_1(321, VOC0712)


@variant
def dssd513_voc0712() -> Detector:
    """DSSD513 on VOC 07+12, stage 1, §4 and Table 3: 81.5 mAP on VOC2007 test, 43688 boxes. No file of the authors' is known for it."""
    return stage_1(513, VOC0712)


@variant
def dssd321_voc0712_ft() -> Detector:
    """DSSD321 on VOC 07+12, stage 2: everything learns, at 1e-3. §4 and Table 4: less than after stage 1 ("decreased performance")."""
    return stage_2(321, VOC0712)


@variant
def dssd513_voc0712_ft() -> Detector:
    """DSSD513 on VOC 07+12, stage 2: everything learns, at 1e-3; the authors' README says that this helps at 513 only."""
    return stage_2(513, VOC0712)


@variant
def dssd321_voc0712pp() -> Detector:
    """DSSD321 on VOC 07++12, stage 1, §4 and Table 5: 76.3 mAP on VOC2012 test (by the VOC server)."""
    return stage_1(321, VOC0712PP)


@variant
def dssd513_voc0712pp() -> Detector:
    """DSSD513 on VOC 07++12, stage 1, §4 and Table 5: 80.0 mAP on VOC2012 test (by the VOC server)."""
    return stage_1(513, VOC0712PP)


@variant
def dssd321_coco() -> Detector:
    """DSSD321 on COCO trainval35k, stage 1, §4 and Table 6: 28.0 mAP (0.5:0.95) on test-dev2015."""
    return stage_1(321, COCO)


@entry
def dssd513_coco() -> Detector:
    """DSSD513 on COCO trainval35k, stage 1, §4 and Table 6: 33.2 mAP (0.5:0.95) on test-dev2015."""
    return stage_1(513, COCO)


# Table 4's row of the sum, which the text prints no figure for, and the prediction modules that the paper tries on SSD alone.
for _size in (321, 513):
    row(
        f"dssd{_size}_voc0712_sum",
        partial(stage_1, _size, VOC0712, "_sum", method="sum"),
        f"DSSD{_size} on VOC 07+12 with the sum of both sides in place of their product (§3.3, Table 4: the product is better).",
    )
    for _module in "bd":
        row(
            f"dssd{_size}_voc0712_pm_{_module}",
            partial(stage_1, _size, VOC0712, f"_pm_{_module}", module=_module),
            f"DSSD{_size} on VOC 07+12 with prediction module ({_module}) of Figure 2; the paper prints (c) only.",
        )


def released(size: int, dataset: Dataset, suffix: str, schedule: Schedule, start: Detector, **options: Any) -> Detector:
    """One of the released scripts."""
    schedule = replace(schedule, test_apart=True)
    return dssd(size, dataset, suffix, start=start, schedule=schedule, released=True, **options)


@entry
def dssd321_voc0712_release() -> Detector:
    """DSSD321 as ssd_pascal_resnet_deconv_321.py has it, stage 1: centres in pixels, a solver for tests alone.

    The authors' README has 78.6 mAP on VOC2007 test after 30k iterations.
    """
    schedule = Schedule(steps=(20_000,), max_iter=30_000, per_gpu=4, test_batch=4)
    return released(321, VOC0712, "_release", schedule, ssd321_resnet101_voc0712_release())


@variant
def dssd321_voc0712_ft_release() -> Detector:
    """DSSD321 as ssd_pascal_resnet_deconv_ft_321.py has it, stage 2: 1e-4, not the paper's 1e-3; no BatchNorm and no Scale learns.

    The authors' README: everything that normalises has to be frozen, and then it helps at 513 only.
    """
    first = dssd321_voc0712_release()
    schedule = replace(first.schedule, max_iter=40_000, base_lr=1e-4)
    return released(321, VOC0712, "_ft_release", schedule, first, encoder=FIXED_STATISTICS, decoder=FIXED_STATISTICS)


@variant
def dssd513_coco_release() -> Detector:
    """DSSD513 on COCO as ssd_coco_resnet_deconv_513.py has it: 150k iterations of 32 images, one at a time; centres in pixels.

    The decoder's BatchNorm then normalises each image by itself, although the authors' README asks for five or more per GPU.
    """
    schedule = Schedule(steps=(80_000, 130_000), max_iter=150_000, gpus=(0,), per_gpu=1, test_batch=2)
    start = ssd513_resnet101_coco_release()
    return released(513, COCO, "_release", schedule, start, output_prefix="det_test")
