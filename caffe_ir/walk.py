"""A net from its first layer to its last: every blob's shape, what there is to learn, what it costs. Caffe's Net::Init without memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.errors import LayerError, suggest
from caffe_ir.rules import Facts, Param, Shape, facts
from caffe_ir.rules.checks import show


@dataclass(frozen=True)
class WalkedLayer:
    """A layer, the shapes that reach it, and what follows from them."""

    layer: pb.LayerParameter
    bottoms: list[Shape]
    facts: Facts


@dataclass
class Walk:
    """What walking a net found. Parameters that layers share (`param { name }`) are counted once.

    blobs: the last shape of each name. inputs: tops of Input layers, and the given shapes that no layer makes.
    outputs: tops that nobody reads, sorted. learnable: values the solver may change, of which `frozen` have lr_mult 0.
    statistics: values it never touches (BatchNorm). macs: multiply-adds of one forward pass, bias excluded.
    priors: boxes of all PriorBox layers.
    """

    layers: list[WalkedLayer] = field(default_factory=list)
    blobs: dict[str, Shape] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    learnable: int = 0
    frozen: int = 0
    statistics: int = 0
    macs: int = 0
    priors: int = 0


def walk(net: pb.NetParameter, inputs: Mapping[str, Shape] | None = None) -> Walk:
    """Walk a net that is already filtered for its phase (see caffe_ir.phase).

    inputs: shapes by blob name, which take the place of what Input, data and Python layers say, or of blobs that no layer makes.
    Raises LayerError naming layer and field where Caffe would refuse the net.
    """
    given = {name: tuple(shape) for name, shape in (inputs or {}).items()}
    made = {top for layer in net.layer for top in layer.top}
    found = Walk(blobs={name: shape for name, shape in given.items() if name not in made})
    found.inputs = list(found.blobs)
    unread = set(found.blobs)
    owners: dict[str, tuple[pb.LayerParameter, Param, pb.ParamSpec]] = {}
    for layer in net.layer:
        bottoms = [_bottom(layer, name, found.blobs) for name in layer.bottom]
        layer_facts = _facts(layer, bottoms, given)
        _check_repeated(layer, layer_facts)
        unread -= set(layer.bottom)
        for i, (name, shape) in enumerate(zip(layer.top, layer_facts.tops)):
            in_place = i < len(layer.bottom) and layer.bottom[i] == name
            if name in found.blobs and not in_place:
                raise LayerError(layer.name, f"blob '{name}' is already the top of another layer", "top")
            if any(size < 0 for size in shape) or prod(shape) >= 1 << 31:
                raise LayerError(layer.name, f"blob '{name}' cannot have the shape {show(shape)}", "top")
            found.blobs[name] = shape
            unread.add(name)
            if layer.type == "Input":
                found.inputs.append(name)
        _count_params(layer, layer_facts.params, owners, found)
        found.macs += layer_facts.macs
        if layer.type == "PriorBox":
            found.priors += layer_facts.tops[0][2] // 4
        found.layers.append(WalkedLayer(layer, bottoms, layer_facts))
    found.outputs = sorted(unread)
    found.frozen += sum(prod(param.shape) for _, param, spec in owners.values() if param.learnable and spec.lr_mult == 0)
    return found


def _bottom(layer: pb.LayerParameter, name: str, blobs: Mapping[str, Shape]) -> Shape:
    if name not in blobs:
        raise LayerError(layer.name, f"unknown blob '{name}'{suggest(name, blobs)}", "bottom")
    return blobs[name]


def _facts(layer: pb.LayerParameter, bottoms: Sequence[Shape], given: Mapping[str, Shape]) -> Facts:
    """The rule's facts, or, for a layer whose shapes may be given, the given ones."""
    replaceable = not layer.bottom or layer.type == "Python"
    if replaceable and layer.top and all(top in given for top in layer.top):
        return Facts([given[top] for top in layer.top])
    result = facts(layer, bottoms)
    if replaceable and any(top in given for top in layer.top):
        return Facts([given.get(top, shape) for top, shape in zip(layer.top, result.tops)], result.params, result.macs)
    return result


def _check_repeated(layer: pb.LayerParameter, found: Facts) -> None:
    """Fields that are written once per bottom, top or parameter blob."""
    for name, wanted in (("propagate_down", len(layer.bottom)), ("loss_weight", len(layer.top))):
        written = len(getattr(layer, name))
        if written and written != max(wanted, len(found.tops) if name == "loss_weight" else 0):
            raise LayerError(layer.name, f"must be given {wanted} times or not at all, found {written}", name)
    if len(layer.param) > len(found.params):
        raise LayerError(layer.name, f"is given {len(layer.param)} times, but {layer.type} has {len(found.params)} parameter blobs", "param")


def _count_params(
    layer: pb.LayerParameter, params: Sequence[Param], owners: dict[str, tuple[pb.LayerParameter, Param, pb.ParamSpec]], found: Walk
) -> None:
    """Add up parameter blobs; one whose name was seen before is the earlier one's, and must fit it."""
    for i, param in enumerate(params):
        spec = layer.param[i] if i < len(layer.param) else pb.ParamSpec()
        if spec.name in owners:
            _check_shared(layer, param, spec, *owners[spec.name])
            continue
        size = prod(param.shape)
        if not param.learnable:
            found.statistics += size
        else:
            found.learnable += size
        if spec.name:
            # A copy: a later sharer may set the multipliers that this one leaves open.
            own = pb.ParamSpec()
            own.CopyFrom(spec)
            owners[spec.name] = (layer, param, own)
        elif param.learnable and spec.lr_mult == 0:
            found.frozen += size


def _check_shared(
    layer: pb.LayerParameter, param: Param, spec: pb.ParamSpec, owner: pb.LayerParameter, owned: Param, owned_spec: pb.ParamSpec
) -> None:
    shapes = f"{show(param.shape)} here, {show(owned.shape)} in layer '{owner.name}'"
    permissive = spec.share_mode == pb.ParamSpec.PERMISSIVE
    if (prod(param.shape) != prod(owned.shape)) if permissive else (param.shape != owned.shape):
        raise LayerError(layer.name, f"shared parameter '{spec.name}' is {shapes}", "param")
    for name in ("lr_mult", "decay_mult"):
        if not spec.HasField(name):
            continue
        if owned_spec.HasField(name) and getattr(spec, name) != getattr(owned_spec, name):
            raise LayerError(layer.name, f"shared parameter '{spec.name}' has another {name} in layer '{owner.name}'", f"param.{name}")
        setattr(owned_spec, name, getattr(spec, name))
