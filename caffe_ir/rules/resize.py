"""Layers that change a map's size without weights: Crop and the FSSD forks' Interp."""

from __future__ import annotations

from caffe_ir.rules.checks import (
    axis_of,
    bottom_text,
    check,
    count_blobs,
    legacy,
    not_in_place,
)
from caffe_ir.rules.registry import Facts, Layer, Shapes, rule, shape_text
from ssd_common.errors import LayerError


@rule("Crop")
def crop(layer: Layer, bottoms: Shapes) -> Facts:
    """The top has the first bottom's sizes before `axis`, the second bottom's from there on."""
    count_blobs(layer, bottoms, 2)
    not_in_place(layer)
    shape, target = bottoms
    axis = axis_of(layer, shape, layer.crop_param.axis, "axis")
    second = bottom_text(layer, bottoms, 1)
    lacks = f"{second} lacks axes of {shape_text(shape)}"
    check(len(target) >= len(shape), layer, "bottom", lacks)
    offsets = list(layer.crop_param.offset)
    cropped = len(shape) - axis
    wanted = f"must be given once or for each of {cropped} axes, found {len(offsets)}"
    check(len(offsets) in (0, 1, cropped), layer, "offset", wanted)
    if len(offsets) != cropped:
        offsets = (offsets or [0]) * cropped
    for i, offset in enumerate(offsets, axis):
        fits = offset + target[i] <= shape[i]
        check(
            fits,
            layer,
            "offset",
            f"{offset} + {target[i]} goes past the {shape[i]} of axis {i}",
        )
    return Facts([(*shape[:axis], *target[axis : len(shape)])])


@rule("Interp")
def interp(layer: Layer, bottoms: Shapes) -> Facts:
    """The top is N x C x the size that the fields give.

    The first of these that is set counts: use_blob_size, shrink_factor alone, zoom_factor alone,
    height and width, both factors.
    Source: lzx1413/CAFFE_SSD interp_layer.cpp.
    """
    count_blobs(layer, bottoms, (1, 2))
    param = layer.interp_param
    n, c, *sizes = legacy(layer, bottoms[0])
    check(param.pad_beg <= 0, layer, "pad_beg", "must be 0 or negative (cropping)")
    check(param.pad_end <= 0, layer, "pad_end", "must be 0 or negative (cropping)")
    inner = [size + param.pad_beg + param.pad_end for size in sizes]
    check(
        min(inner) > 0,
        layer,
        "pad_beg",
        f"crops all of a bottom of {shape_text(bottoms[0])}",
    )
    check(param.shrink_factor >= 1, layer, "shrink_factor", "must be 1 or more")
    check(param.zoom_factor >= 1, layer, "zoom_factor", "must be 1 or more")
    if param.use_blob_size:
        check(len(bottoms) == 2, layer, "use_blob_size", "needs a second bottom")
        out = list(legacy(layer, bottoms[1])[2:])
    else:
        out = _interp_size(layer, inner)
    check(
        min(out) > 0,
        layer,
        "height",
        f"the output must not be empty, found {out[0]}x{out[1]}",
    )
    return Facts([(n, c, *out)])


def _interp_size(layer: Layer, inner: list[int]) -> list[int]:
    """Return height and width of Interp's top, by its factors or by its height and width.

    inner: the bottom's height and width without what pad_beg and pad_end crop.
    """
    param = layer.interp_param
    shrinks = param.HasField("shrink_factor")
    zooms = param.HasField("zoom_factor")
    sized = param.HasField("height") and param.HasField("width")
    by_factors = shrinks != zooms or (shrinks and not sized)
    if by_factors:
        # A factor that is not set is 1, which changes nothing.
        shrunk = [(size - 1) // param.shrink_factor + 1 for size in inner]
        return [size + (size - 1) * (param.zoom_factor - 1) for size in shrunk]
    if not sized:
        message = "needs height and width, zoom_factor, shrink_factor or use_blob_size"
        raise LayerError(layer.name, message, "interp_param")
    return [param.height, param.width]
