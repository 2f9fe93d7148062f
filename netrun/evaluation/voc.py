"""Average precision as the SSD fork's solver computes it.

Source: weiliu89/caffe, ComputeAP in util/bbox_util.cpp and TestDetection in solver.cpp.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from netrun.evaluation.ap_versions import AP_VERSIONS
from ssd_common.errors import CaffeError
from ssd_common.suggest import suggest

_EPS = 1e-6  # recall steps up to this count as none


def average_precision(
    scores: np.ndarray, hits: np.ndarray, positives: int, version: str = "Integral"
) -> float:
    """Compute the AP of one class from its detections, in any order.

    scores: (n,). Equal scores keep their order.
    hits: (n,), bool: whether a detection found an object.
    positives: how many objects there were to find.
    version:
        11point: VOC 2007's, the mean over recalls 0, 0.1, ... 1 of the best precision at that
        recall or beyond.
        MaxIntegral: VOC 2012's and ILSVRC's, the area under that envelope.
        Integral: the area under precision itself.
    Returns 0 without objects. Raises CaffeError for another version.
    """
    if version not in AP_VERSIONS:
        known = suggest(version, AP_VERSIONS) or f" (one of {', '.join(AP_VERSIONS)})"
        raise CaffeError(f"no ap_version '{version}'{known}")
    if not len(scores) or not positives:
        return 0.0
    order = np.argsort(-np.asarray(scores, np.float32), kind="stable")
    found = np.cumsum(np.asarray(hits, bool)[order]).astype(np.float32)
    precision = found / np.arange(1, len(found) + 1, dtype=np.float32)
    recall = found / np.float32(positives)
    if version == "11point":
        return _eleven_points(precision, recall)
    if version == "MaxIntegral":
        return _area_under_envelope(precision, recall)
    steps = np.diff(recall, prepend=np.float32(0))
    return float((precision * steps)[steps > _EPS].sum())


def _eleven_points(precision: np.ndarray, recall: np.ndarray) -> float:
    # Compared in double, as in the fork: a float32 recall of 7/10 or 9/10 is a little less.
    recall = recall.astype(float)
    best = [precision[recall >= j / 10].max(initial=0) for j in range(11)]
    return float(sum(best) / 11)


def _area_under_envelope(precision: np.ndarray, recall: np.ndarray) -> float:
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.diff(recall)
    area = (envelope[:-1] * steps)[steps > _EPS].sum()
    return float(area + recall[0] * envelope[0])


@dataclass(frozen=True)
class Result:
    """The result of a test.

    mean_ap: over every class but background. A class without detections or without objects counts
        as 0, as in the fork.
    per_class: AP by label, of the classes that have detections; the fork prints these.
    warnings: one line each.
    """

    mean_ap: float
    per_class: dict[int, float]
    warnings: list[str] = field(default_factory=list)


class DetectionMetric:
    """Collects DetectionEvaluate's tops over a test, and computes AP and mAP.

    Their rows hold image, label, score, true_pos and false_pos.
    """

    def __init__(self) -> None:
        self._positives: dict[int, int] = {}
        self._rows: list[np.ndarray] = []

    def update(self, rows: np.ndarray) -> None:
        """Add one top, of any shape (…, R, 5).

        Rows with image -1 hold a label's number of objects in place of a score.
        """
        rows = np.asarray(rows, np.float32).reshape(-1, 5)
        counts = rows[:, 0] == -1
        for label, count in rows[counts, 1:3].astype(int).tolist():
            self._positives[label] = self._positives.get(label, 0) + count
        judged = rows[~counts]
        # Neither true nor false: it found a difficult object, and does not count.
        met_difficult = ~judged[:, 3:].any(1)
        self._rows.append(judged[~met_difficult])

    def compute(self, ap_version: str = "Integral") -> Result:
        """AP per class and mAP so far. Raises CaffeError for an unknown ap_version."""
        rows = np.concatenate([np.empty((0, 5), np.float32), *self._rows])
        labels = rows[:, 1].astype(int)
        per_class: dict[int, float] = {}
        warnings = []
        for label, positives in sorted(self._positives.items()):
            own = rows[labels == label]
            if positives == 0:
                zero = "it counts as AP 0 in the mean, as in Caffe"
                warnings.append(f"class {label} has no ground truth: {zero}")
            if not len(own):
                warnings.append(f"Missing true_pos for label: {label}")
                continue
            hits = own[:, 3] > 0
            per_class[label] = average_precision(own[:, 2], hits, positives, ap_version)
        if not self._positives:
            return Result(0.0, per_class, warnings)
        mean = sum(per_class.values()) / len(self._positives)
        return Result(mean, per_class, warnings)
