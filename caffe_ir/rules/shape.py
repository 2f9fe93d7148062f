"""Layers that only rearrange values, repeat them or drop some.

Reshape, Flatten, Permute, Split, Tile, Reduction, ArgMax and Silence.
"""

from __future__ import annotations

from caffe_ir.rules.checks import (
    MANY,
    axis_of,
    check,
    check_positive,
    count,
    count_blobs,
    not_in_place,
)
from caffe_ir.rules.registry import Facts, Layer, Shape, Shapes, rule, shape_text


@rule("Flatten")
def flatten(layer: Layer, bottoms: Shapes) -> Facts:
    """The top has one axis in place of the bottom's axes from axis to end_axis."""
    count_blobs(layer, bottoms)
    not_in_place(layer)
    shape = bottoms[0]
    param = layer.flatten_param
    start = axis_of(layer, shape, param.axis, "axis")
    end = axis_of(layer, shape, param.end_axis, "end_axis")
    check(start <= end, layer, "end_axis", f"{end} comes before axis {start}")
    flat = count(shape[start : end + 1])
    return Facts([(*shape[:start], flat, *shape[end + 1 :])])


@rule("Reshape")
def reshape(layer: Layer, bottoms: Shapes) -> Facts:
    """The top has `shape` in place of num_axes axes of the bottom, from axis on.

    In `shape`, 0 copies the bottom's size, and one -1 takes the size that keeps the count.
    """
    count_blobs(layer, bottoms)
    not_in_place(layer)
    shape = bottoms[0]
    start, end = _replaced(layer, shape)
    middle = _copied(layer, shape, start)
    available = count(shape)
    if -1 in layer.reshape_param.shape.dim[:]:
        rest = count(shape[:start]) * count(shape[end:]) * -count(middle)
        divides = rest and available % rest == 0
        message = f"the other sizes ({rest}) do not divide the bottom's {available}"
        check(divides, layer, "shape.dim", message)
        middle[middle.index(-1)] = available // rest
    top = (*shape[:start], *middle, *shape[end:])
    values = count(top)
    holds = f"{shape_text(top)} holds {values} values"
    found = f"{holds}, the bottom {shape_text(shape)} {available}"
    check(values == available, layer, "shape.dim", found)
    return Facts([top])


def _replaced(layer: Layer, shape: Shape) -> tuple[int, int]:
    """Return the first axis that Reshape replaces, and the one after the last."""
    param = layer.reshape_param
    start = param.axis
    if start < 0:
        start += len(shape) + 1
    message = f"{param.axis} is out of range for a bottom of {shape_text(shape)}"
    check(0 <= start <= len(shape), layer, "axis", message)
    check(
        param.num_axes >= -1,
        layer,
        "num_axes",
        "must be 0 or more, or -1 for all that follow",
    )
    if param.num_axes == -1:
        return start, len(shape)
    end = start + param.num_axes
    message = f"{param.num_axes} from axis {start} extend past a bottom of {shape_text(shape)}"
    check(end <= len(shape), layer, "num_axes", message)
    return start, end


def _copied(layer: Layer, shape: Shape, start: int) -> list[int]:
    """Return the sizes that Reshape gives; for each 0, the bottom's, from axis start on."""
    sizes = list(layer.reshape_param.shape.dim)
    minus_ones = sizes.count(-1)
    for i, dim in enumerate(sizes):
        check(dim >= -1, layer, "shape.dim", f"{dim} is neither a size, 0 nor -1")
        if dim == 0:
            message = f"0 at place {i} has no axis of the bottom {shape_text(shape)} to copy"
            check(start + i < len(shape), layer, "shape.dim", message)
            sizes[i] = shape[start + i]
    check(minus_ones <= 1, layer, "shape.dim", "may hold -1 only once")
    return sizes


@rule("Permute")
def permute(layer: Layer, bottoms: Shapes) -> Facts:
    """The top has the bottom's axes in `order`; the axes that it omits follow in their own order.

    Source: weiliu89/caffe permute_layer.cpp.
    """
    count_blobs(layer, bottoms)
    shape = bottoms[0]
    order = list(layer.permute_param.order)
    known = all(axis < len(shape) for axis in order)
    lacks = f"names an axis that a bottom of {shape_text(shape)} lacks"
    check(known, layer, "order", lacks)
    check(len(set(order)) == len(order), layer, "order", "names an axis twice")
    order += [axis for axis in range(len(shape)) if axis not in order]
    return Facts([tuple(shape[axis] for axis in order)])


@rule("Split")
def split(layer: Layer, bottoms: Shapes) -> Facts:
    """Each top has the bottom's shape."""
    count_blobs(layer, bottoms, 1, (1, MANY))
    not_in_place(layer)
    return Facts([bottoms[0]] * len(layer.top))


@rule("Tile")
def tile(layer: Layer, bottoms: Shapes) -> Facts:
    """The top has the bottom's shape, `tiles` times as long along the axis."""
    count_blobs(layer, bottoms)
    shape = bottoms[0]
    tiles = layer.tile_param.tiles
    axis = axis_of(layer, shape, layer.tile_param.axis, "axis")
    check_positive(layer, "tiles", tiles)
    return Facts([(*shape[:axis], shape[axis] * tiles, *shape[axis + 1 :])])


@rule("Reduction")
def reduction(layer: Layer, bottoms: Shapes) -> Facts:
    """The top has the axes before `axis`; Reduction reduces the others to one value."""
    count_blobs(layer, bottoms)
    not_in_place(layer)
    shape = bottoms[0]
    axis = axis_of(layer, shape, layer.reduction_param.axis, "axis")
    return Facts([shape[:axis]])


@rule("ArgMax")
def argmax(layer: Layer, bottoms: Shapes) -> Facts:
    """The top has top_k values along the axis, or, without an axis, for each image.

    Without an axis it is N x 1 x top_k, or N x 2 x top_k with out_max_val, and has a 1 for each
    further axis of the bottom.
    """
    count_blobs(layer, bottoms)
    shape = bottoms[0]
    param = layer.argmax_param
    check(shape, layer, "bottom", "takes at least 1 axis, found a scalar")
    if param.HasField("axis"):
        axis = axis_of(layer, shape, param.axis, "axis")
        _check_top_k(layer, shape[axis])
        return Facts([(*shape[:axis], param.top_k, *shape[axis + 1 :])])
    _check_top_k(layer, count(shape[1:]))
    rows = 2 if param.out_max_val else 1
    return Facts([(shape[0], rows, param.top_k, *[1] * (len(shape) - 3))])


def _check_top_k(layer: Layer, choices: int) -> None:
    """Check that ArgMax's top_k is at least 1 and at most the number of choices."""
    top_k = layer.argmax_param.top_k
    wanted = f"must lie between 1 and {choices}, found {top_k}"
    check(1 <= top_k <= choices, layer, "top_k", wanted)


@rule("Silence")
def silence(layer: Layer, bottoms: Shapes) -> Facts:
    """The layer has no top."""
    count_blobs(layer, bottoms, (1, MANY), 0)
    return Facts([])
