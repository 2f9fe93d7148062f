"""Walks through nets, named by zoo id or file, and facts that reports read off them."""

from __future__ import annotations

import math
import os

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.phase import filter_net
from caffe_ir.prior_boxes import image_size
from caffe_ir.rules import Shape
from caffe_ir.rules.detection import boxes_per_cell
from caffe_ir.text import read_net
from caffe_ir.upgrade import upgrade_net
from caffe_ir.walk import Walk, WalkedLayer, walk
from netgen.zoo.configuration import build


def named_net(
    name: str, phase: str | None = None, target: str = "ssd"
) -> tuple[pb.NetParameter, Walk]:
    """Build or read a net, and walk it.

    name: a zoo id or a prototxt file.
    phase: "train", "test" or "deploy"; None for an id's deploy net, and a file's own phase.
    target: the Caffe build that an id's net is written for, "ssd" or "fssd".

    Returns the net and its walk.
    Raises CaffeError for an unknown id or an unreadable file, LayerError where a layer does not
    fit.
    """
    is_file = name.endswith(".prototxt") or os.sep in name
    if is_file or os.path.exists(name):
        net = read_net(name)
        return net, walk_net(net, phase)
    phase = phase or "deploy"
    net = build(name, phase, target)
    return net, walk_net(net, phase)


def walk_net(net: pb.NetParameter, phase: str | None = None) -> Walk:
    """Walk a net in a phase.

    phase: "train" is TRAIN, any other word TEST; None is TRAIN if a layer is for that phase alone.

    Raises LayerError where a layer does not fit.
    """
    upgraded = pb.NetParameter()
    upgraded.CopyFrom(net)
    upgrade_net(upgraded)
    if phase is None and _has_train_layer(net):
        phase = "train"
    if phase == "train":
        return walk(filter_net(upgraded, pb.TRAIN))
    return walk(filter_net(upgraded, pb.TEST))


def _has_train_layer(net: pb.NetParameter) -> bool:
    rules = (rule for layer in net.layer for rule in layer.include)
    return any(rule.HasField("phase") and rule.phase == pb.TRAIN for rule in rules)


def or_dash(count: int) -> str:
    """Return a number with commas between its thousands, or "-" for 0."""
    if not count:
        return "-"
    return f"{count:,}"


def image_shape(found: Walk) -> Shape:
    """Return the shape (N×C×H×W) of a net's first input, or of its data layer's first top.

    Returns () where the net has neither.
    """
    if found.inputs:
        return found.blobs[found.inputs[0]]
    for walked in found.layers:
        if walked.facts.tops and not walked.bottoms:
            return walked.facts.tops[0]
    return ()


def prior_layers(found: Walk) -> list[WalkedLayer]:
    """Return the PriorBox layers of a net, in order."""
    return [walked for walked in found.layers if walked.layer.type == "PriorBox"]


def centres_inside(found: Walk) -> float:
    """Return the share (0 to 1) of prior boxes with their centre in the image or on its border."""
    inside = 0
    boxes = 0
    for prior in prior_layers(found):
        per_cell = boxes_per_cell(prior.layer.prior_box_param)
        cells = prior.bottoms[0][2:]
        boxes += per_cell * math.prod(cells)
        inside += per_cell * _cells_inside(prior, 0) * _cells_inside(prior, 1)
    if not boxes:
        return 1
    return inside / boxes


def _cells_inside(prior: WalkedLayer, axis: int) -> int:
    """Count a map's rows (axis 0) or columns (axis 1) with their centres in the image."""
    param = prior.layer.prior_box_param
    image = prior.bottoms[-1]
    count = prior.bottoms[0][2 + axis]
    pixels = image_size(param, (image[2], image[3]))[axis]
    own_step = (param.step_h, param.step_w)[axis]
    step = own_step or param.step or pixels / count
    centres = ((i + param.offset) * step for i in range(count))
    return sum(0 <= centre <= pixels for centre in centres)
