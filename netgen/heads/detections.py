"""From predictions to detections, and whether these are right (Liu et al. 2016, §2 and §3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from netgen.graph import Blob, Net
from netgen.heads.predictions import Predictions


@dataclass(frozen=True)
class Suppression:
    """Which boxes are left as detections. The defaults are SSD's (§3).

    nms_threshold: a box that overlaps a better one of its class by more goes.
    top_k: the best boxes of each class and image that are looked at at all.
    keep_top_k: the best boxes of an image that are left.
    confidence: the score that a box must exceed.
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
    """Add a score per class and non-maximum suppression.

    num_classes: background included.
    save: fields of SaveOutputParameter; None writes no files.
    sigmoid: each class's score by itself, as the focal loss has it, in place of softmax.
    Returns 1×1×K×7 rows of image, label, score, box.
    """
    fields: dict[str, Any] = {"save_output_param": save} if save else {}
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
        nms_param={"nms_threshold": suppression.nms_threshold, "top_k": suppression.top_k},
        code_type="CENTER_SIZE",
        keep_top_k=suppression.keep_top_k,
        confidence_threshold=suppression.confidence,
        **fields,
    )


def _scores(net: Net, conf: Blob, num_classes: int, sigmoid: bool) -> Blob:
    """Scores 0 … 1 of every box and class."""
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
    """Add true and false positives of each class, for the solver's mAP.

    Difficult objects do not count.
    overlap_threshold: of a detection that counts as right.
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
