"""Which layers of a net belong to a phase: the `include` and `exclude` rules.

Source: Net::FilterNet, net.cpp of Caffe.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from caffe_ir import caffe_ir_pb2 as pb
from ssd_common.errors import LayerError


def filter_net(
    net: pb.NetParameter, phase: int, level: int = 0, stages: Iterable[str] = ()
) -> pb.NetParameter:
    """Copy the net with only the layers that belong to a phase.

    phase: pb.TRAIN or pb.TEST.
    level: the level to compare with a rule's min_level and max_level.
    stages: stages that hold in addition to the net's own.
    Raises LayerError for a layer that has both include and exclude rules.
    """
    filtered = pb.NetParameter()
    filtered.CopyFrom(net)
    all_stages = {*net.state.stage, *stages}
    layers = [layer for layer in net.layer if _included(layer, phase, level, all_stages)]
    # Each `del` of one layer would move all that follow it.
    if len(layers) < len(net.layer):
        filtered.ClearField("layer")
        filtered.layer.extend(layers)
    return filtered


def _included(
    layer: pb.LayerParameter,
    phase: int,
    level: int,
    stages: Collection[str],
) -> bool:
    """Tell whether a layer belongs to a phase: by its include rules, or else its exclude rules."""
    if layer.include and layer.exclude:
        raise LayerError(
            layer.name,
            "has include and exclude rules; Caffe takes only one kind",
            "exclude",
        )
    if layer.include:
        return any(_met(rule, phase, level, stages) for rule in layer.include)
    return not any(_met(rule, phase, level, stages) for rule in layer.exclude)


def _met(rule: pb.NetStateRule, phase: int, level: int, stages: Collection[str]) -> bool:
    """Tell whether phase, level and stages meet every condition of a rule."""
    if rule.HasField("phase") and rule.phase != phase:
        return False
    if rule.HasField("min_level") and level < rule.min_level:
        return False
    if rule.HasField("max_level") and level > rule.max_level:
        return False
    if any(stage in stages for stage in rule.not_stage):
        return False
    return all(stage in stages for stage in rule.stage)
