"""The upsampling of stock layers is nearest neighbour, exactly."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import netrun
from netgen.blocks.resize import upsample_nearest
from netgen.graph import Net

TYPES = {  # layers that it takes, the largest map in between
    (19, 38): ["Deconvolution"],
    (1, 3): ["Deconvolution"],
    (3, 5): ["Deconvolution", "Crop"],
    (13, 25): ["Deconvolution", "Crop"],
    (7, 13): ["Deconvolution", "Crop"],
    (5, 7): ["Deconvolution", "Convolution"],  # 0 0 1 2 2 3 4, not 0 0 1 1 2 2 3
    (4, 6): ["Deconvolution", "Convolution"],
    (7, 5): ["Deconvolution", "Convolution"],
    (6, 3): ["Convolution"],
    (4, 4): [],
}


def upsampled(
    before: tuple[int, int], after: tuple[int, int]
) -> tuple[Net, np.ndarray, np.ndarray]:
    net = Net("n", "deploy")
    x = net.input("x", (2, 3, *before))
    like = net.input("like", (2, 3, *after))
    y = upsample_nearest(net, "y", x, like)
    assert y.shape == (2, 3, *after)
    if y == x:
        y = net.add("Power", "y", x)
    engine = netrun.Net(net.proto, netrun.TEST)
    value = np.random.default_rng(0).standard_normal(x.shape, dtype=np.float32)
    engine.blobs["x"].data[...] = value
    engine.forward()
    return net, value, engine.blobs["y"].data


@pytest.mark.parametrize(("before", "after"), [*TYPES, (5, 1), (11, 22), (2, 9), (9, 4)])
def test_equals_interpolate(before: int, after: int) -> None:
    """Square maps, beside the index arithmetic ⌊t·n/m⌋ and the function that the authors call."""
    net, x, y = upsampled((before, before), (after, after))
    at = np.arange(after) * before // after
    assert np.array_equal(y, x[:, :, at][..., at])
    nearest = F.interpolate(torch.from_numpy(x), size=(after, after), mode="nearest")
    assert np.array_equal(y, nearest.numpy())
    if (before, after) in TYPES:
        own = [layer.type for layer in net.proto.layer if layer.name.startswith("y")]
        assert [type for type in own if type != "Power"] == TYPES[before, after]


@pytest.mark.parametrize(
    ("before", "after"),
    [((5, 9), (7, 9)), ((3, 4), (5, 8)), ((1, 5), (3, 7)), ((6, 2), (6, 4)), ((9, 5), (17, 10))],
)
def test_axes_apart(before: tuple[int, int], after: tuple[int, int]) -> None:
    _, x, y = upsampled(before, after)
    rows = np.arange(after[0]) * before[0] // after[0]
    columns = np.arange(after[1]) * before[1] // after[1]
    assert np.array_equal(y, x[:, :, rows][..., columns])
