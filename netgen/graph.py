"""A net under construction.

`Net.add` checks each layer and works out its shapes at once, so that a mistake surfaces at the
line that makes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules import Shape, facts
from caffe_ir.rules.from_forks import PARAMETER_FIELDS
from caffe_ir.schema import is_repeated
from ssd_common.errors import LayerError
from ssd_common.suggest import suggest

# Layer types whose parameter message is not their own name in lower case.
_BORROWED = {
    "Deconvolution": "convolution_param",
    "Normalize": "norm_param",
    **PARAMETER_FIELDS,
}
_LAYER_FIELDS = pb.LayerParameter.DESCRIPTOR.fields_by_name
# Fields that are no keyword of `Net.add`: it writes the first four, and "blobs" holds weights.
_FIXED = ("name", "type", "bottom", "top", "blobs")


@dataclass(frozen=True)
class Blob:
    """One top of a layer.

    shape: N×C×H×W for images and feature maps, as `caffe_ir.rules` works it out.
    """

    name: str
    shape: Shape

    @property
    def channels(self) -> int:
        """Number of channels, C of N×C×H×W."""
        return self.shape[1]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in cells."""
        return self.shape[2], self.shape[3]


class Net:
    """A NetParameter that grows layer by layer.

    The message itself is `net.proto`; `net.blobs` maps each name to its Blob.

    phase: "train", "test" or "deploy".
    target: the Caffe build that the net is written for, "ssd" or "fssd".
    """

    def __init__(self, name: str, phase: str = "train", target: str = "ssd") -> None:
        self.proto = pb.NetParameter(name=name)
        self.phase = phase
        self.target = target
        self.blobs: dict[str, Blob] = {}
        self._names: set[str] = set()

    def input(self, name: str, shape: Shape) -> Blob:
        """Declare an input of the net (deploy nets have no data layer). shape: N×C×H×W."""
        self.proto.input.append(name)
        self.proto.input_shape.add(dim=shape)
        return self._blob(name, shape)

    def add(
        self,
        type: str,
        name: str,
        *bottoms: Blob,
        in_place: bool = False,
        tops: Sequence[str] = (),
        **fields: Any,
    ) -> Any:
        """Add a layer and return its top: a Blob, or a list of them where `tops` names several.

        type: of the layer, as Caffe spells it, "Convolution".
        in_place: the top is the first bottom.
        tops: names of the tops; the layer's own name where left out.
        fields: fields of LayerParameter (param, include, transform_param, …) or of the type's own
            message (num_output, …). Sub-messages are dicts, enumerations strings; a single value
            may stand for a list of one.

        Raises LayerError naming layer and field for an unknown field, a value that does not fit it,
        a bottom of another net, a name used twice, and wherever Caffe's own SetUp would stop.
        """
        names = list(tops) or [name]
        new_blobs = names
        if in_place:
            names = [bottoms[0].name]
            new_blobs = []
        self._check_names(name, bottoms, new_blobs)
        layer = self.proto.layer.add(
            name=name,
            type=type,
            bottom=[bottom.name for bottom in bottoms],
            top=names,
        )
        try:
            _set_fields(layer, fields)
            shapes = facts(layer, [bottom.shape for bottom in bottoms]).tops
        except LayerError:
            del self.proto.layer[-1]
            raise
        self._names.add(name)
        blobs = [self._blob(top, shape) for top, shape in zip(names, shapes, strict=True)]
        if tops:
            return blobs
        return blobs[0]

    def _check_names(
        self,
        name: str,
        bottoms: Sequence[Blob],
        new_blobs: Sequence[str],
    ) -> None:
        """Raise LayerError where a name is taken, or a bottom belongs to another net."""
        if name in self._names:
            raise LayerError(name, "the net has a layer of this name already", "name")
        for bottom in bottoms:
            if self.blobs.get(bottom.name) != bottom:
                near = suggest(bottom.name, self.blobs)
                message = f"bottom '{bottom.name}' is not a blob of this net{near}"
                raise LayerError(name, message, "bottom")
        for top in new_blobs:
            if top in self.blobs:
                raise LayerError(name, f"the net has a blob '{top}' already", "top")

    def _blob(self, name: str, shape: Iterable[int]) -> Blob:
        self.blobs[name] = Blob(name, tuple(shape))
        return self.blobs[name]


@cache
def parameter_field(type: str) -> str | None:
    """Return the field of LayerParameter that holds a layer type's own parameters, or None.

    "PriorBox" → "prior_box_param".
    """
    if type in _BORROWED:
        return _BORROWED[type]
    for field in _LAYER_FIELDS:
        stem = field.removesuffix("_param")
        if stem != field and stem.replace("_", "") == type.lower():
            return field
    return None


def _set_fields(layer: pb.LayerParameter, fields: dict[str, Any]) -> None:
    """Write the keywords of `Net.add` into a layer: its own fields, and those of its type."""
    own_message = parameter_field(layer.type)
    where = "LayerParameter"
    type_fields: Mapping[str, Any] = {}
    if own_message:
        kind: Any = _LAYER_FIELDS[own_message].message_type
        where = kind.name
        type_fields = kind.fields_by_name
    of_layer: dict[str, Any] = {}
    of_type: dict[str, Any] = {}
    for name, value in fields.items():
        if name in _LAYER_FIELDS and name not in _FIXED:
            of_layer[name] = value
        elif name in type_fields:
            of_type[name] = value
        else:
            near = suggest(name, [*type_fields, *_LAYER_FIELDS])
            raise LayerError(layer.name, f"{where} has no such field{near}", name)
    if of_type:
        assert own_message
        of_layer[own_message] = of_type
    for name, value in of_layer.items():
        _set(layer, _LAYER_FIELDS[name], value, layer.name, name)


def _set(message: Any, field: Any, value: Any, layer: str, path: str) -> None:
    """Write a plain Python value into a field of a message.

    layer, path: how an error names the place.
    """
    values = value
    if not isinstance(value, (list, tuple)):
        values = [value]
    if field.message_type:
        for part in values:
            _set_message(message, field, part, layer, path)
        return
    try:
        if is_repeated(field):
            numbers = [_number(field, part) for part in values]
            getattr(message, field.name).extend(numbers)
        else:
            setattr(message, field.name, _number(field, value))
    except (TypeError, ValueError, KeyError) as error:
        raise LayerError(layer, f"{value!r} does not fit ({error})", path) from None


def _set_message(message: Any, field: Any, part: Any, layer: str, path: str) -> None:
    """Write a dict into a sub-message, or into a new one of a list."""
    kind = field.message_type
    if not isinstance(part, dict):
        error = f"{part!r} does not fit (a {kind.name} is written as a dict of its fields)"
        raise LayerError(layer, error, path)
    target = getattr(message, field.name)
    if is_repeated(field):
        target = target.add()
    target.SetInParent()
    for name, inner in part.items():
        if name not in kind.fields_by_name:
            near = suggest(name, kind.fields_by_name)
            raise LayerError(layer, f"{kind.name} has no such field{near}", f"{path}.{name}")
        _set(target, kind.fields_by_name[name], inner, layer, f"{path}.{name}")


def _number(field: Any, value: Any) -> Any:
    """Return the number of an enumeration's value that is given by name, other values as given."""
    kind = field.enum_type
    if not kind or not isinstance(value, str):
        return value
    if value not in kind.values_by_name:
        near = suggest(value, kind.values_by_name)
        raise ValueError(f"{kind.name} has no such value{near}")
    return kind.values_by_name[value].number
