"""Layers that keep the shape and treat each value alike, and those with one parameter per channel: PReLU, Scale, Bias."""

from __future__ import annotations

from collections.abc import Sequence

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules.checks import axis_of, check, count_blobs, learned, not_in_place
from caffe_ir.rules.registry import Facts, Param, Shape, rule, shape_text


@rule("ReLU", "ELU", "Sigmoid", "TanH", "BNLL", "Power", "Threshold")
def neuron(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """The bottom's shape."""
    count_blobs(layer, bottoms)
    return Facts([bottoms[0]])


@rule("AbsVal")
def absval(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """The bottom's shape."""
    not_in_place(layer)
    return neuron(layer, bottoms)


@rule("Exp", "Log")
def exponential(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """The bottom's shape; base -1 stands for e."""
    base = (layer.exp_param if layer.type == "Exp" else layer.log_param).base
    check(base == -1 or base > 0, layer, "base", f"must be positive, or -1 for e, found {base:g}")
    check(base != 1 or layer.type == "Exp", layer, "base", "must not be 1, to which there is no logarithm")
    return neuron(layer, bottoms)


@rule("Dropout")
def dropout(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """The bottom's shape."""
    check(0 < layer.dropout_param.dropout_ratio < 1, layer, "dropout_ratio", "must lie between 0 and 1")
    return neuron(layer, bottoms)


@rule("PReLU")
def prelu(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """The bottom's shape; one slope per channel, or a single one (channel_shared), 0.25 at first."""
    count_blobs(layer, bottoms)
    check(len(bottoms[0]) >= 2, layer, "bottom", f"takes at least 2 axes, found {shape_text(bottoms[0])}")
    shape = [] if layer.prelu_param.channel_shared else [bottoms[0][1]]
    return Facts([bottoms[0]], [learned(layer, shape, layer.prelu_param, "filler", default=0.25)])


def _span(layer: pb.LayerParameter, bottoms: Sequence[Shape], axis: int, num_axes: int) -> Shape:
    """The axes of the first bottom that a Scale or Bias blob covers: the second bottom's, or num_axes of them from axis on."""
    shape = bottoms[0]
    if len(bottoms) == 2:
        span = tuple(bottoms[1])
        start = axis_of(layer, shape, axis, "axis") if span else 0
        fits = shape[start : start + len(span)] == span
        check(fits, layer, "axis", f"bottom '{layer.bottom[1]}' {shape_text(span)} does not fit axes {axis}... of {shape_text(shape)}")
        return span
    start = axis_of(layer, shape, axis, "axis")
    check(num_axes >= -1, layer, "num_axes", "must be 0 or more, or -1 for all that follow")
    check(start + num_axes <= len(shape), layer, "num_axes", f"{num_axes} from axis {start} extend past a bottom of {shape_text(shape)}")
    return shape[start:] if num_axes == -1 else shape[start : start + num_axes]


@rule("Scale")
def scale(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """The bottom's shape; a learned factor over num_axes axes from axis on (1 at first) or the second bottom; a bias over the same axes."""
    count_blobs(layer, bottoms, (1, 2))
    param = layer.scale_param
    span = _span(layer, bottoms, param.axis, param.num_axes)
    params: list[Param] = [learned(layer, span, param, "filler", default=1)] if len(bottoms) == 1 else []
    if param.bias_term:
        params.append(learned(layer, span, param, "bias_filler"))
    return Facts([bottoms[0]], params)


@rule("Bias")
def bias(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """The bottom's shape; a learned summand over num_axes axes from axis on, or the second bottom."""
    count_blobs(layer, bottoms, (1, 2))
    param = layer.bias_param
    span = _span(layer, bottoms, param.axis, param.num_axes)
    return Facts([bottoms[0]], [learned(layer, span, param, "filler")] if len(bottoms) == 1 else [])
