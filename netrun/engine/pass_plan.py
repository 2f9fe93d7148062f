"""What a net's graph allows its passes to save: memory, and work that two layers can share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules.loss import is_loss
from netrun.engine.graph import Graph
from netrun.layers import Layer


@dataclass(frozen=True)
class PassPlan:
    """Worked out once for a net.

    overwrite: for each layer, whether its forward may write over its bottom.
    released: the blobs that nobody needs behind a layer, by the layer's position.
    scales: positions of Scale layers by those of the BatchNorm layers that do their work too.
    wanted: blobs of Input and data layers that want a gradient.
    """

    overwrite: list[bool]
    released: dict[int, list[str]]
    scales: dict[int, int]
    wanted: set[str]


def loss_weight(layer: pb.LayerParameter, top: int) -> float:
    """By how much a layer's top number `top` counts in the net's loss (Layer::SetLossWeights)."""
    weights = layer.loss_weight
    if weights:
        return weights[top] if top < len(weights) else 0.0
    return 1.0 if top == 0 and is_loss(layer) else 0.0


def loss_weights(layers: Sequence[Layer]) -> dict[str, float]:
    """The loss weight of every top by its name."""
    return {
        name: loss_weight(layer.param, i)
        for layer in layers
        for i, name in enumerate(layer.param.top)
    }


def plan_passes(
    layers: Sequence[Layer], graph: Graph, weights: dict[str, float], force_backward: bool
) -> PassPlan:
    """The plan for these layers.

    weights: loss weights by blob. force_backward: the net's own field.
    """
    return PassPlan(
        overwrite=[_may_overwrite(layers, graph, i) for i in range(len(layers))],
        released=_released(layers, graph, weights),
        scales=_scales_behind_normalization(layers, graph),
        wanted=_inputs_with_gradient(layers, force_backward),
    )


def _may_overwrite(layers: Sequence[Layer], graph: Graph, position: int) -> bool:
    source = graph.overwritable(position)
    return source is not None and layers[source.layer].owns_top


def _released(
    layers: Sequence[Layer], graph: Graph, weights: dict[str, float]
) -> dict[int, list[str]]:
    """The blobs that no run has to keep: all but data and losses."""
    kept = {
        top
        for layer in layers
        for top in layer.param.top
        if not layer.param.bottom or weights[top]
    }
    return {
        position: [name for name in names if name not in kept]
        for position, names in graph.last_reads.items()
    }


def _scales_behind_normalization(layers: Sequence[Layer], graph: Graph) -> dict[int, int]:
    """The Scale layers that alone read and overwrite a BatchNorm's top, channel by channel.

    Done in one, such a pair costs half the time and memory, and nobody can see the blob in between.
    """
    found = {}
    for position, layer in enumerate(layers):
        source = graph.overwritable(position)
        if source is None or layer.type != "Scale" or layers[source.layer].type != "BatchNorm":
            continue
        if _scales_channels(layer):
            found[source.layer] = position
    return found


def _scales_channels(layer: Layer) -> bool:
    p = layer.param
    of_its_own = len(p.bottom) == 1 and not p.propagate_down
    return of_its_own and p.scale_param.axis == 1 and layer.blobs[0].dim() == 1


def _inputs_with_gradient(layers: Sequence[Layer], force_backward: bool) -> set[str]:
    """All inputs of layers under force_backward, else those with propagate_down set."""
    wanted: set[str] = set()
    for layer in layers:
        flags = layer.param.propagate_down
        for i, name in enumerate(layer.param.bottom):
            if force_backward or (flags and flags[i]):
                wanted.add(name)
    sources = {top for layer in layers if not layer.param.bottom for top in layer.param.top}
    return wanted & sources
