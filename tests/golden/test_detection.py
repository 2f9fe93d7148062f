"""SSD's own layers against recorded cases, with or without ../shared.

PriorBox, DetectionOutput, DetectionEvaluate, and every mode of MultiBoxLoss.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.golden.packed import read
from tests.netrun.layers.detection_support import close, run_case

CASES = read("detection.npz")
LOSSES = read("losses.npz")


def named(kind: str) -> list[str]:
    return [name for name in CASES if name.startswith(kind)]


@pytest.mark.parametrize("name", LOSSES)
def test_loss_and_its_gradients(name: str) -> None:
    top, wanted, gradients = run_case(LOSSES[name])
    assert close(top, wanted)
    for got, gradient in gradients:
        assert close(got, gradient)


@pytest.mark.parametrize("name", named("prior"))
def test_prior_boxes(name: str) -> None:
    top, wanted, _ = run_case(CASES[name])
    assert close(top, wanted, 1e-6)


@pytest.mark.parametrize("name", named("detection"))
def test_detections_and_their_order(name: str) -> None:
    top, wanted, _ = run_case(CASES[name])
    assert top.shape == wanted.shape
    np.testing.assert_array_equal(top[..., :3], wanted[..., :3])
    assert close(top, wanted)


@pytest.mark.parametrize("name", named("evaluate"))
def test_evaluation(name: str) -> None:
    top, wanted, _ = run_case(CASES[name])
    np.testing.assert_array_equal(top, wanted)
