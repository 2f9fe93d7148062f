"""Builds a net from its prototxt: layers, parameters, graph, shapes of blobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules import Shape
from caffe_ir.walk import Ask, walk
from netrun.engine import data_shapes
from netrun.engine.graph import Graph, build_graph
from netrun.engine.parameters import LearnableParam, allocate
from netrun.engine.pass_plan import PassPlan, loss_weights, plan_passes
from netrun.engine.required_memory import require_memory
from netrun.layers import Context, Layer, create
from netrun.layers.python import PythonFacts


@dataclass(frozen=True)
class Assembly:
    """The parts that make up an Engine.

    layers: in the net's order, with their parameters.
    learnable: the parameters that some layer owns.
    graph: which layer makes and which layers read each blob.
    loss_weights: the weight of every top in the net's loss, by the top's name.
    shapes: the shape of every blob, by the blob's name.
    bottoms: for each layer, the bottoms' shapes from which its facts follow.
    plan: what memory and work a pass may save.
    """

    layers: list[Layer]
    learnable: list[LearnableParam]
    graph: Graph
    loss_weights: dict[str, float]
    shapes: dict[str, Shape]
    bottoms: list[list[Shape]]
    plan: PassPlan


def sources_of_facts(context: Context, given: Mapping[str, Shape]) -> dict[str, Ask]:
    """By layer type, what gives the facts that the type's rule does not know.

    given: shapes that the caller insists on, by top.
    """
    shapes = data_shapes.DataShapes(context, given)
    sources: dict[str, Ask] = dict.fromkeys(data_shapes.TYPES, shapes)
    sources["Python"] = PythonFacts(context.phase)
    return sources


def assemble(
    net: pb.NetParameter,
    context: Context,
    given: Mapping[str, Shape],
    sources: Mapping[str, Ask],
) -> Assembly:
    """Build the layers of a net, and fill their parameters.

    given: shapes for Input layers in place of the net's.
    sources: see sources_of_facts.
    Raises LayerError for a layer that Caffe would refuse or netrun lacks, CaffeError for data
    that cannot be read or a net that memory cannot hold.
    """
    walked = walk(net, given, sources)
    require_memory(walked, context.device)
    steps = walked.layers
    graph = build_graph([step.layer for step in steps])
    layers = [create(step.layer, step.facts, context) for step in steps]
    facts = [step.facts for step in steps]
    learnable = allocate(layers, facts, context, net.force_backward)
    weights = loss_weights(layers)
    return Assembly(
        layers=layers,
        learnable=learnable,
        graph=graph,
        loss_weights=weights,
        shapes={name: tuple(shape) for name, shape in walked.blobs.items()},
        bottoms=[list(map(tuple, step.bottoms)) for step in steps],
        plan=plan_passes(layers, graph, weights, net.force_backward),
    )
