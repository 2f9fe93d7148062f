"""What the rules of losses, SSD's own layers and data layers refuse: one line, layer and field."""

from __future__ import annotations

import pytest

from caffe_ir.rules import Shape
from tests.caffe_ir.support import EVALUATE, MAP, MULTIBOX, PREDICTIONS, assert_refused

REFUSED = {
    "infogain matrix": (
        'type: "InfogainLoss"',
        [(2, 6), (2,), (6, 6)],
        "bottom: 'b2' must be 1x1x6x6, found 6x6",
    ),
    "no infogain matrix": (
        'type: "InfogainLoss"',
        [(2, 6), (2,)],
        "source: or a third bottom must give the matrix",
    ),
    "filter selector": (
        'type: "Filter"',
        [MAP, (3,)],
        "bottom: 'b0' 2x6x9x11 and the selector 3 differ in N",
    ),
    "labels": (
        'type: "SoftmaxWithLoss"',
        [MAP, (2, 9)],
        "bottom: 198 predictions in 2x6x9x11 along axis 1, but 18 labels",
    ),
    "batch of labels": (
        'type: "SoftmaxWithLoss"',
        [(4, 6), (2, 2)],
        "bottom: 'b0' 4x6 and 'b1' 2x2 differ in N",
    ),
    "targets": (
        'type: "EuclideanLoss"',
        [(4, 6), (4, 5)],
        "bottom: 'b0' 4x6 and 'b1' 4x5 differ in size",
    ),
    "accuracy": (
        'type: "Accuracy" accuracy_param { top_k: 7 }',
        [(2, 6), (2,)],
        "top_k: must not exceed the 6 classes",
    ),
    "focal gamma": (
        'type: "FocalLoss" focal_loss_param { gamma: -1 }',
        [(2, 6), (2,)],
        "gamma: must be 0 or more",
    ),
    "no min_size": ('type: "PriorBox"', [MAP, MAP], "min_size: must be specified"),
    "max_size": (
        'type: "PriorBox" prior_box_param { min_size: 30 max_size: 20 }',
        [MAP, MAP],
        "max_size: must be larger than its min_size",
    ),
    "max_size times min_size": (
        'type: "PriorBox" prior_box_param { min_size: 41000.5 max_size: 53000 }',
        [MAP, MAP],
        "max_size: times its min_size must be below 2147483648, as Caffe multiplies them as ints",
    ),
    "max_sizes": (
        'type: "PriorBox" prior_box_param { min_size: [1, 2] max_size: 3 }',
        [MAP, MAP],
        "max_size: must be given for each min_size",
    ),
    "variances": (
        'type: "PriorBox" prior_box_param { min_size: 1 variance: [1, 1] }',
        [MAP, MAP],
        "variance: must be given once or 4 times, found 2",
    ),
    "two forms of step": (
        'type: "PriorBox" prior_box_param { min_size: 1 step: 8 step_h: 8 step_w: 8 }',
        [MAP, MAP],
        "step: give either step or step_h and step_w",
    ),
    "half a step": (
        'type: "PriorBox" prior_box_param { min_size: 1 step_h: 8 }',
        [MAP, MAP],
        "step_h: step_h and step_w must be positive",
    ),
    "prior without image": (
        'type: "PriorBox" prior_box_param { min_size: 1 }',
        [MAP],
        "bottom: PriorBox takes 2 bottoms, found 1",
    ),
    "image of five axes": (
        'type: "PriorBox" prior_box_param { min_size: 1 }',
        [MAP, (1, 3, 1, 8, 8)],
        "bottom: takes at most 4 axes, found 1x3x1x8x8",
    ),
    "multibox classes": (
        'type: "MultiBoxLoss"',
        [*PREDICTIONS, (1, 1, 5, 8)],
        "num_classes: must be specified and positive",
    ),
    "multibox locations": (
        MULTIBOX,
        [(2, 396), *PREDICTIONS[1:], (1, 1, 5, 8)],
        "bottom: 100 priors need 400 values of location, 'b0' has 396",
    ),
    "multibox confidences": (
        MULTIBOX.replace("21", "20"),
        [*PREDICTIONS, (1, 1, 5, 8)],
        "bottom: 100 priors of 20 classes need 2000 values of confidence, 'b1' has 2100",
    ),
    "mining per class": (
        'type: "MultiBoxLoss" multibox_loss_param { num_classes: 21 share_location: false }',
        [*PREDICTIONS, (1, 1, 5, 8)],
        "share_location: must be true for mining",
    ),
    "mining twice": (
        'type: "MultiBoxLoss" multibox_loss_param { num_classes: 21 do_neg_mining: false }',
        [*PREDICTIONS, (1, 1, 5, 8)],
        "do_neg_mining: contradicts mining_type",
    ),
    "background": (
        'type: "MultiBoxLoss" multibox_loss_param { num_classes: 21 background_label_id: 21 }',
        [*PREDICTIONS, (1, 1, 5, 8)],
        "background_label_id: must lie below num_classes, 21",
    ),
    "nms": (
        'type: "DetectionOutput" detection_output_param { num_classes: 21 nms_param { eta: 0 } }',
        [*PREDICTIONS],
        "eta: must lie above 0",
    ),
    "detections": (
        EVALUATE,
        [(1, 1, 9, 6), (1, 1, 5, 8)],
        "bottom: 'b0' must be 1x1xRx7, found 1x1x9x6",
    ),
    "evaluated background": (
        (
            'type: "DetectionEvaluate" '
            "detection_evaluate_param { num_classes: 21 background_label_id: 21 }"
        ),
        [(1, 1, 9, 7), (1, 1, 5, 8)],
        "background_label_id: must lie below num_classes, 21, or be 4294967295 for none",
    ),
    "input without shape": (
        'type: "Input"',
        [],
        "input_param.shape: is not given; the shape of 't0' must be given",
    ),
    "annotated data of no size": (
        'type: "AnnotatedData" data_param { batch_size: 8 }',
        [],
        "transform_param: fixes no size; the shape of 't0' must be given",
    ),
    "no batch_size": (
        'type: "AnnotatedData" transform_param { crop_size: 3 }',
        [],
        "batch_size: must be specified and positive",
    ),
    "batch of unequal images": (
        (
            'type: "AnnotatedData" data_param { batch_size: 8 } '
            "transform_param { resize_param { resize_mode: FIT_SMALL_SIZE height: 3 width: 3 } }"
        ),
        [],
        "batch_size: must be 1 for FIT_SMALL_SIZE",
    ),
    "crop of images": (
        (
            'type: "Data" data_param { batch_size: 8 } '
            "transform_param { crop_size: 9 resize_param { height: 8 width: 9 } }"
        ),
        [],
        "crop_size: 9x9 is larger than the images, 8x9",
    ),
    "hdf5": (
        'type: "HDF5Data"',
        [],
        "the HDF5 file fixes the shapes; the shape of 't0' must be given",
    ),
    "python": (
        'type: "Python" python_param { module: "rpn" layer: "Proposal" }',
        [MAP],
        "the Python class rpn.Proposal fixes the shapes",
    ),
}


@pytest.mark.parametrize(
    ("body", "bottoms", "said"), [pytest.param(*case, id=name) for name, case in REFUSED.items()]
)
def test_what_caffe_refuses(body: str, bottoms: list[Shape], said: str) -> None:
    assert_refused(body, bottoms, said)
