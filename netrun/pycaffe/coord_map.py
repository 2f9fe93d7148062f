"""Where a blob's pixels lie in another blob of the same NetSpec: pycaffe's coord_map, which crops one to the other.

A mapping is (axis, scale, shift): from the axis on, coordinate x of the one is scale * x + shift of the other; axis None: all axes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from netrun.pycaffe.net_spec import Function, Top, layers

Map = tuple[int | None, Any, Any]
IDENTITY: Map = (None, 1, 0)
PASS_THROUGH = (
    *("AbsVal", "BatchNorm", "Bias", "BNLL", "Dropout", "Eltwise", "ELU", "Log", "LRN", "Exp", "MVN"),
    *("Power", "ReLU", "PReLU", "Scale", "Sigmoid", "Split", "TanH", "Threshold"),
)


class UndefinedMapException(Exception):
    """The layer mixes coordinates."""


class AxisMismatchException(Exception):
    """Two layers map from different axes on."""


def coord_map(fn: Function) -> Map:
    """From a layer's top to its bottom. Raises UndefinedMapException for a type that has no such mapping."""
    if fn.type_name in ("Convolution", "Deconvolution", "Im2col", "Pooling"):
        given = fn.params.get("convolution_param", fn.params)
        assert not {f"{what}_{side}" for what in ("pad", "kernel", "stride") for side in "hw"} & set(fn.params), "give sizes without _h, _w"
        stride, pad, dilation = (np.array(given.get(n, d), ndmin=1) for n, d in (("stride", 1), ("pad", 0), ("dilation", 1)))
        margin = (np.array(given["kernel_size"], ndmin=1) - 1) * dilation / 2
        if fn.type_name == "Deconvolution":
            return given.get("axis", 1), stride, margin - pad
        return given.get("axis", 1), 1 / stride, (pad - margin) / stride
    if fn.type_name == "Crop":
        given = fn.params.get("crop_param", fn.params)
        return given.get("axis", 2) - 1, 1, -np.array(given.get("offset", 0), ndmin=1)
    if fn.type_name in PASS_THROUGH:
        return IDENTITY
    raise UndefinedMapException(fn.type_name)


def compose(base: Map, following: Map) -> Map:
    """First `following`, then `base`. Raises AxisMismatchException."""
    (ax1, a1, b1), (ax2, a2, b2) = base, following
    if ax1 is not None and ax2 is not None and ax1 != ax2:
        raise AxisMismatchException(f"axes {ax1} and {ax2}")
    return ax2 if ax1 is None else ax1, a1 * a2, a1 * b2 + b1


def inverse(mapping: Map) -> Map:
    ax, a, b = mapping
    return ax, 1 / a, -b / a


def _walk(start: Top, seen: Callable[[Top, Map], bool]) -> bool:
    """Visit what a top is computed from, with the way there; True as soon as `seen` says so."""
    open_: list[tuple[Top, Map]] = [(start, IDENTITY)]
    while open_:
        top, way = open_.pop()
        if seen(top, way):
            return True
        try:
            step = coord_map(top.fn) if top.fn.inputs else IDENTITY
        except UndefinedMapException:
            continue
        bottoms = top.fn.inputs[:1] if top.fn.type_name == "Crop" else top.fn.inputs
        open_ += [(bottom, compose(way, step)) for bottom in bottoms]
    return False


def coord_map_from_to(top_from: Top, top_to: Top) -> Map:
    """From one top's coordinates to another's, over what both are computed from. Raises RuntimeError where there is nothing."""
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
    """A Crop layer that cuts `top_from` to where `top_to` lies. Asserts equal scales and whole, non-negative offsets."""
    ax, a, b = coord_map_from_to(top_from, top_to)
    assert (np.asarray(a) == 1).all(), f"scale mismatch on crop (a = {a})"
    assert (np.asarray(b) <= 0).all(), f"cannot crop negative offset (b = {b})"
    assert (np.round(b) == b).all(), f"cannot crop noninteger offset (b = {b})"
    offset = [int(n) for n in np.ravel(-np.round(b))]
    return layers.Crop(top_from, top_to, crop_param={"axis": (0 if ax is None else ax) + 1, "offset": offset})
