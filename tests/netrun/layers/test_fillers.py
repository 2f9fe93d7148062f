"""Fillers: ranges, spreads and kernels by their formulas, and numbers that depend on nothing but
seed and key.
"""

from __future__ import annotations

import numpy as np
import pytest

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from netrun.layers.fillers import fill
from ssd_common.errors import CaffeError
from tests.support import SHARED, needs_shared


def filler(words: str) -> pb.FillerParameter:
    return text.parse(words, pb.FillerParameter)


def test_no_filler_gives_zeros() -> None:
    assert (fill(None, (2, 3)) == 0).all()


def test_constant() -> None:
    assert fill(filler("value: 20"), (3,)).tolist() == [20, 20, 20]


# For (8, 4, 3, 3), fan in is 4 * 9 = 36 and fan out is 8 * 9 = 72.
@pytest.mark.parametrize(("norm", "fan"), [("FAN_IN", 36), ("FAN_OUT", 72), ("AVERAGE", 54)])
def test_fans(norm: str, fan: int) -> None:
    values = fill(filler(f'type: "xavier" variance_norm: {norm}'), (8, 4, 3, 3), key="x")
    limit = (3 / fan) ** 0.5
    assert 0.95 * limit < np.abs(values).max() <= limit
    values = fill(filler(f'type: "msra" variance_norm: {norm}'), (80, 40, 3, 3), key="x")
    assert values.std() == pytest.approx((2 / (fan * 10)) ** 0.5, rel=0.02)


def test_gaussian_and_uniform() -> None:
    values = fill(filler('type: "gaussian" mean: 3 std: 0.5'), (100, 100))
    assert (values.mean(), values.std()) == (
        pytest.approx(3, abs=0.02),
        pytest.approx(0.5, rel=0.02),
    )
    values = fill(filler('type: "uniform" min: 2 max: 4'), (100, 100))
    assert 2 <= values.min() < 2.01
    assert 3.99 < values.max() < 4.01


def test_sparse_gaussian_keeps_its_share() -> None:
    values = fill(filler('type: "gaussian" sparse: 10'), (50, 400))
    assert (values != 0).mean() == pytest.approx(10 / 50, abs=0.01)


def test_positive_unitball_sums_to_one() -> None:
    values = fill(filler('type: "positive_unitball"'), (5, 4, 3))
    assert (values >= 0).all()
    np.testing.assert_allclose(values.sum((1, 2)), 1, rtol=1e-6)


def test_bilinear_by_hand() -> None:
    # width 4: f = 2, c = (4 - 1 - 0) / 4 = 0.75, so 1 - |x / 2 - 0.75| = 1/4, 3/4, 3/4, 1/4
    line = np.array([0.25, 0.75, 0.75, 0.25])
    values = fill(filler('type: "bilinear"'), (3, 1, 4, 4))
    assert (values == np.outer(line, line)).all()


@needs_shared
@pytest.mark.parametrize("case", ["deconv_bilinear_x2", "deconv_bilinear_x4"])
def test_bilinear_as_caffe_fills(case: str) -> None:
    reference = np.load(SHARED / "golden" / "layers" / f"{case}.npz")["param:y:0"]
    np.testing.assert_allclose(
        fill(filler('type: "bilinear"'), reference.shape), reference, rtol=1e-6
    )


def test_numbers_follow_from_seed_and_key_alone() -> None:
    gaussian = filler('type: "gaussian"')
    first = fill(gaussian, (5,), 1, "conv1/0")
    fill(gaussian, (7,), 1, "conv2/0")
    assert (fill(gaussian, (5,), 1, "conv1/0") == first).all()
    assert not (fill(gaussian, (5,), 2, "conv1/0") == first).any()
    assert not (fill(gaussian, (5,), 1, "conv1/1") == first).any()


@pytest.mark.parametrize(
    ("words", "shape", "message"),
    [
        ('type: "xavyer"', (2,), "unknown filler type 'xavyer' (did you mean 'xavier'?)"),
        ('type: "xavier" sparse: 3', (2,), "only 'gaussian'"),
        ('type: "bilinear"', (2, 1, 3, 4), "square"),
    ],
)
def test_refusals(words: str, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(
        CaffeError, match=message.replace("(", r"\(").replace(")", r"\)").replace("?", r"\?")
    ):
        fill(filler(words), shape)
