"""SSD on ResNet-101 (Fu et al. 2017, "DSSD: Deconvolutional Single Shot Detector", arXiv 1701.06659, §3.1, §4), and SSD300 on ResNet-101
and ZF as the SSD authors released them.

conv3_x, conv5_x and a pyramid of residual blocks; a prediction module before the heads of every map (Figure 2), variant (c) but for the
`_pm_` ids; aspect ratios 1.6, 2 and 3 everywhere: 17080 boxes at 321, 43688 at 513. From ResNet-101 on ImageNet, on four P40.
Layers have the released names and shapes, so that the authors' .caffemodel files load. Where these differ from the paper: the middle
convolution of a prediction module is 3×3 (Figure 2 prints 1×1), the heads of the two largest maps are 5×5 (§3 prints 3×3), the modules of
SSD513 have 128, 512 and then 256 inner channels (Figure 2 prints 256), BatchNorm's ε is 1e-3 (§4 prints 1e-5). In (b) the shortcut is the
map itself, so that the module keeps its 512, 2048 or 1024 channels; (a) has no L2 normalisation, of which the paper speaks for VGG only.
The released examples/ssd scripts (chengyangfu/caffe, branch dssd) put the prior boxes' first centre, in pixels, where PriorBox counts in
steps: on the smaller maps most boxes lie outside the image. The released weights were trained with the right centres
(chengyangfu/caffe issue 19), and the paper's ids have those: detect with them. There are released scripts for 321 on VOC 07+12 and 513 on
COCO; box sizes elsewhere follow SSD's rule, which both keep: 10 % and 20 % of the image at 321 on VOC, 4 % and 10 % at 513 on COCO,
7 % and 15 % otherwise, up to 95 %.
To run one: `netgen build <id>`, then `prototxt/<id>/train.sh`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from netgen.backbones.registry import RESNET101, Stack
from netgen.backbones.zf import zf
from netgen.datasets import COCO, VOC0712, VOC0712PP, Dataset
from netgen.graph import Blob, Net
from netgen.heads.multibox import Source, multibox_head, multibox_loss
from netgen.heads.priors import Scales
from netgen.necks.dssd import ssd_resnet_neck
from netgen.necks.pooled import pooled_neck
from netgen.necks.prediction import CHANNELS, prediction_modules
from netgen.necks.ssd import ssd_neck
from netgen.recipe import Detector
from netgen.schedules import Schedule
from netgen.zoo import entry, row, variant
from netgen.zoo.ssd import VOC_300

RATIOS = ((1.6, 2, 3),)  # §3.3, from Table 1
# (side, small objects) → sizes of the prior boxes.
SCALES = {
    (321, False): Scales(first=(10, 20), low=20, high=95),
    (321, True): Scales(first=(7, 15), low=15, high=95),
    (513, False): Scales(first=(7, 15), low=15, high=95),
    (513, True): Scales(first=(4, 10), low=10, high=95),
}
RELEASED_CHANNELS = {321: (CHANNELS,), 513: (128, 512, CHANNELS)}  # of the prediction modules' inner convolutions

VOC_321 = Schedule(steps=(40_000, 60_000), max_iter=70_000, test_batch=4)  # §4 "PASCAL VOC 2007"
VOC_513 = replace(VOC_321, batch=20, per_gpu=5)
PLUS_321 = replace(VOC_321, steps=(60_000, 90_000), max_iter=100_000)  # "PASCAL VOC 2012": 60k, 30k, 10k
PLUS_513 = replace(PLUS_321, batch=20, per_gpu=5)
COCO_321 = replace(VOC_321, steps=(160_000, 220_000), max_iter=240_000, batch=48, per_gpu=12)  # "COCO": 160k, 60k, 20k
COCO_513 = replace(COCO_321, batch=20, per_gpu=5)
SCHEDULES = {
    (321, VOC0712): VOC_321,
    (513, VOC0712): VOC_513,
    (321, VOC0712PP): PLUS_321,
    (513, VOC0712PP): PLUS_513,
    (321, COCO): COCO_321,
    (513, COCO): COCO_513,
}


def neck(
    net: Net, maps: dict[str, Blob], image: Blob, *, module: str, channels: Sequence[int], pixel_offsets: bool, width: float = 1
) -> list[Source]:
    """The pyramid, and a prediction module over each of its maps. channels: of the modules, see `prediction_modules`; width: factor on the
    pyramid's."""
    sources = ssd_resnet_neck(net, maps, image, width=width, pixel_offsets=pixel_offsets)
    return prediction_modules(net, sources, module, channels=channels)


def ssd_resnet(
    size: int,
    dataset: Dataset,
    suffix: str = "",
    *,
    schedule: Schedule | None = None,
    module: str = "c",
    released: bool = False,
    **options: Any,
) -> Detector:
    """SSD on ResNet-101 for a square input of `size` pixels. module: of Figure 2; schedule: the paper's where left out; released: prior
    boxes where the released scripts have them; options: of Detector."""
    channels = RELEASED_CHANNELS[size] if module == "c" else (CHANNELS,)
    return Detector(
        f"ssd{size}_resnet101",
        size,
        Stack(partial(neck, module=module, channels=channels, pixel_offsets=released), RESNET101),
        dataset,
        schedule or SCHEDULES[size, dataset],
        suffix,
        scales=SCALES[size, dataset.small_objects],
        ratios=RATIOS,
        head=partial(multibox_head, grouped=True),
        weights=RESNET101.weights,
        **options,
    )


@entry
def ssd321_resnet101_voc0712() -> Detector:
    """SSD321 on ResNet-101, VOC 07+12, DSSD paper §4 and Table 3: 77.1 mAP on VOC2007 test."""
    return ssd_resnet(321, VOC0712)


@variant
def ssd513_resnet101_voc0712() -> Detector:
    """SSD513 on ResNet-101, VOC 07+12, DSSD paper §4 and Table 3: 80.6 mAP on VOC2007 test. No file of the authors' is known for it."""
    return ssd_resnet(513, VOC0712)


@variant
def ssd321_resnet101_voc0712pp() -> Detector:
    """SSD321 on ResNet-101, VOC 07++12, DSSD paper §4 and Table 5: 75.4 mAP on VOC2012 test (by the VOC server)."""
    return ssd_resnet(321, VOC0712PP)


@variant
def ssd513_resnet101_voc0712pp() -> Detector:
    """SSD513 on ResNet-101, VOC 07++12, DSSD paper §4 and Table 5: 79.4 mAP on VOC2012 test (by the VOC server)."""
    return ssd_resnet(513, VOC0712PP)


@variant
def ssd321_resnet101_coco() -> Detector:
    """SSD321 on ResNet-101, COCO trainval35k, DSSD paper §4 and Table 6: 28.0 mAP (0.5:0.95) on test-dev2015."""
    return ssd_resnet(321, COCO)


@entry
def ssd513_resnet101_coco() -> Detector:
    """SSD513 on ResNet-101, COCO trainval35k, DSSD paper §4 and Table 6: 31.2 mAP (0.5:0.95) on test-dev2015."""
    return ssd_resnet(513, COCO)


@variant
def ssd321_resnet101_voc0712_release() -> Detector:
    """SSD321 as ssd_pascal_resnet_321.py has it: 80k iterations, centres in pixels, a solver for tests alone.

    The authors' README has 77.5 mAP on VOC2007 test after 80k iterations.
    """
    schedule = replace(VOC_321, max_iter=80_000, snapshot=20_000, test_apart=True)
    return ssd_resnet(321, VOC0712, "_release", schedule=schedule, released=True)


@variant
def ssd513_resnet101_coco_release() -> Detector:
    """SSD513 on COCO as ssd_coco_resnet_513.py has it: 250k iterations of 40 images, centres in pixels."""
    schedule = replace(COCO_513, steps=(130_000, 210_000), max_iter=250_000, batch=40, test_apart=True)
    return ssd_resnet(513, COCO, "_release", schedule=schedule, released=True, output_prefix="comp4_det_test_")


# Table 4, rows of the prediction modules. Its figures for (b) and (d) are not in the text that these ids were written from.
_MAP = {"a": ": 76.4 mAP", "b": "", "d": ", as good as (c)"}
for _size in (321, 513):
    for _module, _map in _MAP.items():
        _printed = f"Table 4{_map}" if _size == 321 else "not printed at this size"
        row(
            f"ssd{_size}_resnet101_voc0712_pm_{_module}",
            partial(ssd_resnet, _size, VOC0712, f"_pm_{_module}", module=_module),
            f"SSD{_size} on ResNet-101 with prediction module ({_module}) of the DSSD paper's Figure 2, VOC 07+12: {_printed}.",
        )


def early_loss(net: Net, *args: Any, **options: Any) -> Blob:
    """`multibox_loss` without the field that is younger than the script."""
    loss = multibox_loss(net, *args, **options)
    net.proto.layer[-1].multibox_loss_param.ClearField("ignore_cross_boundary_bbox")
    return loss


@variant
def ssd300_resnet101_voc0712_release() -> Detector:
    """SSD300 on ResNet-101 as examples/ssd/ssd_pascal_resnet.py of weiliu89/caffe has it; no paper prints it.

    SSD's first version: 7308 boxes, cut at the border, no canvas and no distortion of colours in training, the mean of the last map as the
    smallest one, 60k iterations.
    """
    return Detector(
        "ssd300_resnet101",
        300,
        Stack(pooled_neck, RESNET101),
        VOC0712,
        Schedule(steps=(40_000,), max_iter=60_000, even=True, test_batch=1, snapshot=40_000),
        "_release",
        scales=Scales(first=(10, 0), low=20, high=95),
        ratios=((2,), *[(2, 3)] * 5),
        head=partial(multibox_head, clip=True),
        loss=early_loss,
        weights=RESNET101.weights,
        expand=1,
        distort=False,
    )


def zf_features(net: Net, image: Blob) -> list[Source]:
    """ZF net below SSD's pyramid."""
    maps = zf(net, image)
    return ssd_neck(net, {"conv4_3": maps["conv2"], "fc7": maps["fc7"]}, image)


@variant
def ssd300_zf_voc0712_release() -> Detector:
    """SSD300 on ZF net as examples/ssd/ssd_pascal_zf.py of weiliu89/caffe has it; no paper prints it.

    fc7 has 20×20 cells, not VGG's 19×19: 8966 boxes.
    """
    return Detector("ssd300_zf", 300, zf_features, VOC0712, VOC_300, "_release", weights="models/ZF_conv_reduced.caffemodel")
