"""Average precision by hand in its three versions, and the mean over classes."""

from __future__ import annotations

import numpy as np
import pytest

from netrun.evaluation.voc import DetectionMetric, average_precision
from ssd_common.errors import CaffeError

SCORES, HITS = [0.9, 0.8, 0.7, 0.6, 0.5], [True, False, True, False, True]
# Of 4 objects. Recall .25, .25, .5, .5, .75; precision 1, 1/2, 2/3, 2/4, 3/5.
BY_HAND = {
    # Recalls 0, .1, .2: 1; .3, .4, .5: 2/3; .6, .7: 3/5; .8, .9, 1: 0.
    "11point": (3 * 1 + 3 * 2 / 3 + 2 * 3 / 5) / 11,
    # Envelope 1, 2/3, 2/3, 3/5, 3/5. The fork weighs each recall step with the envelope at its
    # lower end: .25 * 1, the step to .5 with 2/3, the step to .75 with 3/5.
    "MaxIntegral": 0.25 * 1 + 0.25 * 2 / 3 + 0.25 * 3 / 5,
    # Precision itself at each step: 1, 2/3, 3/5.
    "Integral": 0.25 * (1 + 2 / 3 + 3 / 5),
}


@pytest.mark.parametrize(("version", "expected"), BY_HAND.items())
def test_average_precision(version, expected):
    order = [3, 0, 4, 2, 1]
    got = average_precision(np.array(SCORES)[order], np.array(HITS)[order], 4, version)
    assert got == pytest.approx(expected, rel=1e-6)


def test_versions_differ_where_precision_rises():
    # Hits false, true, true of 2: precision 0, 1/2, 2/3 at recall 0, 1/2, 1. Envelope 2/3
    # throughout.
    scores, hits = np.array([3.0, 2.0, 1.0]), np.array([False, True, True])
    assert average_precision(scores, hits, 2, "11point") == pytest.approx(2 / 3)
    assert average_precision(scores, hits, 2, "MaxIntegral") == pytest.approx(2 / 3)
    assert average_precision(scores, hits, 2, "Integral") == pytest.approx((1 / 2 + 2 / 3) / 2)


@pytest.mark.parametrize(("found", "points"), [(6, 7), (7, 7), (8, 9), (9, 9), (10, 11)])
def test_eleven_points_are_compared_in_double(found, points):
    """Of 10 objects, no detection wrong.

    The fork takes a recall of float32(0.7), 0.69999999, for less than 0.7; likewise 0.9.
    """
    assert average_precision(
        np.arange(found), np.ones(found, bool), 10, "11point"
    ) == pytest.approx(points / 11)


def test_equal_scores_keep_their_order():
    assert average_precision(np.ones(2), np.array([True, False]), 1) == 1
    assert average_precision(np.ones(2), np.array([False, True]), 1) == 0.5


def test_nothing_found_or_nothing_to_find():
    assert average_precision(np.empty(0), np.empty(0), 3) == 0
    assert average_precision(np.ones(1), np.array([False]), 0) == 0


def test_mean_over_all_classes_with_warnings():
    metric = DetectionMetric()
    tops = [
        [
            [-1, 1, 1, -1, -1],
            [-1, 2, 1, -1, -1],
            [-1, 3, 0, -1, -1],
            [0, 1, 0.9, 1, 0],
            [0, 3, 0.8, 0, 1],
            [0, 1, 0.95, 0, 0],
        ],
        [[-1, 1, 1, -1, -1], [-1, 2, 0, -1, -1], [-1, 3, 0, -1, -1], [0, 1, 0.7, 1, 0]],
    ]
    for rows in tops:
        metric.update(np.array(rows, np.float32)[None, None])
    result = metric.compute("11point")
    # Class 1: both of 2 found, the difficult one left out: 1. Class 2 has an object and no
    # detection, class 3 no object: 0 each.
    assert result.per_class == {1: 1.0, 3: 0.0}
    assert result.mean_ap == pytest.approx(1 / 3)
    assert result.warnings == [
        "Missing true_pos for label: 2",
        "class 3 has no ground truth: it counts as AP 0 in the mean, as in Caffe",
    ]


def test_no_rows_at_all():
    assert DetectionMetric().compute().mean_ap == 0


def test_unknown_version():
    with pytest.raises(CaffeError, match=r"no ap_version '11points' \(did you mean '11point'\?\)"):
        average_precision(np.ones(1), np.ones(1, bool), 1, "11points")
    with pytest.raises(
        CaffeError, match=r"no ap_version 'auc' \(one of 11point, MaxIntegral, Integral\)"
    ):
        average_precision(np.ones(1), np.ones(1, bool), 1, "auc")
