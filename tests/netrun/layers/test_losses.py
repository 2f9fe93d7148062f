"""Losses and their gradients, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tests.netrun.layers.one_layer import run, slopes

SCORES = np.array(
    [[0.0, 0, 0, 0], [np.log(2), 0, 0, np.log(4)], [0, np.log(5), 0, 0]]
)  # label probabilities: 1/4, 1/2, 5/8
LABELS = [2, 3, 1]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("", np.log(4 * 2 * 8 / 5) / 3),
        ("loss_param { ignore_label: 3 }", np.log(4 * 8 / 5) / 2),
        ("loss_param { ignore_label: 3 normalization: FULL }", np.log(4 * 8 / 5) / 3),
        ("loss_param { ignore_label: 3 normalize: false }", np.log(4 * 8 / 5) / 3),
        ("loss_param { normalization: NONE }", np.log(4 * 2 * 8 / 5)),
    ],
)
def test_softmax_with_loss_by_hand(fields: str, expected: float) -> None:
    net, (loss, probabilities) = run("SoftmaxWithLoss", fields, tops="y p", x=SCORES, l=LABELS)
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-6)
    assert probabilities[1, 3] == pytest.approx(1 / 2)
    net.backward()
    np.testing.assert_allclose(net.blobs["x"].diff, slopes(net), atol=1e-3)
    assert not net.blobs["l"].diff.any()


def test_softmax_with_loss_takes_no_logarithm_of_zero() -> None:
    net, (loss,) = run("SoftmaxWithLoss", x=[[0, 200]], l=[0])
    assert float(loss) == pytest.approx(-np.log(np.finfo(np.float32).tiny))
    net.backward()
    np.testing.assert_allclose(net.blobs["x"].diff, [[-1, 1]])


def test_other_losses_by_hand() -> None:
    def loss(type_: str, fields: str = "", **bottoms: object) -> float:
        net, (y,) = run(type_, fields, **bottoms)
        net.backward()
        name = next(iter(bottoms))
        np.testing.assert_allclose(net.blobs[name].diff, slopes(net, name, 1e-3), atol=2e-3)
        return float(y)

    p, labels, s = [[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]], [0, 1], [[2.0, -0.5, -3], [0.5, 0, 0]]
    assert loss("MultinomialLogisticLoss", p=p, l=labels) == pytest.approx(
        -np.log(0.5 * 0.8) / 2, rel=1e-5
    )
    matrix = np.diag([1.0, 2, 3]).reshape(1, 1, 3, 3)
    assert loss("InfogainLoss", p=p, l=labels, m=matrix) == pytest.approx(
        -(np.log(0.5) + 2 * np.log(0.8)) / 2, rel=1e-5
    )
    # margins: 1 - 2 -> 0, 1 - 0.5, 1 - 3 -> 0; 1 + 0.5, 1 - 0, 1 + 0
    assert loss("HingeLoss", s=s, l=labels) == pytest.approx((0.5 + 1.5 + 1 + 1) / 2)
    assert loss("HingeLoss", "hinge_loss_param { norm: L2 }", s=s, l=labels) == pytest.approx(
        (0.25 + 2.25 + 1 + 1) / 2
    )
    a, b = [[0.3, 0.4], [0.3, 0.4]], [[0.0, 0], [0, 0]]  # distances 0.5
    assert loss("ContrastiveLoss", a=a, b=b, l=labels) == pytest.approx((0.25 + (1 - 0.5) ** 2) / 4)
    legacy = "contrastive_loss_param { legacy_version: true margin: 2 }"
    assert loss("ContrastiveLoss", legacy, a=a, b=b, l=labels) == pytest.approx(
        (2 - 0.25 + 0.25) / 4
    )
    ignoring = "loss_param { ignore_label: 1 normalization: VALID }"
    assert loss("SigmoidCrossEntropyLoss", ignoring, s=[[0.0, 3]], t=[[0, 1]]) == pytest.approx(
        np.log(2), rel=1e-5
    )


def test_smooth_l1_weights_enter_the_gradient_once() -> None:
    net, (y,) = run("SmoothL1Loss", x=[[1.0, 4.0]], t=[[0.8, 1.0]], w=[[2, 0.5]])
    assert float(y) == pytest.approx(0.5 * 0.4**2 + 1.5 - 0.5)  # of 2 * 0.2 and 0.5 * 3
    net.backward()
    np.testing.assert_allclose(net.blobs["x"].diff, [[0.4, 1]], rtol=1e-6)
