"""What new parameters are filled with. Every parameter has a generator of its own, so no filling depends on another."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.random import Generator, Philox  # here: NumPy loads them when they are asked for, and Ctrl-C must not come between

from caffe_ir import caffe_ir_pb2 as pb
from ssd_common.errors import CaffeError
from ssd_common.suggest import suggest

TYPES = ("constant", "uniform", "gaussian", "positive_unitball", "xavier", "msra", "bilinear")


def generator(seed: int, key: str) -> Generator:
    """The stream of random numbers of this seed and key (for a parameter: "layer/index")."""
    return Generator(Philox(key=[seed % 2**64, zlib.crc32(key.encode())]))


def _fan(filler: pb.FillerParameter, shape: Sequence[int]) -> float:
    """Connections that a variance is divided over: fan in, fan out or their average, counted as Caffe counts them."""
    count = math.prod(shape)
    fan_in = count // (shape[0] if shape else 1)
    fan_out = count // (shape[1] if len(shape) > 1 else 1)
    return {filler.FAN_IN: fan_in, filler.FAN_OUT: fan_out, filler.AVERAGE: (fan_in + fan_out) / 2}[filler.variance_norm]


def _bilinear(shape: Sequence[int]) -> np.ndarray:
    """The kernel that makes a Deconvolution of stride ceil(width / 2) interpolate, the same for every channel."""
    if len(shape) != 4 or shape[2] != shape[3]:
        raise CaffeError(f"filler 'bilinear' needs square filters (4 axes), not shape {tuple(shape)}")
    f = math.ceil(shape[3] / 2)
    c = (2 * f - 1 - f % 2) / (2 * f)
    line = 1 - np.abs(np.arange(shape[3]) / f - c)
    return np.broadcast_to(np.outer(line, line), shape)


def fill(filler: pb.FillerParameter | None, shape: Sequence[int], seed: int = 0, key: str = "") -> np.ndarray:
    """A new float32 array of this shape, filled as the filler says (None: zeros).

    The same seed and key give the same array, whatever was filled before. Raises CaffeError for a filler that Caffe has not,
    for `sparse` with any but gaussian, and for a bilinear filler of filters that are not square.
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


def _drawn(filler: pb.FillerParameter, shape: Sequence[int], random: np.random.Generator) -> np.ndarray:
    """An array by one of the fillers that draw random numbers."""
    kind = filler.type
    if kind == "uniform":
        return random.uniform(filler.min, filler.max, shape).astype(np.float32)
    if kind == "xavier":
        scale = math.sqrt(3 / _fan(filler, shape))
        return random.uniform(-scale, scale, shape).astype(np.float32)
    if kind == "msra":
        return random.standard_normal(shape, np.float32) * np.float32(math.sqrt(2 / _fan(filler, shape)))
    if kind == "positive_unitball":
        values = random.uniform(0, 1, shape)
        return (values / values.sum(tuple(range(1, len(shape))), keepdims=True)).astype(np.float32)
    values = random.standard_normal(shape, np.float32) * np.float32(filler.std) + np.float32(filler.mean)
    if filler.sparse >= 0:
        values *= random.random(shape) < filler.sparse / shape[0]
    return values
