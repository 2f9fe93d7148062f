"""Average precision as the SSD fork's solver computes it (ComputeAP in util/bbox_util.cpp, TestDetection in solver.cpp)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from netrun.evaluation.ap_versions import AP_VERSIONS
from ssd_common.errors import CaffeError
from ssd_common.suggest import suggest

_EPS = 1e-6  # recall steps up to this count as none


def average_precision(scores: np.ndarray, hits: np.ndarray, positives: int, version: str = "Integral") -> float:
    """AP of one class from its detections in any order: scores (n,), hits bool (n,), and how many objects there were to find.

    11point: VOC 2007's, mean over recalls 0, 0.1, ... 1 of the best precision at that recall or beyond; MaxIntegral: VOC 2012's and
    ILSVRC's, area under that envelope; Integral: area under precision itself. Equal scores keep their order. 0 without objects.
    Raises CaffeError for another version.
    """
    if version not in AP_VERSIONS:
        known = suggest(version, AP_VERSIONS) or f" (one of {', '.join(AP_VERSIONS)})"
        raise CaffeError(f"no ap_version '{version}'{known}")
    if not len(scores) or not positives:
        return 0.0
    found = np.cumsum(np.asarray(hits, bool)[np.argsort(-np.asarray(scores, np.float32), kind="stable")])
    precision = found.astype(np.float32) / np.arange(1, len(found) + 1, dtype=np.float32)
    recall = found.astype(np.float32) / np.float32(positives)
    if version == "11point":
        # Compared in double, as in the fork: a recall of 7/10 or 9/10 is as a float32 a little less than that.
        return float(sum(precision[recall.astype(float) >= j / 10].max(initial=0) for j in range(11)) / 11)
    if version == "MaxIntegral":
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        steps = np.diff(recall)
        return float((envelope[:-1] * steps)[steps > _EPS].sum() + recall[0] * envelope[0])
    steps = np.diff(recall, prepend=np.float32(0))
    return float((precision * steps)[steps > _EPS].sum())


@dataclass(frozen=True)
class Result:
    """What a test came to.

    mean_ap: over every class but background, 0 for those without detections or without objects, as the fork counts.
    per_class: label -> AP, of the classes that have detections, the ones the fork prints. warnings: one line each.
    """

    mean_ap: float
    per_class: dict[int, float]
    warnings: list[str] = field(default_factory=list)


class DetectionMetric:
    """Collects DetectionEvaluate's tops over a test and computes AP and mAP. Rows: [image, label, score, true_pos, false_pos]."""

    def __init__(self) -> None:
        self._positives: dict[int, int] = {}
        self._rows: list[np.ndarray] = []

    def update(self, rows: np.ndarray) -> None:
        """Take one top, any shape of (…, R, 5). Rows of image -1 hold a label's number of objects in place of a score."""
        rows = np.asarray(rows, np.float32).reshape(-1, 5)
        counts = rows[:, 0] == -1
        for label, count in rows[counts, 1:3].astype(int).tolist():
            self._positives[label] = self._positives.get(label, 0) + count
        judged = rows[~counts]
        self._rows.append(judged[judged[:, 3:].any(1)])  # neither true nor false: met a difficult object that does not count

    def compute(self, ap_version: str = "Integral") -> Result:
        """AP per class and mAP so far. Raises CaffeError for an unknown ap_version."""
        rows = np.concatenate(self._rows) if self._rows else np.empty((0, 5), np.float32)
        labels = rows[:, 1].astype(int)
        per_class: dict[int, float] = {}
        warnings = []
        for label, positives in sorted(self._positives.items()):
            own = rows[labels == label]
            if positives == 0:
                warnings.append(f"class {label} has no ground truth: it counts as AP 0 in the mean, as in Caffe")
            if not len(own):
                warnings.append(f"Missing true_pos for label: {label}")
                continue
            per_class[label] = average_precision(own[:, 2], own[:, 3] > 0, positives, ap_version)
        mean = sum(per_class.values()) / len(self._positives) if self._positives else 0.0
        return Result(mean, per_class, warnings)
