"""Settings of every detector in TensorFlow's Object Detection API (MobileNet-SSD, PPN)."""

from __future__ import annotations

from netgen.heads.detections import Suppression

NORMALISATION = {"moving_average_fraction": 0.97, "eps": 0.001}  # fields of BatchNorm
CLASS_BIAS = -4.6  # −log(99), so that all scores start at 0.01
SUPPRESSION = Suppression(
    nms_threshold=0.6,
    top_k=-1,
    keep_top_k=100,
    confidence=1e-8,
)
