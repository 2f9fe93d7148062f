"""Small nets of many layer types, and a solver, that cases start from."""

from __future__ import annotations

from tests.netrun.small_nets import data, layer

_CONV = (
    "convolution_param { num_output: 4 kernel_size: 3 pad: 1 stride: 1 group: 2 "
    'dilation: 1 weight_filler { type: "xavier" } }'
)
_DENSE = 'inner_product_param { num_output: 3 axis: 1 weight_filler { type: "gaussian" std: 0.1 } }'
_DUMMY = """layer { name: "d" type: "DummyData" top: "x" top: "y"
  dummy_data_param { shape { dim: 4 dim: 3 } shape { dim: 4 }
  data_filler { type: "gaussian" std: 1 } data_filler { type: "constant" value: 1 } } }
"""
_IMAGE = data("x", 2, 4, 9, 8)

NETS = [
    'name: "conv" '
    + _IMAGE
    + layer(
        "Convolution", "x", "c", f'{_CONV} param {{ lr_mult: 1 name: "w" }} param {{ lr_mult: 2 }}'
    )
    + layer("BatchNorm", "c", "c", "batch_norm_param { eps: 1e-5 }", "bn")
    + layer("Scale", "c", "c", "scale_param { axis: 1 bias_term: true }", "scale")
    + layer("ReLU", "c", "c", "relu_param { negative_slope: 0.1 }", "relu")
    + layer("Pooling", "c", "p", "pooling_param { pool: MAX kernel_size: 3 stride: 2 pad: 1 }")
    + layer("InnerProduct", "p", "y", _DENSE),
    'name: "shapes" '
    + _IMAGE
    + layer("Slice", "x", "a b", "slice_param { axis: 1 slice_point: 1 }", "s")
    + layer("Concat", "a b", "c", "concat_param { axis: 1 }")
    + layer("Permute", "c", "p", "permute_param { order: 0 order: 2 order: 3 order: 1 }")
    + layer("Flatten", "p", "f", "flatten_param { axis: 1 end_axis: -1 }")
    + layer(
        "Reshape",
        "f",
        "r",
        "reshape_param { shape { dim: 0 dim: -1 dim: 4 } axis: 0 num_axes: -1 }",
    ),
    'name: "sums" '
    + _IMAGE
    + layer("Eltwise", "x x", "e", "eltwise_param { operation: SUM coeff: 1 coeff: -1 }")
    + layer("Power", "e", "q", "power_param { power: 2 scale: 0.5 shift: 1 }")
    + layer(
        "Reduction", "q", "r", "reduction_param { operation: MEAN axis: 1 coeff: 2 } loss_weight: 1"
    ),
    'name: "up" '
    + _IMAGE
    + layer("Deconvolution", "x", "d", _CONV)
    + layer("Crop", "d x", "c", "crop_param { axis: 2 offset: 0 }")
    + layer("LRN", "c", "l", "lrn_param { local_size: 3 alpha: 1e-4 beta: 0.75 }")
    + layer(
        "Normalize",
        "l",
        "n",
        (
            "norm_param { across_spatial: false channel_shared: false "
            'scale_filler { type: "constant" value: 20 } }'
        ),
    ),
    'name: "classes" '
    + _DUMMY
    + layer("InnerProduct", "x", "ip", _DENSE)
    + layer("Softmax", "ip", "p", "softmax_param { axis: 1 }")
    + layer(
        "SoftmaxWithLoss",
        "ip y",
        "loss",
        "loss_param { normalization: VALID ignore_label: 7 } loss_weight: 2",
    )
    + layer("Accuracy", "p y", "acc", "accuracy_param { top_k: 1 }")
    + layer("ArgMax", "p", "best", "argmax_param { top_k: 1 }"),
    'name: "boxes" '
    + data("im", 1, 3, 32, 32)
    + data("f", 1, 4, 4, 4)
    + layer(
        "PriorBox",
        "f im",
        "prior",
        (
            "prior_box_param { min_size: 8 max_size: 12 aspect_ratio: 2 flip: true "
            "clip: false step: 8 offset: 0.5 }"
        ),
    )
    + data("loc", 1, 256)
    + data("conf", 1, 128)
    + data("label", 1, 1, 2, 8)
    + layer(
        "DetectionOutput",
        "loc conf prior",
        "out",
        (
            "detection_output_param { num_classes: 2 "
            "nms_param { nms_threshold: 0.4 top_k: 9 } keep_top_k: 5 code_type: CORNER }"
        ),
    )
    + layer(
        "MultiBoxLoss",
        "loc conf prior label",
        "mbox",
        "multibox_loss_param { num_classes: 2 code_type: CENTER_SIZE }",
    )
    + layer(
        "DetectionEvaluate",
        "out label",
        "eval",
        "detection_evaluate_param { num_classes: 2 overlap_threshold: 0.5 }",
    ),
]

SOLVER = """net_param { name: "tiny"
  layer { name: "d" type: "DummyData" top: "x" top: "y"
    dummy_data_param { shape { dim: 4 dim: 3 } shape { dim: 4 dim: 2 }
    data_filler { type: "gaussian" std: 1 } data_filler { type: "constant" value: 1 } } }
  layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip"
    inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
  layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "y" top: "loss" } }
base_lr: 0.01 lr_policy: "multistep" gamma: 0.1 stepvalue: 1 stepvalue: 3 power: 0.75 stepsize: 2
momentum: 0.9 weight_decay: 0.0005
type: "SGD" regularization_type: "L2" iter_size: 2 max_iter: 4 random_seed: 3 display: 1
average_loss: 2 clip_gradients: 10
snapshot: 2 snapshot_prefix: "good/n" test_iter: 1 test_interval: 2 test_initialization: false
delta: 1e-8 momentum2: 0.999
rms_decay: 0.98 solver_mode: CPU
"""
