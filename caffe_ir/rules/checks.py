"""Checks and arithmetic that several rules share.

Each check raises LayerError with the layer and, if one is wrong, the field.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from google.protobuf.message import Message

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules.registry import Layer, Param, Shape, Shapes, shape_text
from ssd_common.errors import LayerError
from ssd_common.suggest import suggest

FILLERS = (
    "constant",
    "gaussian",
    "positive_unitball",
    "uniform",
    "xavier",
    "msra",
    "bilinear",
)
MANY = 1 << 30  # stands for no upper limit


def count_blobs(
    layer: Layer,
    bottoms: Shapes,
    bottom: int | tuple[int, int] = 1,
    top: int | tuple[int, int] = 1,
) -> None:
    """Refuse a layer that has too few or too many bottoms or tops.

    bottom, top: the number that the layer takes, or (least, most).
    """
    for kind, found, wanted in (
        ("bottom", len(bottoms), bottom),
        ("top", len(layer.top), top),
    ):
        if isinstance(wanted, tuple):
            least, most = wanted
        else:
            least = most = wanted
        if not least <= found <= most:
            takes = f"{layer.type} takes {_range_text(least, most, kind)}"
            raise LayerError(layer.name, f"{takes}, found {found}", kind)


def _range_text(least: int, most: int, kind: str) -> str:
    """Write how many blobs of a kind a layer takes: `1 bottom`, `2 to 3 bottoms`."""
    if least == most:
        text = f"{least} {kind}"
    elif most == MANY:
        text = f"at least {least} {kind}"
    else:
        text = f"{least} to {most} {kind}"
    single = most == 1 or (most == MANY and least == 1)
    return text if single else f"{text}s"


def check(ok: object, layer: Layer, field: str | None, message: str) -> None:
    """Raise LayerError with this field and message unless ok is true."""
    if not ok:
        raise LayerError(layer.name, message, field)


def check_positive(layer: Layer, field: str, value: int) -> None:
    """Raise LayerError unless the value of a field is above 0."""
    check(value > 0, layer, field, "must be specified and positive")


def check_two_axes(layer: Layer, shape: Shape) -> None:
    """Raise LayerError for a bottom of this shape that has no axis of channels."""
    check(len(shape) >= 2, layer, "bottom", f"takes at least 2 axes, found {shape_text(shape)}")


def check_bottom(ok: object, layer: Layer, bottoms: Shapes, index: int, wanted: str) -> None:
    """Raise LayerError unless ok is true, with the shape that this bottom should have."""
    found = shape_text(bottoms[index])
    name = layer.bottom[index]
    check(ok, layer, "bottom", f"'{name}' must be {wanted}, found {found}")


def bottom_text(layer: Layer, bottoms: Shapes, index: int) -> str:
    """Name a bottom for messages: `'data' 2x3x300x300`."""
    return f"'{layer.bottom[index]}' {shape_text(bottoms[index])}"


def axis_of(layer: Layer, shape: Shape, axis: int, field: str) -> int:
    """Return a field's axis counted from the front; in the field, -1 is the last axis.

    Raises LayerError for an axis that the shape lacks.
    """
    if not -len(shape) <= axis < len(shape):
        message = f"axis {axis} is out of range for a bottom of shape {shape_text(shape)}"
        raise LayerError(layer.name, message, field)
    return axis % len(shape)


def legacy(layer: Layer, shape: Shape) -> tuple[int, int, int, int]:
    """Return num, channels, height, width of a shape with at most 4 axes, 1 for missing ones."""
    if len(shape) > 4:
        message = f"takes at most 4 axes, found {shape_text(shape)}"
        raise LayerError(layer.name, message, "bottom")
    n, c, h, w = (*shape, 1, 1, 1, 1)[:4]
    return n, c, h, w


def four_axes(layer: Layer, shape: Shape) -> tuple[int, int, int, int]:
    """Return num, channels, height, width of a shape that must have all four."""
    if len(shape) != 4:
        message = f"takes a bottom of 4 axes (N x C x H x W), found {shape_text(shape)}"
        raise LayerError(layer.name, message, "bottom")
    n, c, h, w = shape
    return n, c, h, w


def same_shapes(layer: Layer, bottoms: Shapes) -> None:
    """Refuse bottoms of different shapes."""
    for name, shape in zip(layer.bottom, bottoms, strict=True):
        if tuple(shape) != tuple(bottoms[0]):
            first = bottom_text(layer, bottoms, 0)
            shapes = f"{first}, '{name}' {shape_text(shape)}"
            message = f"bottoms must have the same shape: {shapes}"
            raise LayerError(layer.name, message, "bottom")


def not_in_place(layer: Layer) -> None:
    """Refuse a top that is also the bottom."""
    if layer.bottom and layer.bottom[0] in layer.top:
        both = f"its bottom and its top are both '{layer.bottom[0]}'"
        message = f"{layer.type} cannot work in place: {both}"
        raise LayerError(layer.name, message, "top")


def learned(
    layer: Layer, shape: Sequence[int], param: Message, field: str, default: float = 0
) -> Param:
    """Return a learnable parameter blob.

    param, field: the message and its field that holds the filler.
    default: the value that fills the blob where the field is not set.
    Raises LayerError for a filler that does not exist or cannot fill this shape.
    """
    filler: pb.FillerParameter = getattr(param, field)
    if not param.HasField(field):
        if not default:
            return Param(tuple(shape))
        constant = pb.FillerParameter(type="constant", value=default)
        return Param(tuple(shape), constant)
    if filler.type not in FILLERS:
        hint = suggest(filler.type, FILLERS)
        message = f"unknown filler '{filler.type}'{hint}"
        raise LayerError(layer.name, message, f"{field}.type")
    square = len(shape) == 4 and shape[2] == shape[3]
    if filler.type == "bilinear" and not square:
        kernels = "a bilinear filler takes square 2-D kernels"
        message = f"{kernels}, found a blob of {shape_text(shape)}"
        raise LayerError(layer.name, message, field)
    return Param(tuple(shape), filler)


def count(shape: Sequence[int]) -> int:
    """Return the number of values in a blob; 1 for a scalar, whose shape is ()."""
    return prod(shape)
