"""SSD on ResNet-101 (Fu et al. 2017, "DSSD: Deconvolutional Single Shot Detector", arXiv
1701.06659, §3.1, §4), and SSD300 on ResNet-101 and ZF as the SSD authors released them.

conv3_x, conv5_x and a pyramid of residual blocks; a prediction module before the heads of every map
(Figure 2), variant (c) but for the `_pm_` ids; aspect ratios 1.6, 2 and 3 everywhere: 17080 boxes
at 321, 43688 at 513. From ResNet-101 on ImageNet, on four P40. Layers have the released names and
shapes, so that the authors' .caffemodel files load. Where these differ from the paper: the middle
convolution of a prediction module is 3×3 (Figure 2 prints 1×1), the heads of the two largest maps
are 5×5 (§3 prints 3×3), the modules of SSD513 have 128, 512 and then 256 inner channels (Figure 2
prints 256), BatchNorm's ε is 1e-3 (§4 prints 1e-5). In (b) the shortcut is the map itself, so that
the module keeps its 512, 2048 or 1024 channels; (a) has no L2 normalisation, of which the paper
speaks for VGG only. The released examples/ssd scripts (chengyangfu/caffe, branch dssd) put the
prior boxes' first centre, in pixels, where PriorBox counts in steps: on the smaller maps most boxes
lie outside the image. The released weights were trained with the right centres (chengyangfu/caffe
issue 19), and the paper's ids have those: detect with them. There are released scripts for 321 on
VOC 07+12 and 513 on COCO; box sizes elsewhere follow SSD's rule, which both keep: 10 % and 20 % of
the image at 321 on VOC, 4 % and 10 % at 513 on COCO, 7 % and 15 % otherwise, up to 95 %.

To run one: `netgen build <id>`, then `prototxt/<id>/train.sh`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from netgen.backbones.registry import NeckOnBackbone
from netgen.backbones.resnet101 import RESNET101
from netgen.backbones.zf import ZF, zf
from netgen.data_layer import Augmentation
from netgen.datasets import COCO, VOC0712, VOC0712PP
from netgen.graph import Blob, Net
from netgen.heads.losses import multibox_loss
from netgen.heads.multibox import MultiBox
from netgen.heads.priors import Scales
from netgen.necks.dssd import ssd_resnet_neck
from netgen.necks.pooled import pooled_neck
from netgen.necks.prediction import CHANNELS, prediction_modules
from netgen.necks.ssd import ssd_neck
from netgen.recipe import Recipe
from netgen.schedules import Schedule
from netgen.sources import Source
from netgen.zoo.registry import detector
from netgen.zoo.schedules import SSD_VOC

# §4 "PASCAL VOC 2007"
VOC_321 = Schedule(
    steps=(40_000, 60_000),
    max_iter=70_000,
    test_batch=4,
)
VOC_513 = replace(
    VOC_321,
    batch=20,
    per_gpu=5,
)
# "PASCAL VOC 2012": 60k, 30k, 10k
PLUS_321 = replace(
    VOC_321,
    steps=(60_000, 90_000),
    max_iter=100_000,
)
PLUS_513 = replace(
    PLUS_321,
    batch=20,
    per_gpu=5,
)
# "COCO": 160k, 60k, 20k
COCO_321 = replace(
    VOC_321,
    steps=(160_000, 220_000),
    max_iter=240_000,
    batch=48,
    per_gpu=12,
)
COCO_513 = replace(
    COCO_321,
    batch=20,
    per_gpu=5,
)


def head(first: tuple[int, int]) -> MultiBox:
    """Return SSD's head with Table 1's aspect ratios.

    first: min and max size on the first map, in percent of the image; sizes go up to 95.
    """
    return MultiBox(
        scales=Scales(first=first, low=first[1], high=95),
        ratios=((1.6, 2, 3),),  # §3.3
        grouped=True,
    )


def neck(
    net: Net,
    maps: dict[str, Blob],
    image: Blob,
    *,
    module: str = "c",
    channels: Sequence[int] = (CHANNELS,),
    pixel_offsets: bool = False,
) -> list[Source]:
    """Add the pyramid, and a prediction module over each of its maps.

    module: variant of Figure 2.
    channels: see `prediction_modules`.
    pixel_offsets: see `ssd_resnet_neck`.
    """
    sources = ssd_resnet_neck(net, maps, image, pixel_offsets=pixel_offsets)
    return prediction_modules(net, sources, module, channels=channels)


RELEASED_513 = (128, 512, CHANNELS)  # inner channels of the prediction modules

SSD321 = Recipe(
    name="ssd321_resnet101",
    size=321,
    dataset=VOC0712,
    features=NeckOnBackbone(neck, RESNET101),
    head=head((10, 20)),
    schedule=VOC_321,
    weights=RESNET101.weights,
    hardware="4 P40",
)
SSD513 = replace(
    SSD321,
    name="ssd513_resnet101",
    size=513,
    features=NeckOnBackbone(partial(neck, channels=RELEASED_513), RESNET101),
    head=head((7, 15)),
    schedule=VOC_513,
)
SSD513_COCO = replace(
    SSD513,
    dataset=COCO,
    head=head((4, 10)),
    schedule=COCO_513,
)


@detector(committed=True)
def ssd321_resnet101_voc0712() -> Recipe:
    """SSD321 on ResNet-101, VOC 07+12, DSSD paper §4 and Table 3: 77.1 mAP on VOC2007 test."""
    return SSD321


@detector()
def ssd513_resnet101_voc0712() -> Recipe:
    """SSD513 on ResNet-101, VOC 07+12, DSSD paper §4 and Table 3: 80.6 mAP on VOC2007 test. No file
    of the authors' is known for it.
    """
    return SSD513


@detector()
def ssd321_resnet101_voc0712pp() -> Recipe:
    """SSD321 on ResNet-101, VOC 07++12, DSSD paper §4 and Table 5: 75.4 mAP on VOC2012 test (by the
    VOC server).
    """
    return replace(
        SSD321,
        dataset=VOC0712PP,
        schedule=PLUS_321,
    )


@detector()
def ssd513_resnet101_voc0712pp() -> Recipe:
    """SSD513 on ResNet-101, VOC 07++12, DSSD paper §4 and Table 5: 79.4 mAP on VOC2012 test (by the
    VOC server).
    """
    return replace(
        SSD513,
        dataset=VOC0712PP,
        schedule=PLUS_513,
    )


@detector()
def ssd321_resnet101_coco() -> Recipe:
    """SSD321 on ResNet-101, COCO trainval35k, DSSD paper §4 and Table 6: 28.0 mAP (0.5:0.95) on
    test-dev2015.
    """
    return replace(
        SSD321,
        dataset=COCO,
        head=head((7, 15)),
        schedule=COCO_321,
    )


@detector(committed=True)
def ssd513_resnet101_coco() -> Recipe:
    """SSD513 on ResNet-101, COCO trainval35k, DSSD paper §4 and Table 6: 31.2 mAP (0.5:0.95) on
    test-dev2015.
    """
    return SSD513_COCO


@detector()
def ssd321_resnet101_voc0712_release() -> Recipe:
    """SSD321 as ssd_pascal_resnet_321.py has it: 80k iterations, centres in pixels, a solver for
    tests alone.

    The authors' README has 77.5 mAP on VOC2007 test after 80k iterations.
    """
    schedule = replace(
        VOC_321,
        max_iter=80_000,
        snapshot=20_000,
        test_apart=True,
    )
    return replace(
        SSD321,
        suffix="_release",
        features=NeckOnBackbone(partial(neck, pixel_offsets=True), RESNET101),
        schedule=schedule,
        hardware="",
    )


@detector()
def ssd513_resnet101_coco_release() -> Recipe:
    """SSD513 on COCO as ssd_coco_resnet_513.py has it: 250k iterations of 40 images, centres in
    pixels.
    """
    schedule = replace(
        COCO_513,
        steps=(130_000, 210_000),
        max_iter=250_000,
        batch=40,
        test_apart=True,
    )
    released = partial(neck, channels=RELEASED_513, pixel_offsets=True)
    return replace(
        SSD513_COCO,
        suffix="_release",
        features=NeckOnBackbone(released, RESNET101),
        schedule=schedule,
        output_prefix="comp4_det_test_",
        hardware="",
    )


@dataclass(frozen=True)
class ModuleRow:
    """A row of Table 4: SSD with another prediction module.

    base: the SSD.
    module: variant of Figure 2.
    printed: table and figure, as printed.
    """

    base: Recipe
    module: str
    printed: str

    @property
    def suffix(self) -> str:
        """End of the zoo id."""
        return f"_pm_{self.module}"

    @property
    def id(self) -> str:
        """The zoo id."""
        return f"{self.base.id}{self.suffix}"


# The text that these ids were written from lacks the figures for (b) and (d).
TABLE_4 = (
    ModuleRow(SSD321, "a", "Table 4: 76.4 mAP"),
    ModuleRow(SSD321, "b", "Table 4"),
    ModuleRow(SSD321, "d", "Table 4, as good as (c)"),
    ModuleRow(SSD513, "a", "not printed at this size"),
    ModuleRow(SSD513, "b", "not printed at this size"),
    ModuleRow(SSD513, "d", "not printed at this size"),
)


@detector(rows=TABLE_4)
def other_module(row: ModuleRow) -> Recipe:
    """SSD{row.base.size} on ResNet-101 with prediction module ({row.module}) of the DSSD paper's
    Figure 2, VOC 07+12: {row.printed}.
    """
    return replace(
        row.base,
        suffix=row.suffix,
        features=NeckOnBackbone(partial(neck, module=row.module), RESNET101),
    )


def early_loss(net: Net, *args: Any, **options: Any) -> Blob:
    """Add `multibox_loss` without the field that is younger than the script."""
    loss = multibox_loss(net, *args, **options)
    net.proto.layer[-1].multibox_loss_param.ClearField("ignore_cross_boundary_bbox")
    return loss


@detector()
def ssd300_resnet101_voc0712_release() -> Recipe:
    """SSD300 on ResNet-101 as examples/ssd/ssd_pascal_resnet.py of weiliu89/caffe has it; no paper
    prints it.

    SSD's first version: 7308 boxes, cut at the border, no canvas and no distortion of colours in
    training, the mean of the last map as the smallest one, 60k iterations.
    """
    return Recipe(
        name="ssd300_resnet101",
        size=300,
        dataset=VOC0712,
        suffix="_release",
        features=NeckOnBackbone(pooled_neck, RESNET101),
        head=MultiBox(
            scales=Scales(first=(10, 0), low=20, high=95),
            ratios=((2,), *[(2, 3)] * 5),
            clip=True,
            loss=early_loss,
        ),
        schedule=Schedule(
            steps=(40_000,),
            max_iter=60_000,
            even=True,
            test_batch=1,
            snapshot=40_000,
        ),
        weights=RESNET101.weights,
        augmentation=Augmentation(expand=1, distort=False),
    )


def zf_features(net: Net, image: Blob) -> list[Source]:
    """Add ZF net and SSD's pyramid on top of it."""
    maps = zf(net, image)
    return ssd_neck(net, {"conv4_3": maps["conv2"], "fc7": maps["fc7"]}, image)


@detector()
def ssd300_zf_voc0712_release() -> Recipe:
    """SSD300 on ZF net as examples/ssd/ssd_pascal_zf.py of weiliu89/caffe has it; no paper prints
    it.

    fc7 has 20×20 cells, not VGG's 19×19: 8966 boxes.
    """
    return Recipe(
        name="ssd300_zf",
        size=300,
        dataset=VOC0712,
        suffix="_release",
        features=zf_features,
        head=MultiBox(),
        schedule=SSD_VOC,
        weights=ZF.weights,
    )
