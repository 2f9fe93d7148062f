"""Plans, from a net's graph, what its passes can save: memory, and work that two layers share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules.loss import is_loss
from netrun.engine.graph import Graph
from netrun.layers import Layer


@dataclass(frozen=True)
class PassPlan:
    """What the passes of a net may save, computed once.

    overwrite: for each layer, whether its forward may overwrite its bottom.
    released: by a layer's position, the blobs that no later layer needs.
    scales: by a BatchNorm layer's position, the position of the Scale layer that it replaces.
    wanted: blobs of Input and data layers that want a gradient.
    """

    overwrite: list[bool]
    released: dict[int, list[str]]
    scales: dict[int, int]
    wanted: set[str]


def loss_weight(layer: pb.LayerParameter, top: int) -> float:
    """The weight of a layer's top number `top` in the net's loss.

    Source: weiliu89/caffe (ssd), Layer::SetLossWeights in include/caffe/layer.hpp.
    """
    weights = list(layer.loss_weight)
    if not weights and is_loss(layer):
        weights = [1.0]
    if top < len(weights):
        return weights[top]
    return 0.0


def loss_weights(layers: Sequence[Layer]) -> dict[str, float]:
    """The loss weight of every top, by the top's name."""
    weights = {}
    for layer in layers:
        for i, name in enumerate(layer.param.top):
            weights[name] = loss_weight(layer.param, i)
    return weights


def plan_passes(
    layers: Sequence[Layer],
    graph: Graph,
    weights: dict[str, float],
    force_backward: bool,
) -> PassPlan:
    """Make the plan for these layers.

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
    layers: Sequence[Layer],
    graph: Graph,
    weights: dict[str, float],
) -> dict[int, list[str]]:
    """The blobs that a run may release: all except data and losses."""
    kept = _data_blobs(layers)
    kept |= {name for name, weight in weights.items() if weight}
    released = {}
    for position, names in graph.last_reads.items():
        released[position] = [name for name in names if name not in kept]
    return released


def _data_blobs(layers: Sequence[Layer]) -> set[str]:
    """The tops of layers without bottoms."""
    return {top for layer in layers if not layer.param.bottom for top in layer.param.top}


def _scales_behind_normalization(
    layers: Sequence[Layer],
    graph: Graph,
) -> dict[int, int]:
    """The Scale layers that alone read and overwrite a BatchNorm's top, channel by channel.

    Computed in one step, such a pair costs half the time and memory; no other layer reads the blob
    in between.
    """
    found = {}
    for position, layer in enumerate(layers):
        source = graph.overwritable(position)
        if source is None or not _scales_channels(layer):
            continue
        if layers[source.layer].type == "BatchNorm":
            found[source.layer] = position
    return found


def _scales_channels(layer: Layer) -> bool:
    """Whether a layer is a Scale whose learned factor has one value for each channel."""
    p = layer.param
    if layer.type != "Scale" or len(p.bottom) > 1 or p.propagate_down:
        return False
    return p.scale_param.axis == 1 and layer.blobs[0].dim() == 1


def _inputs_with_gradient(layers: Sequence[Layer], force_backward: bool) -> set[str]:
    """The data blobs that need a gradient: by propagate_down, or all by force_backward."""
    wanted: set[str] = set()
    for layer in layers:
        flags = layer.param.propagate_down
        for i, name in enumerate(layer.param.bottom):
            if force_backward or (flags and flags[i]):
                wanted.add(name)
    return wanted & _data_blobs(layers)
