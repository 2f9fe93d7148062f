"""Layers over several bottoms: Eltwise, Concat, Axpy, BatchReindex, Filter."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules.checks import MANY, axis_of, bottom_text, check, count_blobs, four_axes, not_in_place, same_shapes
from caffe_ir.rules.registry import Facts, Shape, rule, shape_text


@rule("Eltwise")
def eltwise(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """The shape that all bottoms have."""
    count_blobs(layer, bottoms, (2, MANY))
    not_in_place(layer)
    coeffs = len(layer.eltwise_param.coeff)
    check(coeffs in (0, len(bottoms)), layer, "coeff", f"must be given for each of the {len(bottoms)} bottoms or none, found {coeffs}")
    check(not coeffs or layer.eltwise_param.operation != pb.EltwiseParameter.PROD, layer, "coeff", "has no meaning for PROD")
    same_shapes(layer, bottoms)
    return Facts([bottoms[0]])


@rule("Concat")
def concat(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """The bottoms' shape, their sizes along the axis added."""
    count_blobs(layer, bottoms, (1, MANY))
    axis = _axis_or_dim(layer, bottoms[0], "concat_param", "concat_dim")
    top = list(bottoms[0])
    for name, shape in zip(layer.bottom[1:], bottoms[1:], strict=True):
        fits = len(shape) == len(top) and (*shape[:axis], *shape[axis + 1 :]) == (*top[:axis], *top[axis + 1 :])
        shapes = f"{bottom_text(layer, bottoms, 0)}, '{name}' {shape_text(shape)}"
        check(fits, layer, "bottom", f"bottoms may differ only along axis {axis}: {shapes}")
        top[axis] += shape[axis]
    return Facts([tuple(top)])


@rule("Slice")
def slice_(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """One top per stretch between slice_points along the axis, or equal stretches."""
    tops = len(layer.top)
    count_blobs(layer, bottoms, 1, (1, MANY))
    axis = _axis_or_dim(layer, bottoms[0], "slice_param", "slice_dim")
    size, points = bottoms[0][axis], list(layer.slice_param.slice_point)
    if points:
        check(len(points) == tops - 1, layer, "slice_point", f"must be given {tops - 1} times for {tops} tops, found {len(points)}")
        ends = [0, *points, size]
        rising = all(a < b for a, b in pairwise(ends))
        check(rising, layer, "slice_point", f"{', '.join(map(str, points))} must rise between 0 and {size}")
        sizes = [b - a for a, b in pairwise(ends)]
    else:
        check(size % tops == 0, layer, "top", f"{tops} tops do not divide the size {size} of axis {axis}")
        sizes = [size // tops] * tops
    return Facts([(*bottoms[0][:axis], part, *bottoms[0][axis + 1 :]) for part in sizes])


def _axis_or_dim(layer: pb.LayerParameter, shape: Shape, param_name: str, old: str) -> int:
    """The axis of Concat or Slice, which has an older name that counts from the front only."""
    param = getattr(layer, param_name)
    if not param.HasField(old):
        return axis_of(layer, shape, param.axis, "axis")
    check(not param.HasField("axis"), layer, old, f"give either axis or {old}")
    check(getattr(param, old) < len(shape), layer, old, f"{getattr(param, old)} is out of range for a bottom of shape {shape_text(shape)}")
    return int(getattr(param, old))


@rule("Axpy")
def axpy(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """a (N x C or N x C x 1 x 1), X and Y (N x C x H x W) -> a X + Y. Source: lzx1413/CAFFE_SSD master."""
    count_blobs(layer, bottoms, 3)
    scale, x, y = bottoms
    n, c, _, _ = four_axes(layer, x)
    check(tuple(scale) in ((n, c), (n, c, 1, 1)), layer, "bottom", f"'{layer.bottom[0]}' must be {n}x{c}, found {shape_text(scale)}")
    both = f"{bottom_text(layer, bottoms, 1)} and {bottom_text(layer, bottoms, 2)}"
    check(tuple(x) == tuple(y), layer, "bottom", f"{both} must be alike")
    return Facts([x])


@rule("BatchReindex")
def batch_reindex(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """As many items of the first bottom as the second, a list, names."""
    count_blobs(layer, bottoms, 2)
    check(len(bottoms[1]) == 1, layer, "bottom", f"'{layer.bottom[1]}' must have one axis, found {shape_text(bottoms[1])}")
    return Facts([(bottoms[1][0], *bottoms[0][1:])])


@rule("Filter")
def filter_(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """All but the last bottom, of which the last selects items; how many is known only when it runs, so the most is given."""
    count_blobs(layer, bottoms, (2, MANY), len(bottoms) - 1)
    selector = bottoms[-1]
    check(all(size == 1 for size in selector[1:]), layer, "bottom", f"the selector must be N or Nx1..., found {shape_text(selector)}")
    for index, shape in enumerate(bottoms):
        both = f"{bottom_text(layer, bottoms, index)} and the selector {shape_text(selector)}"
        check(shape[:1] == selector[:1], layer, "bottom", f"{both} differ in N")
    return Facts(list(bottoms[:-1]))
