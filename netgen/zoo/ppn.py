"""PPN (Jin et al. 2018, "Pooling Pyramid Network for Object Detection", arXiv 1807.03284) on
MobileNet v1.

The authors' code is part of TensorFlow's Object Detection API; `ppn300_coco_release` is its
configuration ssd_mobilenet_v1_ppn_shared_box_predictor_300x300_coco14_sync. Hardware: TPUs (§3);
eight replicas in the configuration. The loss is a Python layer: a real Caffe must be built with
WITH_PYTHON_LAYER, and trains on one GPU. netrun has it itself.

To run one: `netgen build <id>`, then `prototxt/<id>/train.sh`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import pairwise

from netgen.backbones.mobilenet_v1 import MOBILENET, Style, mobilenet_v1
from netgen.data_layer import Augmentation
from netgen.datasets import COCO_IDS
from netgen.graph import Blob, Net
from netgen.heads.detections import SSD_SUPPRESSION, Suppression, detection_output
from netgen.heads.losses import focal_loss
from netgen.heads.multibox import MultiBox
from netgen.heads.priors import Priors
from netgen.necks.ppn import ppn_neck, shared_predictor
from netgen.recipe import Recipe
from netgen.schedules import Schedule, cosine
from netgen.sources import Source
from netgen.zoo.registry import detector
from netgen.zoo.tensorflow import CLASS_BIAS, NORMALISATION, SUPPRESSION

# 0.15 … 0.95 of 300 pixels in even steps, and 1
SIDES = (45, 93, 141, 189, 237, 285, 300)
PRIORS = [Priors(low, high, (2, 3)) for low, high in pairwise(SIDES)]
PAPER = Style(weight_filler={"type": "gaussian", "std": 0.01})
RELEASE = replace(PAPER, relu6=True, batch_norm=NORMALISATION)
SCHEDULE = Schedule(
    steps=(),
    max_iter=50_000,
    segments=cosine(50_000, 0.7, warm_up=2000, warm_up_from=0.1333),
    weight_decay=0.00004,
    batch=512,
    # The images of one of the authors' eight replicas; Caffe runs a Python layer on one GPU only,
    # which takes all eight in turn.
    per_gpu=64,
    gpus=(0,),
    snapshot=4000,
    test_interval=4000,
)


def features(net: Net, image: Blob, *, style: Style) -> list[Source]:
    """Add MobileNet v1 up to conv11, and PPN's neck."""
    maps = mobilenet_v1(net, image, style=style, layers=11)
    return ppn_neck(net, maps["conv11"], style=style)


def head(
    style: Style,
    alpha: float,
    loc_weight: float,
    suppression: Suppression = SSD_SUPPRESSION,
) -> MultiBox:
    """Return the head: shared predictors, 3000 boxes at 300×300.

    alpha, loc_weight: see `focal_loss`.
    """
    return MultiBox(
        priors=PRIORS,
        predictor=partial(shared_predictor, style=style, class_bias=CLASS_BIAS),
        loss=partial(focal_loss, alpha=alpha, loc_weight=loc_weight),
        output=partial(detection_output, sigmoid=True),
        suppression=suppression,
    )


PPN300 = Recipe(
    name="ppn300",
    size=300,
    dataset=COCO_IDS,
    features=partial(features, style=PAPER),
    head=head(PAPER, alpha=0.25, loc_weight=1),
    schedule=SCHEDULE,
    weights=MOBILENET.weights,
    pixels=MOBILENET.pixels,
    hardware="TPUs",
)


@detector(committed=True)
def ppn300_coco() -> Recipe:
    """PPN300 on COCO, §3 and Table 1: 20.3 mAP (0.5:0.95).

    2,173,818 parameters (published 2.18M; 91 classes, COCO's label ids with gaps and the
    background), 1.173 GMACs, at two FLOPs each 2.35G as published: convolutions' multiplications
    and additions, biases, normalisation, activations and pooling left out. Focal loss with α 0.25
    and γ 2, as the paper prints it. It prints no schedule: the solvers are those of
    `ppn300_coco_release`, and so are the sizes of prior boxes and what class scores start from
    (0.01, as in the paper's [4]).

    The paper trains on "the API's standard implementation". This id does not: it has ReLU for
    ReLU6, BatchNorm's defaults (averages decay by 0.999, ε 1e-5) and SSD's whole augmentation.
    `ppn300_coco_release` has the API's. Table 1's pair is trained alike; `mobilenet_ssd300_coco`
    has RMSProp, batch 24 and 120k iterations, so the two `_release` ids are the comparison.

    The split is another one, too: trained on trainval35k, tested on the other 5,000 images of
    val2014. The paper tests on the API's minival, about 8,060 images of val2014 (their ids are in
    mscoco_minival_ids.txt of tensorflow/models), and trains on all others. At least 3,000 of its
    images are in trainval35k, so its mAP is not to be measured with this training. For the paper's
    split, list COCO_val2014_ and the id in twelve digits, a line an image, for `data_prep coco
    --test-list`, and all other images of train2014 and val2014 for `--train-list`.
    """
    return PPN300


@detector(committed=True)
def ppn300_coco_release() -> Recipe:
    """PPN300 on COCO as released in TensorFlow's API: 19.7 mAP on its minival (the configuration's
    header).

    ReLU6, written as x − max(x − 6, 0) of stock layers; BatchNorm's average decays by 0.97; α 0.75
    where the paper has 0.25; boxes count 1.5 times, over the four numbers of one. Of SSD's
    augmentation flips and crops alone; NMS 0.6, the 100 best of an image. Batch 512, 50k
    iterations: 2000 of warm-up from 0.1333 to 0.7, then a cosine to 0, here as thirteen solvers one
    after the other, nowhere off by more than 0.43 % of 0.7. Differences: biases learn at twice the
    rate, as Caffe's do; batches are normalised 64 images at a time, like the authors' eight
    replicas; crops are SSD's, in which an object counts by its centre; each training image is
    resized by one of five interpolations, there by the bilinear one; convolutions of stride 2 pad
    by 1 on all sides, where TensorFlow's "SAME" pads even sizes at the end alone, so that grids are
    a pixel apart (weights trained there do not give the same values here). The split is that of
    `ppn300_coco`.
    """
    return replace(
        PPN300,
        suffix="_release",
        features=partial(features, style=RELEASE),
        head=head(RELEASE, alpha=0.75, loc_weight=1.5 / 4, suppression=SUPPRESSION),
        augmentation=Augmentation(expand=1, distort=False),
        hardware="",
    )
