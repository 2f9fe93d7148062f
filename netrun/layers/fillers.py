"""Fills new parameters.

Every parameter has a generator of its own, so no filling depends on another.
Source: weiliu89/caffe (ssd), include/caffe/filler.hpp.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

import numpy as np

# NumPy loads these on first use. Use them now, so that Ctrl-C cannot interrupt the load later.
from numpy.random import Generator, Philox

from caffe_ir import caffe_ir_pb2 as pb
from ssd_common.errors import CaffeError
from ssd_common.suggest import suggest

TYPES = (
    "constant",
    "uniform",
    "gaussian",
    "positive_unitball",
    "xavier",
    "msra",
    "bilinear",
)


def generator(seed: int, key: str) -> Generator:
    """The random generator of a seed and a key (for a parameter: "layer/index")."""
    number = zlib.crc32(key.encode())
    return Generator(Philox(key=[seed % 2**64, number]))


def _fan(filler: pb.FillerParameter, shape: Sequence[int]) -> float:
    """The count of connections by which Caffe divides a variance: fan in, fan out or their mean."""
    count = math.prod(shape)
    fan_in = count // math.prod(shape[:1])
    fan_out = count // math.prod(shape[1:2])
    fans = {
        filler.FAN_IN: fan_in,
        filler.FAN_OUT: fan_out,
        filler.AVERAGE: (fan_in + fan_out) / 2,
    }
    return fans[filler.variance_norm]


def _bilinear(shape: Sequence[int]) -> np.ndarray:
    """The kernel that makes a Deconvolution of stride ceil(width / 2) interpolate.

    It is the same for every channel.
    """
    if len(shape) != 4 or shape[2] != shape[3]:
        what = f"needs square filters (4 axes), not shape {tuple(shape)}"
        raise CaffeError(f"filler 'bilinear' {what}")
    f = math.ceil(shape[3] / 2)
    c = (2 * f - 1 - f % 2) / (2 * f)
    line = 1 - np.abs(np.arange(shape[3]) / f - c)
    return np.broadcast_to(np.outer(line, line), shape)


def fill(
    filler: pb.FillerParameter | None,
    shape: Sequence[int],
    seed: int = 0,
    key: str = "",
) -> np.ndarray:
    """Make a float32 array of this shape, filled as the filler says (None: zeros).

    The same seed and key always give the same array.
    Raises CaffeError for a filler that Caffe lacks, for `sparse` with a filler other than gaussian,
    and for a bilinear filler of filters that are not square.
    """
    filler = filler or pb.FillerParameter()
    shape = tuple(shape)
    kind = filler.type
    if kind not in TYPES:
        raise CaffeError(f"unknown filler type '{kind}'{suggest(kind, TYPES)}")
    if filler.sparse != -1 and kind != "gaussian":
        raise CaffeError(f"filler '{kind}' cannot be sparse: only 'gaussian' can")
    if kind == "constant":
        return np.full(shape, filler.value, np.float32)
    if kind == "bilinear":
        return _bilinear(shape).astype(np.float32)
    return _drawn(filler, shape, generator(seed, key))


def _drawn(
    filler: pb.FillerParameter,
    shape: Sequence[int],
    random: Generator,
) -> np.ndarray:
    """An array from one of the fillers that draw random numbers."""
    kind = filler.type
    if kind == "uniform":
        return random.uniform(filler.min, filler.max, shape).astype(np.float32)
    if kind == "xavier":
        scale = math.sqrt(3 / _fan(filler, shape))
        return random.uniform(-scale, scale, shape).astype(np.float32)
    if kind == "msra":
        deviation = np.float32(math.sqrt(2 / _fan(filler, shape)))
        return random.standard_normal(shape, np.float32) * deviation
    if kind == "positive_unitball":
        values = random.uniform(0, 1, shape)
        sums = values.sum(tuple(range(1, len(shape))), keepdims=True)
        return (values / sums).astype(np.float32)
    return _gaussian(filler, shape, random)


def _gaussian(
    filler: pb.FillerParameter,
    shape: Sequence[int],
    random: Generator,
) -> np.ndarray:
    values = random.standard_normal(shape, np.float32)
    values = values * np.float32(filler.std)
    values = values + np.float32(filler.mean)
    if filler.sparse >= 0:
        values *= random.random(shape) < filler.sparse / shape[0]
    return values
