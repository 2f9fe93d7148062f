"""Layers that only rearrange values or throw some away: Reshape, Flatten, Permute, Split, Tile, Reduction, ArgMax, Silence."""

from __future__ import annotations

from collections.abc import Sequence

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules.checks import MANY, axis_of, check, count, count_blobs, not_in_place
from caffe_ir.rules.registry import Facts, Shape, rule, shape_text


@rule("Flatten")
def flatten(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """The axes from axis to end_axis become one."""
    count_blobs(layer, bottoms)
    not_in_place(layer)
    shape, param = bottoms[0], layer.flatten_param
    start, end = axis_of(layer, shape, param.axis, "axis"), axis_of(layer, shape, param.end_axis, "end_axis")
    check(start <= end, layer, "end_axis", f"{end} comes before axis {start}")
    return Facts([(*shape[:start], count(shape[start : end + 1]), *shape[end + 1 :])])


@rule("Reshape")
def reshape(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """num_axes axes from axis on are replaced by `shape`, where 0 copies the bottom's size and one -1 takes what is left."""
    count_blobs(layer, bottoms)
    not_in_place(layer)
    shape, param = bottoms[0], layer.reshape_param
    start = param.axis if param.axis >= 0 else len(shape) + param.axis + 1
    check(0 <= start <= len(shape), layer, "axis", f"{param.axis} is out of range for a bottom of {shape_text(shape)}")
    check(param.num_axes >= -1, layer, "num_axes", "must be 0 or more, or -1 for all that follow")
    end = len(shape) if param.num_axes == -1 else start + param.num_axes
    check(end <= len(shape), layer, "num_axes", f"{param.num_axes} from axis {start} extend past a bottom of {shape_text(shape)}")
    middle = list(param.shape.dim)
    for i, dim in enumerate(middle):
        check(dim >= -1, layer, "shape.dim", f"{dim} is neither a size, 0 nor -1")
        if dim == 0:
            check(start + i < len(shape), layer, "shape.dim", f"0 at place {i} has no axis of the bottom {shape_text(shape)} to copy")
            middle[i] = shape[start + i]
    check(param.shape.dim[:].count(-1) <= 1, layer, "shape.dim", "may hold -1 only once")
    if -1 in param.shape.dim[:]:
        rest = count(shape[:start]) * count(shape[end:]) * -count(middle)
        check(rest and count(shape) % rest == 0, layer, "shape.dim", f"the other sizes ({rest}) do not divide the bottom's {count(shape)}")
        middle[middle.index(-1)] = count(shape) // rest
    top = (*shape[:start], *middle, *shape[end:])
    values, available = count(top), count(shape)
    found = f"{shape_text(top)} holds {values} values, the bottom {shape_text(shape)} {available}"
    check(values == available, layer, "shape.dim", found)
    return Facts([top])


@rule("Permute")
def permute(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """The bottom's axes in `order`; those not named follow in their own order. Source: permute_layer.cpp of SSD."""
    count_blobs(layer, bottoms)
    shape, order = bottoms[0], list(layer.permute_param.order)
    check(all(axis < len(shape) for axis in order), layer, "order", f"names an axis that a bottom of {shape_text(shape)} lacks")
    check(len(set(order)) == len(order), layer, "order", "names an axis twice")
    order += [axis for axis in range(len(shape)) if axis not in order]
    return Facts([tuple(shape[axis] for axis in order)])


@rule("Split")
def split(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """The bottom's shape for every top."""
    count_blobs(layer, bottoms, 1, (1, MANY))
    not_in_place(layer)
    return Facts([bottoms[0]] * len(layer.top))


@rule("Tile")
def tile(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """The bottom's shape, `tiles` times as long along the axis."""
    count_blobs(layer, bottoms)
    shape, tiles = bottoms[0], layer.tile_param.tiles
    axis = axis_of(layer, shape, layer.tile_param.axis, "axis")
    check(tiles > 0, layer, "tiles", "must be specified and positive")
    return Facts([(*shape[:axis], shape[axis] * tiles, *shape[axis + 1 :])])


@rule("Reduction")
def reduction(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """The axes before `axis`; the rest is reduced away."""
    count_blobs(layer, bottoms)
    not_in_place(layer)
    return Facts([bottoms[0][: axis_of(layer, bottoms[0], layer.reduction_param.axis, "axis")]])


@rule("ArgMax")
def argmax(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """With an axis, top_k long along it; without, N x 1 x top_k (N x 2 x top_k with values), and 1s up to the bottom's axes."""
    count_blobs(layer, bottoms)
    shape, param = bottoms[0], layer.argmax_param
    check(shape, layer, "bottom", "takes at least 1 axis, found a scalar")
    axis = axis_of(layer, shape, param.axis, "axis") if param.HasField("axis") else None
    choices = count(shape[1:]) if axis is None else shape[axis]
    check(1 <= param.top_k <= choices, layer, "top_k", f"must lie between 1 and {choices}, found {param.top_k}")
    if axis is not None:
        return Facts([(*shape[:axis], param.top_k, *shape[axis + 1 :])])
    return Facts([(shape[0], 2 if param.out_max_val else 1, param.top_k, *[1] * (len(shape) - 3))])


@rule("Silence")
def silence(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """No top."""
    count_blobs(layer, bottoms, (1, MANY), 0)
    return Facts([])
