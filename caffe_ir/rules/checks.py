"""Checks and arithmetic that several rules share. Each failure is a LayerError naming the layer and, where there is one, the field."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from google.protobuf.message import Message

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules.registry import Param, Shape, shape_text
from ssd_common.errors import LayerError
from ssd_common.suggest import suggest

FILLERS = ("constant", "gaussian", "positive_unitball", "uniform", "xavier", "msra", "bilinear")
MANY = 1 << 30


def count_blobs(
    layer: pb.LayerParameter, bottoms: Sequence[Shape], bottom: int | tuple[int, int] = 1, top: int | tuple[int, int] = 1
) -> None:
    """Refuse a layer whose number of bottoms or tops is not the given one, or not in the given (least, most)."""
    for kind, found, wanted in (("bottom", len(bottoms), bottom), ("top", len(layer.top), top)):
        least, most = wanted if isinstance(wanted, tuple) else (wanted, wanted)
        if not least <= found <= most:
            range_ = f"{least}" if least == most else f"at least {least}" if most == MANY else f"{least} to {most}"
            plural = "" if range_.endswith(" 1") or most == 1 else "s"
            raise LayerError(layer.name, f"{layer.type} takes {range_} {kind}{plural}, found {found}", kind)


def check(ok: object, layer: pb.LayerParameter, field: str | None, message: str) -> None:
    """Raise LayerError unless ok."""
    if not ok:
        raise LayerError(layer.name, message, field)


def bottom_text(layer: pb.LayerParameter, bottoms: Sequence[Shape], index: int) -> str:
    """A bottom as messages name it: `'data' 2x3x300x300`."""
    return f"'{layer.bottom[index]}' {shape_text(bottoms[index])}"


def axis_of(layer: pb.LayerParameter, shape: Shape, axis: int, field: str) -> int:
    """A field's axis counted from the front; -1 is the last."""
    if not -len(shape) <= axis < len(shape):
        raise LayerError(layer.name, f"axis {axis} is out of range for a bottom of shape {shape_text(shape)}", field)
    return axis % len(shape)


def legacy(layer: pb.LayerParameter, shape: Shape) -> tuple[int, int, int, int]:
    """num, channels, height, width of a shape with at most 4 axes: the missing ones are 1."""
    if len(shape) > 4:
        raise LayerError(layer.name, f"takes at most 4 axes, found {shape_text(shape)}", "bottom")
    n, c, h, w = (*shape, 1, 1, 1, 1)[:4]
    return n, c, h, w


def four_axes(layer: pb.LayerParameter, shape: Shape) -> tuple[int, int, int, int]:
    """num, channels, height, width of a shape that must have all four."""
    if len(shape) != 4:
        raise LayerError(layer.name, f"takes a bottom of 4 axes (N x C x H x W), found {shape_text(shape)}", "bottom")
    n, c, h, w = shape
    return n, c, h, w


def same_shapes(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> None:
    """Refuse bottoms of different shapes."""
    for name, shape in zip(layer.bottom, bottoms, strict=True):
        if tuple(shape) != tuple(bottoms[0]):
            shapes = f"{bottom_text(layer, bottoms, 0)}, '{name}' {shape_text(shape)}"
            raise LayerError(layer.name, f"bottoms must have the same shape: {shapes}", "bottom")


def not_in_place(layer: pb.LayerParameter) -> None:
    """Refuse a top that is also the bottom."""
    if layer.bottom and layer.bottom[0] in layer.top:
        raise LayerError(layer.name, f"{layer.type} cannot work in place: its bottom and its top are both '{layer.bottom[0]}'", "top")


def learned(layer: pb.LayerParameter, shape: Sequence[int], param: Message, field: str, default: float = 0) -> Param:
    """A learnable parameter blob filled by a filler field of param, or with default where the field is not set."""
    filler: pb.FillerParameter = getattr(param, field)
    if not param.HasField(field):
        return Param(tuple(shape), pb.FillerParameter(type="constant", value=default) if default else None)
    if filler.type not in FILLERS:
        raise LayerError(layer.name, f"unknown filler '{filler.type}'{suggest(filler.type, FILLERS)}", f"{field}.type")
    if filler.type == "bilinear" and (len(shape) != 4 or shape[2] != shape[3]):
        raise LayerError(layer.name, f"a bilinear filler takes square 2-D kernels, found a blob of {shape_text(shape)}", field)
    return Param(tuple(shape), filler)


def count(shape: Sequence[int]) -> int:
    """The number of values of a blob; 1 for a scalar, whose shape is ()."""
    return prod(shape)
