"""SSD and FSSD on MobileNet v1: MobileNet-SSD300 and Light FSSD300.

No paper has MobileNet-SSD for itself. Its Caffe form is chuanqi305/MobileNet-SSD, whose files do
not agree among themselves: the folder voc/, the files at the root and those that its gen_model.sh
makes of its templates are an id each. The one on COCO is what PPN (Jin et al. 2018, Table 1) and
Light FSSD (Li & Zhou 2017, Table 6) are compared with.

To run one: `netgen build <id>`, then `prototxt/<id>/train.sh`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from netgen.backbones.mobilenet_v1 import MOBILENET, Style
from netgen.data_layer import Augmentation
from netgen.datasets import COCO, COCO_IDS, VOC0712
from netgen.graph import Blob, Net
from netgen.heads.detections import Suppression, detection_output
from netgen.heads.losses import focal_loss
from netgen.heads.multibox import MultiBox
from netgen.heads.predictions import Predictions
from netgen.heads.priors import Priors
from netgen.necks.mobilenet import light_fssd, mobilenet_ssd, predictor
from netgen.recipe import Recipe
from netgen.schedules import Schedule, cosine
from netgen.zoo.registry import detector
from netgen.zoo.schedules import FSSD_COCO
from netgen.zoo.tensorflow import CLASS_BIAS, NORMALISATION, SUPPRESSION

CLASSIFIER = MOBILENET.weights  # mobilenet_v1_1.0_224_2017_06_14, converted
PRIORS = [
    Priors(60, 0, (2,)),
    Priors(105, 150, (2, 3)),
    Priors(150, 195, (2, 3)),
    Priors(195, 240, (2, 3)),
    Priors(240, 285, (2, 3)),
    Priors(285, 300, (2, 3)),
]

# solver_train.prototxt and voc/solver.prototxt: `-gpu 0`, 673 test batches of 8 for 4952 images.
RELEASED = Schedule(
    steps=(20_000, 40_000),
    max_iter=120_000,
    base_lr=0.0005,
    gamma=0.5,
    type="RMSProp",
    momentum=0,
    weight_decay=0.00005,
    batch=24,
    per_gpu=24,
    gpus=(0,),
    names_gpu=False,
    test_iter=673,
    snapshot=1000,
)

# How convolutions are written in each phase.
Styles = Mapping[str, Style]
FINE_TUNED = Style(lr_mult=0.1)
WHOLE = Style()
TEMPLATES: Styles = {
    "train": FINE_TUNED,
    "test": WHOLE,
    "deploy": WHOLE,
}
VOC_FOLDER: Styles = {
    "train": replace(FINE_TUNED, caffe_engine=False),
    "test": WHOLE,
    "deploy": replace(WHOLE, folded=True),
}
ROOT_FILES: Styles = {
    "train": FINE_TUNED,
    "test": WHOLE,
    "deploy": replace(FINE_TUNED, caffe_engine=False),
}
ALIKE: Styles = dict.fromkeys(("train", "test", "deploy"), WHOLE)

# ssd_mobilenet_v1_300x300_coco14_sync.config of TensorFlow's Object Detection API.
TENSORFLOW = Style(
    relu6=True,
    weight_filler={"type": "gaussian", "std": 0.03},
    batch_norm=NORMALISATION,
)
TENSORFLOW_HEAD = replace(TENSORFLOW, weight_filler={"type": "gaussian", "std": 0.01})
TENSORFLOW_SCHEDULE = Schedule(
    steps=(),
    max_iter=20_000,
    segments=cosine(20_000, 0.9, warm_up=1000, warm_up_from=0.3),
    weight_decay=0.00004,
    batch=1024,
    # The images of one of the authors' eight replicas; Caffe runs a Python layer on one GPU only,
    # which takes all eight in turn.
    per_gpu=128,
    gpus=(0,),
    snapshot=2000,
    test_interval=2000,
)


def detect_to_look_at(
    net: Net,
    predictions: Predictions,
    num_classes: int,
    save: dict | None,
    suppression: Suppression,
) -> Blob:
    """Add detections as released: not written to files; the deploy net gives the 100 best.

    The arguments are those of `detection_output`.
    """
    if net.phase == "deploy":
        suppression = Suppression(top_k=100, keep_top_k=100, confidence=0.25)
    return detection_output(net, predictions, num_classes, None, suppression)


# MobileNet-SSD at 300×300 as released on VOC, 1917 boxes.
RELEASED_VOC = Recipe(
    name="mobilenet_ssd300",
    size=300,
    dataset=VOC0712,
    features=partial(mobilenet_ssd, styles=VOC_FOLDER),
    head=MultiBox(
        priors=PRIORS,
        predictor=partial(predictor, styles=VOC_FOLDER),
        output=detect_to_look_at,
    ),
    schedule=RELEASED,
    suffix="_release",
    weights="models/mobilenet_iter_73000.caffemodel",
    pixels=MOBILENET.pixels,
)


@detector()
def mobilenet_ssd300_voc0712() -> Recipe:
    """MobileNet-SSD300 on VOC 07+12, as chuanqi305/MobileNet-SSD's `gen_model.sh 21` writes it, for
    other classes than its weights have.

    Its class layers are called `<map>_mbox_conf_new`, so that they start afresh. mAP: see
    `mobilenet_ssd300_voc0712_release`.
    """
    return replace(
        RELEASED_VOC,
        suffix="",
        features=partial(mobilenet_ssd, styles=TEMPLATES),
        head=MultiBox(
            priors=PRIORS,
            predictor=partial(predictor, styles=TEMPLATES, renamed=True),
            output=detect_to_look_at,
        ),
    )


@detector(committed=True)
def mobilenet_ssd300_voc0712_release() -> Recipe:
    """MobileNet-SSD300 on VOC 07+12, as voc/ of chuanqi305/MobileNet-SSD has it: 72.7 mAP on
    VOC2007 test from COCO, 68 without (README).

    One GPU, batch 24, RMSProp; everything but the class layers learns at a tenth of the rate.
    BatchNorm is folded into the deploy net's convolutions (merge_bn.py): it loads
    MobileNetSSD_deploy.caffemodel, the others mobilenet_iter_73000.caffemodel. test_iter is the
    repository's: 673 batches of 8 go round the 4952 test images, and count 432 of them twice.
    """
    return RELEASED_VOC


@detector()
def mobilenet_ssd300_voc0712_release_root() -> Recipe:
    """MobileNet-SSD300 on VOC 07+12, as train.prototxt and deploy.prototxt at the root of
    chuanqi305/MobileNet-SSD have it.

    The layers of `mobilenet_ssd300_voc0712_release`, but that the deploy net keeps BatchNorm, and
    that depthwise convolutions name Caffe's engine while training.
    """
    return replace(
        RELEASED_VOC,
        suffix="_release_root",
        features=partial(mobilenet_ssd, styles=ROOT_FILES),
        head=MultiBox(
            priors=PRIORS,
            predictor=partial(predictor, styles=ROOT_FILES),
            output=detect_to_look_at,
        ),
    )


@detector(committed=True)
def mobilenet_ssd300_coco() -> Recipe:
    """MobileNet-SSD300 on COCO, what PPN's Table 1 compares with: 20.8 mAP (0.5:0.95); 19.3 in
    FSSD's Table 6, on minival2014.

    6,819,839 parameters (published 6.83M and 6.8M), 1.24 GMACs, at two FLOPs each 2.48G as
    published: multiplications and additions of convolutions, biases, normalisation and activations
    left out. 91 classes: COCO's label ids with gaps, and the background. No paper prints a
    schedule: the solver is chuanqi305/MobileNet-SSD's. Its prior boxes are that repository's, too;
    TensorFlow's first map has a square of 0.1 instead of 0.2 of the side, which one PriorBox layer
    cannot mix with its others.
    """
    return Recipe(
        name="mobilenet_ssd300",
        size=300,
        dataset=COCO_IDS,
        features=partial(mobilenet_ssd, styles=ALIKE),
        head=MultiBox(
            priors=PRIORS,
            predictor=partial(predictor, styles=ALIKE),
        ),
        schedule=replace(RELEASED, test_iter=0),
        weights=CLASSIFIER,
        pixels=MOBILENET.pixels,
    )


@detector()
def mobilenet_ssd300_coco_release() -> Recipe:
    """MobileNet-SSD300 on COCO as ssd_mobilenet_v1_300x300_coco14_sync.config of TensorFlow's API
    has it: 20.5 mAP on its minival.

    ReLU6, sigmoid focal loss (α 0.75, γ 2), batch 1024, 20k iterations: 1000 of warm-up from 0.3 to
    0.9, then a cosine, here as thirteen solvers one after the other. Differences: prior boxes of
    the first map (see `mobilenet_ssd300_coco`); new weights are drawn from an uncut Gaussian;
    biases learn at twice the rate, as Caffe's do; crops are SSD's, in which an object counts by its
    centre; each training image is resized by one of five interpolations, there by the bilinear one;
    convolutions of stride 2 pad by 1 on all sides, where TensorFlow's "SAME" pads even sizes at the
    end alone, so that grids are a pixel apart (weights trained there do not give the same values
    here). Its minival is another split than the one here (see `ppn300_coco`).
    """
    body = dict.fromkeys(ALIKE, TENSORFLOW)
    heads = dict.fromkeys(ALIKE, TENSORFLOW_HEAD)
    return Recipe(
        name="mobilenet_ssd300",
        size=300,
        dataset=COCO_IDS,
        suffix="_release",
        features=partial(mobilenet_ssd, styles=body),
        head=MultiBox(
            priors=PRIORS,
            predictor=partial(predictor, styles=heads, class_bias=CLASS_BIAS),
            # normalize_loc_loss_by_codesize: a box has four numbers
            loss=partial(focal_loss, alpha=0.75, loc_weight=1 / 4),
            output=partial(detection_output, sigmoid=True),
            suppression=SUPPRESSION,
        ),
        schedule=TENSORFLOW_SCHEDULE,
        weights=CLASSIFIER,
        pixels=MOBILENET.pixels,
        augmentation=Augmentation(expand=1, distort=False),
    )


@detector(committed=True)
def light_fssd300_coco() -> Recipe:
    """Light FSSD300 on COCO, FSSD paper §4.4 and Table 6: 20.4 mAP (0.5:0.95) on minival2014,
    trained as FSSD300 is (§4.3).

    6.5M parameters published, 6,535,478 here, and 37,888 frozen ones of the upsampling. The paper
    gives neither channels nor heads, and nothing was released: maps have the channels of
    MobileNet-SSD's, heads are 1×1 convolutions as there, and boxes are FSSD300's 8732.
    """
    return Recipe(
        name="light_fssd300",
        size=300,
        dataset=COCO,
        features=light_fssd,
        head=MultiBox(predictor=partial(predictor, styles=ALIKE)),
        schedule=FSSD_COCO,
        weights=CLASSIFIER,
        pixels=MOBILENET.pixels,
    )
