"""Layers and options that shared/golden does not have, against small cases recorded with the CPU
build of weiliu89/caffe (ssd).
"""

from __future__ import annotations

import numpy as np
import pytest

import netrun
from tests.golden.packed import read
from tests.netrun.goldens import replay_case
from tests.netrun.small_nets import build, data, layer

# What src/caffe/layers/*.cpp of that fork gave for each net: seeded inputs and parameters, outputs,
# fed and resulting gradients.
CASES = read("fork_layers.npz")


@pytest.mark.parametrize("name", CASES)
def test_recorded(name: str) -> None:
    replay_case(CASES[name])


def stochastic(x: np.ndarray, phase: int, seed: int = 0, **fields: int) -> netrun.Net:
    size = " ".join(f"{name}: {value}" for name, value in fields.items())
    words = data("x", *x.shape) + layer(
        "Pooling", "x", "y", f"pooling_param {{ pool: STOCHASTIC {size} }}"
    )
    net = build("force_backward: true " + words, phase, seed=seed)
    net.blobs["x"].data[...] = x
    return net


def test_stochastic_pooling_draws_by_activation() -> None:
    # two windows, of 1, 2, 3, 4 and of 0, 5, 0, 0
    net = stochastic(
        np.tile(np.array([[1.0, 2, 0, 5], [3, 4, 0, 0]]), (1, 4000, 1, 1)),
        netrun.TRAIN,
        kernel_size=2,
        stride=2,
    )
    drawn = net.forward()["y"][0, :, 0].copy()
    assert (drawn[:, 1] == 5).all()
    shares = [(drawn[:, 0] == value).mean() for value in (1, 2, 3, 4)]
    np.testing.assert_allclose(shares, [0.1, 0.2, 0.3, 0.4], atol=0.03)
    slope = net.backward(y=np.ones((1, 4000, 1, 2)))["x"]
    assert (slope.sum((2, 3)) == 2).all()  # one place of each window
    assert ((slope * net.blobs["x"].data).sum((2, 3)) == drawn.sum(1)).all()  # the drawn one
    assert not np.array_equal(net.forward()["y"][0, :, 0], drawn)
    net.seek(0)
    assert np.array_equal(net.forward()["y"][0, :, 0], drawn)


def test_stochastic_pooling_means_in_test() -> None:
    x = np.array([[[[1.0, 2, 0, 5, 6], [3, 4, 0, 0, 2]]]])
    (row,) = stochastic(x, netrun.TEST, kernel_size=2, stride=2).forward()["y"][0, 0]
    np.testing.assert_allclose(
        row, [30 / 10, 5, 40 / 8], rtol=1e-6
    )  # squares over sums; the last window is cut off
    zeros = stochastic(np.zeros((1, 1, 2, 2)), netrun.TEST, kernel_size=2)
    assert zeros.forward()["y"].tolist() == [[[[0]]]]


def test_stochastic_pyramid() -> None:
    x = np.random.default_rng(2).random((1, 3, 4, 4))
    words = data("x", *x.shape) + layer(
        "SPP", "x", "y", "spp_param { pyramid_height: 3 pool: STOCHASTIC }"
    )
    train, test = build(words), build(words, netrun.TEST)
    for net in (train, test):
        net.blobs["x"].data[...] = x
    y = train.forward()["y"].reshape(-1)
    assert np.isin(y, x.astype(np.float32)).all()
    np.testing.assert_allclose(
        y[15:], x.reshape(-1), rtol=1e-6
    )  # the finest level has a bin for each value
    np.testing.assert_allclose(
        test.forward()["y"][0, :3], (x**2).sum((0, 2, 3)) / x.sum((0, 2, 3)), rtol=1e-5
    )


def test_a_sought_batch_starts_from_a_zero_state() -> None:
    fields = "recurrent_param { num_output: 3 weight_filler { type: 'xavier' } }"
    net = build(data("x", 2, 1, 2) + data("k", 2, 1) + layer("LSTM", "x k", "y", fields))
    net.blobs["x"].data[...] = 1
    net.blobs["k"].data[...] = 1
    first = net.forward()["y"].copy()
    assert not np.array_equal(net.forward()["y"], first)  # it goes on from where it was
    net.seek(0)
    assert np.array_equal(net.forward()["y"], first)
