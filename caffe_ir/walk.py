"""Walks a net from first layer to last: finds every blob's shape, the values to learn, the cost.

It does what Caffe's Net::Init does, without allocating memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules import Facts, Layer, Param, Shape, Shapes, facts, shape_text
from ssd_common.errors import CaffeError, LayerError
from ssd_common.suggest import suggest


@dataclass(frozen=True)
class WalkedLayer:
    """A layer, its bottoms' shapes, and the facts that follow from them."""

    layer: Layer
    bottoms: list[Shape]
    facts: Facts


@dataclass
class Walk:
    """The result of walking a net. Parameters that layers share (`param { name }`) count once.

    layers: every layer, in the net's order.
    blobs: the last shape of each name.
    inputs: tops of Input layers, and blobs with a given shape that no layer makes.
    outputs: tops that no layer reads, sorted.
    learnable: how many values the solver may change.
    frozen: how many of the learnable values have lr_mult 0.
    statistics: how many values the solver never touches (BatchNorm's).
    macs: multiply-adds of one forward pass, bias excluded.
    priors: how many boxes all PriorBox layers set.
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


_INT_LIMIT = 1 << 31
MAX_AXES = 32  # kMaxBlobAxes in BVLC/caffe, blob.hpp
Ask = Callable[[Layer, Shapes], Facts]


def walk(
    net: pb.NetParameter,
    inputs: Mapping[str, Shape] | None = None,
    ask: Mapping[str, Ask] | None = None,
) -> Walk:
    """Walk a net that is already filtered for its phase (see caffe_ir.phase).

    inputs: shapes by blob name. They replace what Input, data and Python layers say, or belong to
        blobs that no layer makes.
    ask: by layer type, a function that knows more than the type's rule, such as that of an engine
        that can run a Python layer's code.
    Raises CaffeError for a name in inputs that the net lacks, LayerError with layer and field where
    Caffe would refuse the net.
    """
    given = {name: tuple(shape) for name, shape in (inputs or {}).items()}
    made = {top for layer in net.layer for top in layer.top if top not in layer.bottom}
    read = {bottom for layer in net.layer for bottom in layer.bottom}
    for name in given:
        if name not in made | read:
            hint = suggest(name, made | read)
            raise CaffeError(f"net '{net.name}' has no blob '{name}'{hint}")
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
        _add_tops(layer, bottoms, layer_facts.tops, found)
        unread |= set(layer.top[: len(layer_facts.tops)])
        _count_params(layer, layer_facts.params, shared, found)
        found.macs += layer_facts.macs
        if layer.type == "PriorBox":
            found.priors += _prior_count(layer, layer_facts.tops[0])
        found.layers.append(WalkedLayer(layer, bottoms, layer_facts))
    found.outputs = sorted(unread)
    for named in shared.values():
        if named.param.learnable and named.spec.lr_mult == 0:
            found.frozen += prod(named.param.shape)
    return found


def _prior_count(layer: Layer, top: Shape) -> int:
    """Count the boxes in a PriorBox's top. Raises LayerError for a given shape that is none."""
    if len(top) < 3:
        message = f"the boxes of PriorBox are 1x2x4P, not {shape_text(top)}"
        raise LayerError(layer.name, message, "top")
    return top[2] // 4


def _add_tops(
    layer: Layer,
    bottoms: Shapes,
    tops: Shapes,
    found: Walk,
) -> None:
    """Note the shapes of a layer's tops. Raises LayerError for a top that Caffe would refuse."""
    for i, (name, shape) in enumerate(zip(layer.top, tops, strict=False)):
        in_place = i < len(layer.bottom) and layer.bottom[i] == name
        if name in found.blobs and not in_place:
            message = f"blob '{name}' is already the top of another layer"
            raise LayerError(layer.name, message, "top")
        if in_place and tuple(shape) != tuple(bottoms[i]):
            before = f"'{name}', {shape_text(bottoms[i])}"
            change = f"it makes {shape_text(shape)} of {before}"
            message = f"cannot work in place: {change}; give it a top of its own"
            raise LayerError(layer.name, message, "top")
        # Caffe counts a blob's values and each of its sizes in an int.
        largest = max(prod(shape), *shape, 0)
        if min(shape, default=0) < 0 or largest >= _INT_LIMIT:
            message = f"blob '{name}' cannot have the shape {shape_text(shape)}"
            raise LayerError(layer.name, message, "top")
        if len(shape) > MAX_AXES:
            message = f"blob '{name}' has {len(shape)} axes; Caffe's blobs have at most {MAX_AXES}"
            raise LayerError(layer.name, message, "top")
        found.blobs[name] = shape
        if layer.type == "Input":
            found.inputs.append(name)


def _bottom(layer: Layer, name: str, blobs: Mapping[str, Shape]) -> Shape:
    """Return a bottom's shape. Raises LayerError for a blob that no earlier layer makes."""
    if name not in blobs:
        hint = suggest(name, blobs)
        raise LayerError(layer.name, f"unknown blob '{name}'{hint}", "bottom")
    return blobs[name]


def _facts(layer: Layer, bottoms: Shapes, given: Mapping[str, Shape]) -> Facts:
    """Return the rule's facts, with the given shapes for the tops that have one."""
    # A top in place has its bottom's shape: that of the input, where it is one.
    own = {top: given[top] for top in layer.top if top in given and top not in layer.bottom}
    if not own:
        return facts(layer, bottoms)
    if layer.bottom and layer.type != "Python":
        message = "computes its top from its bottoms; only inputs can be given a shape"
        raise LayerError(layer.name, message, "top")
    if len(own) == len(layer.top) and layer.type != "Parameter":
        return Facts(list(own.values()))
    by_rule = facts(layer, bottoms)
    pairs = zip(layer.top, by_rule.tops, strict=True)
    return Facts([own.get(top, shape) for top, shape in pairs], by_rule.params)


def _check_repeated(layer: Layer, found: Facts) -> None:
    """Check the fields that are written once per bottom, top or parameter blob."""
    counts = {
        "propagate_down": len(layer.bottom),
        # A loss may omit its top and still give it a weight.
        "loss_weight": max(len(layer.top), len(found.tops)),
    }
    for name, wanted in counts.items():
        written = len(getattr(layer, name))
        if written and written != wanted:
            message = f"must be given {wanted} times or not at all, found {written}"
            raise LayerError(layer.name, message, name)
    if len(layer.param) > len(found.params):
        has = f"{layer.type} has {len(found.params)} parameter blobs"
        message = f"given {len(layer.param)} times, but {has}"
        raise LayerError(layer.name, message, "param")


@dataclass
class _Shared:
    """A named parameter: the layer that had it first, and the multipliers that any layer set."""

    layer: Layer
    param: Param
    spec: pb.ParamSpec

    def join(self, layer: Layer, param: Param, spec: pb.ParamSpec) -> None:
        """Check that another layer's parameter fits this one, and take over its multipliers.

        layer, param, spec: the other layer, its parameter, and the `param` field that names it.
        """
        self._check_shape(layer, param, spec)
        for name in ("lr_mult", "decay_mult"):
            if not spec.HasField(name):
                continue
            other = getattr(spec, name)
            first = getattr(self.spec, name)
            if self.spec.HasField(name) and other != first:
                here = f"{name} {other:g} here"
                there = f"{first:g} in layer '{self.layer.name}'"
                message = f"shared parameter '{spec.name}' has {here}, {there}"
                raise LayerError(layer.name, message, f"param.{name}")
            setattr(self.spec, name, other)

    def _check_shape(self, layer: Layer, param: Param, spec: pb.ParamSpec) -> None:
        """Check that another layer's parameter has this shape, or, if permissive, this count."""
        if param.shape == self.param.shape:
            return
        same_count = prod(param.shape) == prod(self.param.shape)
        if same_count and spec.share_mode == pb.ParamSpec.PERMISSIVE:
            return
        here = f"{shape_text(param.shape)} here"
        there = f"{shape_text(self.param.shape)} in layer '{self.layer.name}'"
        message = f"shared parameter '{spec.name}' is {here}, {there}"
        if same_count:
            message += "; with share_mode: PERMISSIVE the counts, which are equal, would do"
        raise LayerError(layer.name, message, "param")


def _count_params(
    layer: Layer,
    params: Sequence[Param],
    shared: dict[str, _Shared],
    found: Walk,
) -> None:
    """Add up parameter blobs. A blob under an earlier layer's name belongs to that layer."""
    for i, param in enumerate(params):
        values = prod(param.shape)
        if not 0 < values < _INT_LIMIT:
            message = f"parameter blob {i} cannot have the shape {shape_text(param.shape)}"
            raise LayerError(layer.name, message)
        spec = pb.ParamSpec()
        if i < len(layer.param):
            spec.CopyFrom(layer.param[i])
        if spec.name in shared:
            shared[spec.name].join(layer, param, spec)
            continue
        if param.learnable:
            found.learnable += values
        else:
            found.statistics += values
        if spec.name:
            shared[spec.name] = _Shared(layer, param, spec)
        elif param.learnable and spec.lr_mult == 0:
            found.frozen += values
