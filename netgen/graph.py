"""A net while it is being written.

Every layer is checked, and its shapes worked out, at the call that adds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules import Shape, facts
from caffe_ir.schema import is_repeated
from ssd_common.errors import LayerError
from ssd_common.suggest import suggest

# Layer types whose parameter message is not their own name in lower case.
_BORROWED = {"Deconvolution": "convolution_param", "Normalize": "norm_param"}
_LAYER_FIELDS = pb.LayerParameter.DESCRIPTOR.fields_by_name
_FIXED = ("name", "type", "bottom", "top", "blobs")  # what `add` itself writes, and the weights
PHASES = {"train": pb.TRAIN, "test": pb.TEST, "deploy": pb.TEST}


@dataclass(frozen=True)
class Blob:
    """One top of a layer.

    shape: N×C×H×W for images and feature maps, as `caffe_ir.rules` has it.
    """

    name: str
    shape: Shape

    @property
    def channels(self) -> int:
        """C of N×C×H×W."""
        return self.shape[1]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in cells."""
        return self.shape[2], self.shape[3]


class Net:
    """A NetParameter that grows layer by layer.

    phase: "train", "test" or "deploy".
    target: the Caffe build that it is written for, "ssd" or "fssd".
    The message itself is `net.proto`; `net.blobs` maps each name to its Blob.
    """

    def __init__(self, name: str, phase: str = "train", target: str = "ssd") -> None:
        self.proto = pb.NetParameter(name=name)
        self.phase, self.target = phase, target
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

        in_place: the top is the first bottom.
        fields: of LayerParameter itself (param, include, transform_param, …) or else of the type's
            own message (num_output, …); sub-messages are dicts, enumerations strings, and one value
            may stand for a list of one.
        Raises LayerError naming layer and field for an unknown field, a value that does not fit it,
        a bottom of another net, a name used twice, and wherever Caffe's own SetUp would stop.
        """
        names = [bottoms[0].name] if in_place else list(tops) or [name]
        self._check_names(name, bottoms, [] if in_place else names)
        layer = self.proto.layer.add(
            name=name, type=type, bottom=[b.name for b in bottoms], top=names
        )
        try:
            _set_fields(layer, fields)
            shapes = facts(layer, [b.shape for b in bottoms]).tops
        except LayerError:
            del self.proto.layer[-1]
            raise
        self._names.add(name)
        blobs = [self._blob(top, shape) for top, shape in zip(names, shapes, strict=True)]
        return blobs if tops else blobs[0]

    def _check_names(self, name: str, bottoms: Sequence[Blob], tops: Sequence[str]) -> None:
        """Raise LayerError where a name is taken, or a bottom is not of this net."""
        if name in self._names:
            raise LayerError(name, "the net has a layer of this name already", "name")
        for bottom in bottoms:
            if self.blobs.get(bottom.name) != bottom:
                near = suggest(bottom.name, self.blobs)
                said = f"bottom '{bottom.name}' is not a blob of this net{near}"
                raise LayerError(name, said, "bottom")
        for top in tops:
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
    own = parameter_field(layer.type)
    inner = _LAYER_FIELDS[own].message_type if own else None
    of_layer: dict[str, Any] = {}
    of_type: dict[str, Any] = {}
    for name, value in fields.items():
        if name in _LAYER_FIELDS and name not in _FIXED:
            of_layer[name] = value
        elif inner and name in inner.fields_by_name:
            of_type[name] = value
        else:
            where = inner.name if inner else "LayerParameter"
            choices = [*(inner.fields_by_name if inner else ()), *_LAYER_FIELDS]
            raise LayerError(layer.name, f"{where} has no such field{suggest(name, choices)}", name)
    if of_type:
        assert own
        of_layer[own] = of_type
    for name, value in of_layer.items():
        _set(layer, _LAYER_FIELDS[name], value, layer.name, name)


def _set(message: Any, field: Any, value: Any, layer: str, path: str) -> None:
    """Write a plain Python value into a field of a message; path: how an error names the field."""
    values = value if isinstance(value, (list, tuple)) else [value]
    if field.message_type:
        for part in values:
            _set_message(message, field, part, layer, path)
        return
    try:
        if is_repeated(field):
            getattr(message, field.name).extend(_number(field, v) for v in values)
        else:
            setattr(message, field.name, _number(field, value))
    except (TypeError, ValueError, KeyError) as error:
        raise LayerError(layer, f"{value!r} does not fit ({error})", path) from None


def _set_message(message: Any, field: Any, part: Any, layer: str, path: str) -> None:
    """Write a dict into a sub-message, or into a new one of a list."""
    kind = field.message_type
    if not isinstance(part, dict):
        said = f"{part!r} does not fit (a {kind.name} is written as a dict of its fields)"
        raise LayerError(layer, said, path)
    holder = getattr(message, field.name)
    target = holder.add() if is_repeated(field) else holder
    target.SetInParent()
    for name, inner in part.items():
        if name not in kind.fields_by_name:
            near = suggest(name, kind.fields_by_name)
            raise LayerError(layer, f"{kind.name} has no such field{near}", f"{path}.{name}")
        _set(target, kind.fields_by_name[name], inner, layer, f"{path}.{name}")


def _number(field: Any, value: Any) -> Any:
    if field.enum_type and isinstance(value, str):
        if value not in field.enum_type.values_by_name:
            near = suggest(value, field.enum_type.values_by_name)
            raise ValueError(f"{field.enum_type.name} has no such value{near}")
        return field.enum_type.values_by_name[value].number
    return value
