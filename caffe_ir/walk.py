"""A net from its first layer to its last: every blob's shape, what there is to learn, what it costs. Caffe's Net::Init without memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules import Facts, Param, Shape, facts, shape_text
from ssd_common.errors import CaffeError, LayerError
from ssd_common.suggest import suggest


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


Ask = Callable[[pb.LayerParameter, Sequence[Shape]], Facts]


def walk(net: pb.NetParameter, inputs: Mapping[str, Shape] | None = None, ask: Mapping[str, Ask] | None = None) -> Walk:
    """Walk a net that is already filtered for its phase (see caffe_ir.phase).

    inputs: shapes by blob name, which take the place of what Input, data and Python layers say, or of blobs that no layer makes.
    ask: by layer type, who knows more than the type's rule: an engine that can run a Python layer's code.
    Raises CaffeError for a name in inputs that the net lacks, LayerError naming layer and field where Caffe would refuse the net.
    """
    given = {name: tuple(shape) for name, shape in (inputs or {}).items()}
    made = {top for layer in net.layer for top in layer.top}
    read = {bottom for layer in net.layer for bottom in layer.bottom}
    for name in given:
        if name not in made | read:
            raise CaffeError(f"net '{net.name}' has no blob '{name}'{suggest(name, made | read)}")
    found = Walk(blobs={name: shape for name, shape in given.items() if name not in made})
    found.inputs = list(found.blobs)
    unread = set(found.blobs)
    shared: dict[str, _Shared] = {}
    for layer in net.layer:
        bottoms = [_bottom(layer, name, found.blobs) for name in layer.bottom]
        asked = (ask or {}).get(layer.type)
        layer_facts = asked(layer, bottoms) if asked else _facts(layer, bottoms, given)
        _check_repeated(layer, layer_facts)
        unread -= set(layer.bottom)
        for i, (name, shape) in enumerate(zip(layer.top, layer_facts.tops, strict=False)):
            in_place = i < len(layer.bottom) and layer.bottom[i] == name
            if name in found.blobs and not in_place:
                raise LayerError(layer.name, f"blob '{name}' is already the top of another layer", "top")
            if in_place and tuple(shape) != tuple(bottoms[i]):
                change = f"it makes {shape_text(shape)} of '{name}', {shape_text(bottoms[i])}"
                message = f"cannot work in place: {change}; give it a top of its own"
                raise LayerError(layer.name, message, "top")
            if min(shape, default=0) < 0 or max(prod(shape), *shape, 0) >= 1 << 31:
                raise LayerError(layer.name, f"blob '{name}' cannot have the shape {shape_text(shape)}", "top")
            found.blobs[name] = shape
            unread.add(name)
            if layer.type == "Input":
                found.inputs.append(name)
        _count_params(layer, layer_facts.params, shared, found)
        found.macs += layer_facts.macs
        if layer.type == "PriorBox":
            found.priors += layer_facts.tops[0][2] // 4
        found.layers.append(WalkedLayer(layer, bottoms, layer_facts))
    found.outputs = sorted(unread)
    found.frozen += sum(prod(named.param.shape) for named in shared.values() if named.param.learnable and named.spec.lr_mult == 0)
    return found


def _bottom(layer: pb.LayerParameter, name: str, blobs: Mapping[str, Shape]) -> Shape:
    if name not in blobs:
        raise LayerError(layer.name, f"unknown blob '{name}'{suggest(name, blobs)}", "bottom")
    return blobs[name]


def _facts(layer: pb.LayerParameter, bottoms: Sequence[Shape], given: Mapping[str, Shape]) -> Facts:
    """The rule's facts, with the given shapes for the tops that have one."""
    named = [given.get(top) for top in layer.top]
    if not any(shape is not None for shape in named):
        return facts(layer, bottoms)
    if layer.bottom and layer.type != "Python":
        raise LayerError(layer.name, "computes its top from its bottoms; only inputs can be given a shape", "top")
    if all(shape is not None for shape in named) and layer.type != "Parameter":
        return Facts([shape for shape in named if shape is not None])
    ruled = facts(layer, bottoms)
    return Facts([there if shape is None else shape for shape, there in zip(named, ruled.tops, strict=True)], ruled.params)


def _check_repeated(layer: pb.LayerParameter, found: Facts) -> None:
    """Fields that are written once per bottom, top or parameter blob."""
    # A loss may leave its top out, and still weigh it.
    for name, wanted in (("propagate_down", len(layer.bottom)), ("loss_weight", max(len(layer.top), len(found.tops)))):
        written = len(getattr(layer, name))
        if written and written != wanted:
            raise LayerError(layer.name, f"must be given {wanted} times or not at all, found {written}", name)
    if len(layer.param) > len(found.params):
        raise LayerError(layer.name, f"given {len(layer.param)} times, but {layer.type} has {len(found.params)} parameter blobs", "param")


@dataclass
class _Shared:
    """A named parameter: the layer that had it first, and the multipliers that it or a later sharer set."""

    layer: pb.LayerParameter
    param: Param
    spec: pb.ParamSpec

    def join(self, layer: pb.LayerParameter, param: Param, spec: pb.ParamSpec) -> None:
        """Check that another layer's parameter fits this one, and take over the multipliers that are still open."""
        here, there = param.shape, self.param.shape
        if prod(here) != prod(there) if spec.share_mode == pb.ParamSpec.PERMISSIVE else here != there:
            message = f"shared parameter '{spec.name}' is {shape_text(here)} here, {shape_text(there)} in layer '{self.layer.name}'"
            if prod(here) == prod(there):
                message += "; with share_mode: PERMISSIVE the counts, which are equal, would do"
            raise LayerError(layer.name, message, "param")
        for name in ("lr_mult", "decay_mult"):
            if not spec.HasField(name):
                continue
            if self.spec.HasField(name) and getattr(spec, name) != getattr(self.spec, name):
                mine, theirs = getattr(spec, name), getattr(self.spec, name)
                message = f"shared parameter '{spec.name}' has {name} {mine:g} here, {theirs:g} in layer '{self.layer.name}'"
                raise LayerError(layer.name, message, f"param.{name}")
            setattr(self.spec, name, getattr(spec, name))


def _count_params(layer: pb.LayerParameter, params: Sequence[Param], shared: dict[str, _Shared], found: Walk) -> None:
    """Add up parameter blobs; one whose name was seen before is the earlier one's."""
    for i, param in enumerate(params):
        if not 0 < prod(param.shape) < 1 << 31:
            raise LayerError(layer.name, f"parameter blob {i} cannot have the shape {shape_text(param.shape)}")
        spec = layer.param[i] if i < len(layer.param) else pb.ParamSpec()
        if spec.name in shared:
            shared[spec.name].join(layer, param, spec)
            continue
        if param.learnable:
            found.learnable += prod(param.shape)
        else:
            found.statistics += prod(param.shape)
        if spec.name:
            own = pb.ParamSpec()
            own.CopyFrom(spec)
            shared[spec.name] = _Shared(layer, param, own)
        elif param.learnable and spec.lr_mult == 0:
            found.frozen += prod(param.shape)
