"""Parameters and one-line calls of the transformation that several of these tests need."""

from __future__ import annotations

import numpy as np

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from netrun.data.boxes import Annotations
from netrun.data.datum import Sample
from netrun.data.transform import Transformer

RNG = np.random.default_rng


def objects(*boxes: tuple[float, float, float, float]) -> Annotations:
    count = len(boxes)
    ids = np.array([(i + 1, i, i % 2) for i in range(count)], np.float32).reshape(-1, 3)
    return Annotations(
        np.array(boxes, np.float32).reshape(-1, 4), np.full(count, np.nan, np.float32), ids
    )


def transformer(param: str, samplers: str = "", phase: int = pb.TRAIN) -> Transformer:
    return Transformer(
        text.parse(param, pb.TransformationParameter),
        text.parse(samplers, pb.AnnotatedDataParameter).batch_sampler,
        phase,
    )


def run(
    param: str, image: np.ndarray, found: Annotations, phase: int = pb.TEST, seed: int = 0
) -> tuple[np.ndarray, Annotations]:
    return transformer(param, phase=phase)(Sample(image, found, None), RNG(seed))


AUGMENTED = """
mirror: true mean_value: 104 mean_value: 117 mean_value: 123 emit_constraint { emit_type: CENTER }
resize_param { height: 48 width: 64 interp_mode: LINEAR interp_mode: AREA interp_mode: NEAREST
  interp_mode: CUBIC interp_mode: LANCZOS4 }
distort_param {
  brightness_prob: 0.5 brightness_delta: 32 contrast_prob: 0.5 contrast_lower: 0.5
  contrast_upper: 1.5 hue_prob: 0.5 hue_delta: 18
  saturation_prob: 0.5 saturation_lower: 0.5 saturation_upper: 1.5 random_order_prob: 0.3
}
expand_param { prob: 0.7 max_expand_ratio: 4.0 }
"""
BYTES_ONLY = AUGMENTED.replace("hue_prob: 0.5", "").replace("saturation_prob: 0.5", "")
SAMPLERS = """
batch_sampler { max_sample: 1 max_trials: 1 }
batch_sampler {
  max_sample: 1 max_trials: 50
  sampler { min_scale: 0.3 min_aspect_ratio: 0.5 max_aspect_ratio: 2 }
  sample_constraint { min_jaccard_overlap: 0.1 }
}
"""
