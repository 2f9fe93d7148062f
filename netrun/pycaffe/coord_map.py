"""Maps a blob's pixels to another blob of the same NetSpec: pycaffe's coord_map.

`crop` cuts one blob to the other. A mapping is (axis, scale, shift): from the axis on, coordinate x
of one blob is coordinate scale * x + shift of the other. Axis None means all axes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from netrun.pycaffe.net_spec import Function, Top, layers

Map = tuple[int | None, Any, Any]
IDENTITY: Map = (None, 1, 0)
PASS_THROUGH = (
    "AbsVal",
    "BatchNorm",
    "Bias",
    "BNLL",
    "Dropout",
    "Eltwise",
    "ELU",
    "Log",
    "LRN",
    "Exp",
    "MVN",
    "Power",
    "ReLU",
    "ReLU6",
    "PReLU",
    "Scale",
    "Sigmoid",
    "Split",
    "TanH",
    "Threshold",
)
_WINDOWS = (
    "Convolution",
    "ConvolutionDepthwise",
    "DepthwiseConvolution",
    "Deconvolution",
    "Im2col",
    "Pooling",
)
_SIZES_BY_AXIS = {"pad_h", "pad_w", "kernel_h", "kernel_w", "stride_h", "stride_w"}


class UndefinedMapException(Exception):
    """The layer mixes coordinates."""


class AxisMismatchException(Exception):
    """Two layers' mappings start at different axes."""


def coord_map(fn: Function) -> Map:
    """Return the mapping from a layer's top to its bottom.

    Raises UndefinedMapException for a type that has no such mapping.
    """
    if fn.type_name in _WINDOWS:
        return _window_map(fn)
    if fn.type_name == "Crop":
        given = fn.params.get("crop_param", fn.params)
        offset = np.array(given.get("offset", 0), ndmin=1)
        return given.get("axis", 2) - 1, 1, -offset
    if fn.type_name in PASS_THROUGH:
        return IDENTITY
    raise UndefinedMapException(fn.type_name)


def _window_map(fn: Function) -> Map:
    """The mapping of a layer that moves a window over its bottom."""
    given = fn.params.get("convolution_param", fn.params)
    assert not _SIZES_BY_AXIS & set(fn.params), "give sizes without _h, _w"
    stride = _sizes(given, "stride", 1)
    pad = _sizes(given, "pad", 0)
    dilation = _sizes(given, "dilation", 1)
    margin = (np.array(given["kernel_size"], ndmin=1) - 1) * dilation / 2
    axis = given.get("axis", 1)
    if fn.type_name == "Deconvolution":
        return axis, stride, margin - pad
    return axis, 1 / stride, (pad - margin) / stride


def _sizes(given: Mapping[str, Any], field: str, default: int) -> np.ndarray:
    return np.array(given.get(field, default), ndmin=1)


def compose(base: Map, following: Map) -> Map:
    """Return the mapping that applies `following` first, then `base`.

    Raises AxisMismatchException where both name an axis, and the axes differ.
    """
    ax1, a1, b1 = base
    ax2, a2, b2 = following
    axis = ax1
    if ax1 is None:
        axis = ax2
    elif ax2 is not None and ax1 != ax2:
        raise AxisMismatchException(f"axes {ax1} and {ax2}")
    return axis, a1 * a2, a1 * b2 + b1


def inverse(mapping: Map) -> Map:
    """Return the mapping in the other direction."""
    ax, a, b = mapping
    return ax, 1 / a, -b / a


def _walk(start: Top, seen: Callable[[Top, Map], bool]) -> bool:
    """Visit the tops from which a top is computed, each with the mapping to it.

    Returns True as soon as `seen` does, else False.
    """
    to_visit: list[tuple[Top, Map]] = [(start, IDENTITY)]
    while to_visit:
        top, way = to_visit.pop()
        if seen(top, way):
            return True
        bottoms = top.fn.inputs
        if not bottoms:
            continue
        try:
            step = coord_map(top.fn)
        except UndefinedMapException:
            continue
        if top.fn.type_name == "Crop":
            bottoms = bottoms[:1]
        to_visit += [(bottom, compose(way, step)) for bottom in bottoms]
    return False


def coord_map_from_to(top_from: Top, top_to: Top) -> Map:
    """Return the mapping from one top's coordinates to another's.

    The mapping goes through a blob from which both tops are computed.
    Raises RuntimeError where there is no such blob.
    """
    ways: dict[Top, Map] = {}
    found: list[Map] = []

    def note(top: Top, way: Map) -> bool:
        ways.setdefault(top, way)
        return False

    def meet(top: Top, way: Map) -> bool:
        if top in ways:
            found.append(compose(way, inverse(ways[top])))
        return top in ways

    _walk(top_from, note)
    if not _walk(top_to, meet):
        raise RuntimeError("no mapping between the tops: no chain of spatial layers connects them")
    return found[0]


def crop(top_from: Top, top_to: Top) -> Top:
    """Add a Crop layer that cuts `top_from` to the place and size of `top_to`.

    Asserts equal scales and whole, non-negative offsets.
    """
    ax, a, b = coord_map_from_to(top_from, top_to)
    assert (np.asarray(a) == 1).all(), f"scale mismatch on crop (a = {a})"
    assert (np.asarray(b) <= 0).all(), f"cannot crop negative offset (b = {b})"
    assert (np.round(b) == b).all(), f"cannot crop noninteger offset (b = {b})"
    offset = [int(n) for n in np.ravel(-np.round(b))]
    crop_param = {"axis": (ax or 0) + 1, "offset": offset}
    return layers.Crop(top_from, top_to, crop_param=crop_param)
