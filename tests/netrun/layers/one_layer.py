"""A net of one layer over given values, and its slopes by small steps."""

from __future__ import annotations

import numpy as np

import netrun
from tests.netrun.small_nets import build, data, layer


def run(
    type_: str, fields: str = "", phase: int = netrun.TRAIN, tops: str = "y", **bottoms: object
) -> tuple[netrun.Net, list[np.ndarray]]:
    """A net of one layer over these values, after a forward; its tops."""
    arrays = {name: np.asarray(values, np.float32) for name, values in bottoms.items()}
    inputs = "".join(data(name, *values.shape) for name, values in arrays.items())
    net = build(
        "force_backward: true "
        + inputs
        + layer(type_, " ".join(arrays), tops, fields, name="layer"),
        phase,
    )
    net.forward(**arrays)
    return net, [net.blobs[top].data for top in tops.split()]


def slopes(net: netrun.Net, name: str = "x", step: float = 1e-2) -> np.ndarray:
    """The gradient of the sum of top y by small steps of an input's values."""
    values = net.blobs[name].data.copy()
    result = np.zeros(values.shape)
    for i in np.ndindex(values.shape):
        ends = []
        for sign in (1, -1):
            net.blobs[name].data[...] = values
            net.blobs[name].data[i] += sign * step
            net.forward()
            ends.append(float(net.blobs["y"].data.sum(dtype=np.float64)))
        result[i] = (ends[0] - ends[1]) / (2 * step)
    net.blobs[name].data[...] = values
    net.forward()
    return result
