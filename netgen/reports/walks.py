"""A net walked through, for the reports: by zoo id or file, and what follows from its walk."""

from __future__ import annotations

import math
import os

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.phase import filter_net
from caffe_ir.rules import Shape
from caffe_ir.rules.detection import boxes_per_cell
from caffe_ir.text import read_net
from caffe_ir.upgrade import upgrade_net
from caffe_ir.walk import Walk, WalkedLayer, walk
from netgen.zoo.configuration import build


def named_net(
    name: str, phase: str | None = None, target: str = "ssd"
) -> tuple[pb.NetParameter, Walk]:
    """A net by zoo id or prototxt file, and the walk through it.

    phase: None for the deploy net of an id, and for what a file is for. target: of an id.

    Raises CaffeError for an unknown id and a file that cannot be read, LayerError where a layer
    does not fit.
    """
    if os.path.exists(name) or name.endswith(".prototxt") or os.sep in name:
        net = read_net(name)
        return net, walk_net(net, phase)
    phase = phase or "deploy"
    net = build(name, phase, target)
    return net, walk_net(net, phase)


def walk_net(net: pb.NetParameter, phase: str | None = None) -> Walk:
    """Walk a net in a phase: "train", or any other for TEST.

    None means TRAIN where some layer is for that alone. Raises LayerError.
    """
    upgraded = pb.NetParameter()
    upgraded.CopyFrom(net)
    upgrade_net(upgraded)
    train = phase == "train" or (phase is None and _has_train_layer(net))
    return walk(filter_net(upgraded, pb.TRAIN if train else pb.TEST))


def _has_train_layer(net: pb.NetParameter) -> bool:
    rules = (rule for layer in net.layer for rule in layer.include)
    return any(rule.HasField("phase") and rule.phase == pb.TRAIN for rule in rules)


def or_dash(count: int) -> str:
    """A number with its thousands parted, or "-" for none."""
    return f"{count:,}" if count else "-"


def image_shape(found: Walk) -> Shape:
    """The shape of a net's first image blob: its Input layer's, or its data layer's first top."""
    if found.inputs:
        return found.blobs[found.inputs[0]]
    for walked in found.layers:
        if walked.facts.tops and not walked.bottoms:
            return walked.facts.tops[0]
    return ()


def prior_layers(found: Walk) -> list[WalkedLayer]:
    """The PriorBox layers of a net."""
    return [walked for walked in found.layers if walked.layer.type == "PriorBox"]


def centres_inside(found: Walk) -> float:
    """The share of the prior boxes whose centre lies in the image, borders included."""
    inside = boxes = 0
    for prior in prior_layers(found):
        per_cell = boxes_per_cell(prior.layer.prior_box_param)
        cells = prior.bottoms[0][2:]
        inside += per_cell * math.prod(_cells_inside(prior, axis) for axis in (0, 1))
        boxes += per_cell * math.prod(cells)
    if not boxes:
        return 1
    return inside / boxes


def _cells_inside(prior: WalkedLayer, axis: int) -> int:
    """How many rows (axis 0) or columns (axis 1) of a map have their centres in the image."""
    param = prior.layer.prior_box_param
    count, pixels = prior.bottoms[0][2 + axis], prior.bottoms[1][2 + axis]
    own = (param.step_h, param.step_w)[axis]
    step = own or param.step or pixels / count
    return sum(0 <= (i + param.offset) * step <= pixels for i in range(count))
