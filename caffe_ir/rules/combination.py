"""Layers over several bottoms: Eltwise, Concat, Axpy, BatchReindex, Filter."""

from __future__ import annotations

from itertools import pairwise

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules.checks import (
    MANY,
    axis_of,
    bottom_text,
    check,
    check_bottom,
    count_blobs,
    four_axes,
    not_in_place,
    same_shapes,
)
from caffe_ir.rules.registry import Facts, Layer, Shape, Shapes, rule, shape_text


@rule("Eltwise")
def eltwise(layer: Layer, bottoms: Shapes) -> Facts:
    """The top has the shape that all bottoms have."""
    count_blobs(layer, bottoms, (2, MANY))
    not_in_place(layer)
    coeffs = len(layer.eltwise_param.coeff)
    check(
        coeffs in (0, len(bottoms)),
        layer,
        "coeff",
        f"must be given for each of the {len(bottoms)} bottoms or none, found {coeffs}",
    )
    check(
        not coeffs or layer.eltwise_param.operation != pb.EltwiseParameter.PROD,
        layer,
        "coeff",
        "has no meaning for PROD",
    )
    same_shapes(layer, bottoms)
    return Facts([bottoms[0]])


@rule("Concat")
def concat(layer: Layer, bottoms: Shapes) -> Facts:
    """The top has the bottoms' shape, with the sum of their sizes along the axis."""
    count_blobs(layer, bottoms, (1, MANY))
    axis = _axis_or_dim(layer, bottoms[0], "concat_param", "concat_dim")
    top = list(bottoms[0])
    for name, shape in zip(layer.bottom[1:], bottoms[1:], strict=True):
        others = (*shape[:axis], *shape[axis + 1 :])
        fits = len(shape) == len(top) and others == (*top[:axis], *top[axis + 1 :])
        first = bottom_text(layer, bottoms, 0)
        shapes = f"{first}, '{name}' {shape_text(shape)}"
        check(
            fits,
            layer,
            "bottom",
            f"bottoms may differ only along axis {axis}: {shapes}",
        )
        top[axis] += shape[axis]
    return Facts([tuple(top)])


@rule("Slice")
def slice_(layer: Layer, bottoms: Shapes) -> Facts:
    """Each top has a part of the bottom along the axis: between slice_points, or equal parts."""
    tops = len(layer.top)
    count_blobs(layer, bottoms, 1, (1, MANY))
    axis = _axis_or_dim(layer, bottoms[0], "slice_param", "slice_dim")
    size = bottoms[0][axis]
    points = list(layer.slice_param.slice_point)
    if points:
        check(
            len(points) == tops - 1,
            layer,
            "slice_point",
            f"must be given {tops - 1} times for {tops} tops, found {len(points)}",
        )
        ends = [0, *points, size]
        rising = all(a < b for a, b in pairwise(ends))
        written = ", ".join(map(str, points))
        check(rising, layer, "slice_point", f"{written} must rise between 0 and {size}")
        sizes = [b - a for a, b in pairwise(ends)]
    else:
        check(
            size % tops == 0,
            layer,
            "top",
            f"{tops} tops do not divide the size {size} of axis {axis}",
        )
        sizes = [size // tops] * tops
    before = bottoms[0][:axis]
    after = bottoms[0][axis + 1 :]
    return Facts([(*before, part, *after) for part in sizes])


def _axis_or_dim(layer: Layer, shape: Shape, param_name: str, old: str) -> int:
    """Return the axis of Concat or Slice.

    param_name: the message that holds the field `axis`.
    old: the field's older name, which counts from the front only.
    """
    param = getattr(layer, param_name)
    if not param.HasField(old):
        return axis_of(layer, shape, param.axis, "axis")
    check(not param.HasField("axis"), layer, old, f"give either axis or {old}")
    axis = int(getattr(param, old))
    message = f"{axis} is out of range for a bottom of shape {shape_text(shape)}"
    check(axis < len(shape), layer, old, message)
    return axis


@rule("Axpy")
def axpy(layer: Layer, bottoms: Shapes) -> Facts:
    """The top, a X + Y, has the shape of X.

    Bottoms: a (N x C or N x C x 1 x 1), X and Y (N x C x H x W).
    Source: lzx1413/CAFFE_SSD master.
    """
    count_blobs(layer, bottoms, 3)
    scale, x, y = bottoms
    n, c, _, _ = four_axes(layer, x)
    per_channel = tuple(scale) in ((n, c), (n, c, 1, 1))
    check_bottom(per_channel, layer, bottoms, 0, f"{n}x{c}")
    second = bottom_text(layer, bottoms, 1)
    third = bottom_text(layer, bottoms, 2)
    both = f"{second} and {third}"
    check(tuple(x) == tuple(y), layer, "bottom", f"{both} must be alike")
    return Facts([x])


@rule("BatchReindex")
def batch_reindex(layer: Layer, bottoms: Shapes) -> Facts:
    """The top has the first bottom's items at the indices that the second bottom lists."""
    count_blobs(layer, bottoms, 2)
    check(
        len(bottoms[1]) == 1,
        layer,
        "bottom",
        f"'{layer.bottom[1]}' must have one axis, found {shape_text(bottoms[1])}",
    )
    return Facts([(bottoms[1][0], *bottoms[0][1:])])


@rule("Filter")
def filter_(layer: Layer, bottoms: Shapes) -> Facts:
    """The tops are all bottoms but the last, which selects items.

    Only a run of the net knows how many it selects; the shapes here have all items.
    """
    count_blobs(layer, bottoms, (2, MANY), len(bottoms) - 1)
    selector = bottoms[-1]
    check(
        all(size == 1 for size in selector[1:]),
        layer,
        "bottom",
        f"the selector must be N or Nx1..., found {shape_text(selector)}",
    )
    for index, shape in enumerate(bottoms):
        name = bottom_text(layer, bottoms, index)
        both = f"{name} and the selector {shape_text(selector)}"
        check(shape[:1] == selector[:1], layer, "bottom", f"{both} differ in N")
    return Facts(list(bottoms[:-1]))
