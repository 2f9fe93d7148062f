"""A narrow one-scale SSD for tests of whole runs: trained in seconds, tested and deployed like its
wide relatives.
"""

from __future__ import annotations

_DATA = """
layer {{ name: "data" type: "AnnotatedData" top: "data" top: "label" include {{ phase: TRAIN }}
  transform_param {{ mirror: true mean_value: 104 mean_value: 117 mean_value: 123
    resize_param {{ prob: 1 resize_mode: WARP height: 64 width: 64 interp_mode: LINEAR }}
    emit_constraint {{ emit_type: CENTER }}
    distort_param {{ brightness_prob: 0.5 brightness_delta: 32 }}
    expand_param {{ prob: 0.5 max_expand_ratio: 4.0 }} }}
  data_param {{ source: "{train}" batch_size: 2 backend: LMDB }}
  annotated_data_param {{ label_map_file: "{labelmap}"
    batch_sampler {{
      sampler {{ min_scale: 0.3 max_scale: 1.0 min_aspect_ratio: 0.5 max_aspect_ratio: 2.0 }}
      sample_constraint {{ min_jaccard_overlap: 0.5 }} max_sample: 1 max_trials: 50 }} }} }}
layer {{ name: "data" type: "AnnotatedData" top: "data" top: "label" include {{ phase: TEST }}
  transform_param {{ mean_value: 104 mean_value: 117 mean_value: 123
    resize_param {{ prob: 1 resize_mode: WARP height: 64 width: 64 interp_mode: LINEAR }} }}
  data_param {{ source: "{test}" batch_size: 2 backend: LMDB }}
  annotated_data_param {{ label_map_file: "{labelmap}" }} }}
"""
_INPUT = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 3 dim: 64 dim: 64 } } }
"""
_BODY = """
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 4 kernel_size: 3 stride: 4 weight_filler { type: "xavier" } } }
layer { name: "bn1" type: "BatchNorm" bottom: "conv1" top: "conv1" }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "drop1" type: "Dropout" bottom: "conv1" top: "conv1"
  dropout_param { dropout_ratio: 0.3 } }
layer { name: "loc" type: "Convolution" bottom: "conv1" top: "loc"
  convolution_param { num_output: 16 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
layer { name: "loc_perm" type: "Permute" bottom: "loc" top: "loc_perm"
  permute_param { order: 0 order: 2 order: 3 order: 1 } }
layer { name: "loc_flat" type: "Flatten" bottom: "loc_perm" top: "loc_flat"
  flatten_param { axis: 1 } }
layer { name: "conf" type: "Convolution" bottom: "conv1" top: "conf"
  convolution_param { num_output: 24 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
layer { name: "conf_perm" type: "Permute" bottom: "conf" top: "conf_perm"
  permute_param { order: 0 order: 2 order: 3 order: 1 } }
layer { name: "conf_flat" type: "Flatten" bottom: "conf_perm" top: "conf_flat"
  flatten_param { axis: 1 } }
layer { name: "prior" type: "PriorBox" bottom: "conv1" bottom: "data" top: "prior"
  prior_box_param { min_size: 16 max_size: 32 aspect_ratio: 2 flip: true variance: 0.1 variance: 0.1
    variance: 0.2 variance: 0.2 } }
"""
_LOSS = """
layer { name: "mbox_loss" type: "MultiBoxLoss" bottom: "loc_flat" bottom: "conf_flat"
  bottom: "prior" bottom: "label" top: "mbox_loss"
  include { phase: TRAIN } loss_param { normalization: VALID }
  propagate_down: true propagate_down: true propagate_down: false propagate_down: false
  multibox_loss_param { num_classes: 6 neg_pos_ratio: 3 neg_overlap: 0.5 code_type: CENTER_SIZE
    mining_type: MAX_NEGATIVE } }
"""
_DETECT = """
layer { name: "conf_rows" type: "Reshape" bottom: "conf_flat" top: "conf_rows"
  reshape_param { shape { dim: 0 dim: -1 dim: 6 } } PHASE }
layer { name: "conf_soft" type: "Softmax" bottom: "conf_rows" top: "conf_soft"
  softmax_param { axis: 2 } PHASE }
layer { name: "conf_soft_flat" type: "Flatten" bottom: "conf_soft" top: "conf_soft_flat"
  flatten_param { axis: 1 } PHASE }
layer { name: "detection_out" type: "DetectionOutput" bottom: "loc_flat" bottom: "conf_soft_flat"
  bottom: "prior" top: "detection_out"
  detection_output_param { num_classes: 6 nms_param { nms_threshold: 0.45 top_k: 100 }
    code_type: CENTER_SIZE keep_top_k: 20
    confidence_threshold: 0.01 } PHASE }
"""
_EVALUATE = """
layer { name: "detection_eval" type: "DetectionEvaluate" bottom: "detection_out" bottom: "label"
  top: "detection_eval"
  detection_evaluate_param { num_classes: 6 overlap_threshold: 0.5 } include { phase: TEST } }
"""


def train_test_net(train: str, test: str, labelmap: str = "") -> str:
    """The prototxt of both phases over these LMDBs of five classes."""
    data = _DATA.format(train=train, test=test, labelmap=labelmap)
    return (
        'name: "narrow_ssd"'
        + data
        + _BODY
        + _LOSS
        + _DETECT.replace("PHASE", "include { phase: TEST }")
        + _EVALUATE
    )


def deploy_net() -> str:
    return 'name: "narrow_ssd"' + _INPUT + _BODY + _DETECT.replace("PHASE", "")
