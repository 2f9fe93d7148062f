"""Detections from predictions, and their evaluation (Liu et al. 2016, §2 and §3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from netgen.graph import Blob, Net
from netgen.heads.predictions import Predictions


@dataclass(frozen=True)
class Suppression:
    """How detections are chosen among the boxes. The defaults are SSD's (§3).

    nms_threshold: overlap (0 … 1) with a better box of its class above which a box is dropped.
    top_k: number of best boxes of each class and image that suppression starts from; -1 for all.
    keep_top_k: number of best boxes of an image that are kept.
    confidence: score (0 … 1) that a box must exceed.
    """

    nms_threshold: float = 0.45
    top_k: int = 400
    keep_top_k: int = 200
    confidence: float = 0.01


SSD_SUPPRESSION = Suppression()


def detection_output(
    net: Net,
    predictions: Predictions,
    num_classes: int,
    save: dict | None,
    suppression: Suppression = SSD_SUPPRESSION,
    *,
    sigmoid: bool = False,
) -> Blob:
    """Add scores per class and non-maximum suppression.

    num_classes: background included.
    save: fields of SaveOutputParameter; None to write no files.
    sigmoid: score each class by itself, as the focal loss does, in place of softmax.

    Returns 1×1×K×7 rows of image, label, score, box.
    """
    fields: dict[str, Any] = {}
    if save:
        fields["save_output_param"] = save
    return net.add(
        "DetectionOutput",
        "detection_out",
        predictions.loc,
        _scores(net, predictions.conf, num_classes, sigmoid),
        predictions.boxes,
        include={"phase": "TEST"},
        num_classes=num_classes,
        share_location=True,
        background_label_id=0,
        nms_param={
            "nms_threshold": suppression.nms_threshold,
            "top_k": suppression.top_k,
        },
        code_type="CENTER_SIZE",
        keep_top_k=suppression.keep_top_k,
        confidence_threshold=suppression.confidence,
        **fields,
    )


def _scores(net: Net, conf: Blob, num_classes: int, sigmoid: bool) -> Blob:
    """Add the scores, 0 … 1, of every box and class."""
    if sigmoid:
        return net.add("Sigmoid", "mbox_conf_sigmoid", conf)
    conf = net.add("Reshape", "mbox_conf_reshape", conf, shape={"dim": [0, -1, num_classes]})
    conf = net.add("Softmax", "mbox_conf_softmax", conf, axis=2)
    return net.add("Flatten", "mbox_conf_flatten", conf, axis=1)


def detection_evaluate(
    net: Net,
    detections: Blob,
    label: Blob,
    num_classes: int,
    name_size_file: str,
    *,
    overlap_threshold: float = 0.5,
) -> Blob:
    """Add the layer that counts true and false positives of each class, for the solver's mAP.

    Difficult objects do not count.

    num_classes: background included.
    overlap_threshold: overlap with an object from which a detection counts as right.
    """
    return net.add(
        "DetectionEvaluate",
        "detection_eval",
        detections,
        label,
        include={"phase": "TEST"},
        num_classes=num_classes,
        background_label_id=0,
        overlap_threshold=overlap_threshold,
        evaluate_difficult_gt=False,
        name_size_file=name_size_file,
    )
