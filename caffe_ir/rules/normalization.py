"""Layers that normalise: BatchNorm, Normalize, LRN, MVN, Softmax."""

from __future__ import annotations

from collections.abc import Sequence

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules.checks import axis_of, check, count_blobs, four_axes, learned, legacy
from caffe_ir.rules.registry import Facts, Param, Shape, rule, shape_text


@rule("BatchNorm")
def batch_norm(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """The bottom's shape; three statistics: sums of means and variances per channel, and the weight of the sums."""
    count_blobs(layer, bottoms)
    shape = bottoms[0]
    check(len(shape) >= 2, layer, "bottom", f"takes at least 2 axes, found {shape_text(shape)}")
    for param in layer.param:
        check(param.lr_mult == 0, layer, "param.lr_mult", "must be 0: the three blobs are statistics, not learned")
    return Facts([shape], [Param((size,), learnable=False) for size in (shape[1], shape[1], 1)])


@rule("Normalize")
def normalize(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """The bottom's shape; one scale per channel, or a single one (channel_shared), 1 at first. Source: normalize_layer.cpp of SSD."""
    count_blobs(layer, bottoms)
    shape = bottoms[0]
    check(len(shape) >= 2, layer, "bottom", f"takes at least 2 axes, found {shape_text(shape)}")
    channels = legacy(layer, shape)[1]
    param = layer.norm_param
    return Facts([shape], [learned(layer, [] if param.channel_shared else [channels], param, "scale_filler", default=1)])


@rule("LRN")
def lrn(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """The bottom's shape."""
    count_blobs(layer, bottoms)
    four_axes(layer, bottoms[0])
    check(layer.lrn_param.local_size % 2, layer, "local_size", f"must be odd, found {layer.lrn_param.local_size}")
    return Facts([bottoms[0]])


@rule("MVN")
def mvn(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """The bottom's shape, always with 4 axes."""
    count_blobs(layer, bottoms)
    return Facts([legacy(layer, bottoms[0])])


@rule("Softmax")
def softmax(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """The bottom's shape."""
    count_blobs(layer, bottoms)
    axis_of(layer, bottoms[0], layer.softmax_param.axis, "axis")
    return Facts([bottoms[0]])
