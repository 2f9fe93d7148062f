"""Nets as Python expressions: pycaffe's `layers as L`, `params as P`, NetSpec and to_proto.

    n = caffe.NetSpec()
    n.data = L.Input(shape=dict(dim=[1, 3, 300, 300]))
    n.conv1 = L.Convolution(n.data, kernel_size=3, num_output=8)
    n.relu1 = L.ReLU(n.conv1, in_place=True)
    n.to_proto()

Keyword arguments are fields of the layer, or of the message of its type. Blobs and layers
without a name are numbered by type.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules.from_forks import PARAMETER_FIELDS
from ssd_common.errors import LayerError
from ssd_common.suggest import suggest


def _fields_by_type() -> dict[str, str]:
    """The field of LayerParameter that holds a type's own message.

    It is convolution_param for Convolution, whose message is ConvolutionParameter.
    """
    found = {}
    for field in pb.LayerParameter.DESCRIPTOR.fields:
        if field.message_type and field.name.endswith("_param"):
            found[field.message_type.name.removesuffix("Parameter")] = field.name
    return found | PARAMETER_FIELDS


_FIELDS = _fields_by_type()
_FLOATS = (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE)


def assign_proto(proto: Message, name: str, value: Any) -> None:
    """Set a field of a message.

    A dict becomes a message (an empty dict sets nothing), a list a repeated field; one value stands
    for a list of one. A whole float counts as an integer, because Python 2's scripts divide sizes
    with `/`.
    Raises AttributeError where the message lacks the field.
    """
    field = proto.DESCRIPTOR.fields_by_name.get(name)
    if field is None:
        raise AttributeError(name)
    holder = getattr(proto, name)
    if hasattr(holder, "extend"):
        _extend(holder, field, value)
    elif isinstance(value, Mapping):
        _assign_all(holder, value)
    elif isinstance(value, Message):
        holder.CopyFrom(value)
    else:
        setattr(proto, name, _plain(field, value))


def _extend(holder: Any, field: Any, value: Any) -> None:
    """Add a value, or a list of values, to a repeated field."""
    items = value
    if not isinstance(value, (list, tuple, np.ndarray)):
        items = [value]
    for item in items:
        if isinstance(item, Mapping):
            _assign_all(holder.add(), item)
        else:
            holder.append(_plain(field, item))


def _assign_all(proto: Message, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        assign_proto(proto, name, value)


def _plain(field: Any, value: Any) -> Any:
    """Convert a value to a plain Python one: a whole float to an int for an integer field."""
    if isinstance(value, np.generic):
        value = value.item()
    whole = isinstance(value, float) and value.is_integer()
    if whole and field.cpp_type not in _FLOATS:
        return int(value)
    return value


class Function:
    """One layer.

    type_name: its type.
    inputs: the tops that it reads.
    params: its fields, and two more: `ntop` says how many tops it makes (default 1),
        `in_place` that its tops are its bottoms.
    Raises LayerError for an input that is not a top.
    """

    def __init__(
        self,
        type_name: str,
        inputs: Iterable[Top],
        params: dict[str, Any],
    ) -> None:
        self.type_name = type_name
        self.inputs = tuple(inputs)
        self.params = dict(params)
        self.ntop: int = self.params.pop("ntop", 1)
        self.in_place: bool = self.params.pop("in_place", False)
        self.tops = tuple(Top(self, n) for n in range(self.ntop))
        for number, bottom in enumerate(self.inputs):
            if not isinstance(bottom, Top):
                what = f"bottom {number} should be a layer's top, not {type(bottom).__name__}"
                raise LayerError(self.params.get("name", type_name), what)

    def _update(self, params: Mapping[str, Any]) -> None:
        self.params.update(params)

    def write(self, spec: _Writer) -> None:
        """Add this layer's prototxt, after the layers that it reads from.

        Raises LayerError for a field that the layer lacks, or that cannot hold its value.
        """
        if self in spec.layers:
            return
        bottoms = []
        for bottom in self.inputs:
            bottom.fn.write(spec)
            bottoms.append(spec.layers[bottom.fn].top[bottom.n])
        tops = bottoms
        if not self.in_place:
            tops = [spec.name(top, self.type_name) for top in self.tops]
        named: Top | Function = self
        if self.ntop:
            named = self.tops[0]
        name = spec.name(named, self.type_name)
        layer = pb.LayerParameter(name=name, type=self.type_name, bottom=bottoms, top=tops)
        for key, value in self.params.items():
            self._set(layer, key, value)
        spec.layers[self] = layer

    def _set(self, layer: pb.LayerParameter, key: str, value: Any) -> None:
        holder = self._holder(layer, key)
        try:
            assign_proto(holder, key, value)
        except AttributeError as error:
            raise LayerError(layer.name, f"has no field '{error}'", key) from None
        except (TypeError, ValueError) as error:
            raise LayerError(layer.name, f"{value!r}: {error}", key) from None

    def _holder(self, layer: pb.LayerParameter, key: str) -> Message:
        """The message that has this field: the type's own, or the layer."""
        own: Any = None
        own_fields: Iterable[str] = ()
        if self.type_name in _FIELDS:
            own = getattr(layer, _FIELDS[self.type_name])
            own_fields = own.DESCRIPTOR.fields_by_name
        if key in own_fields and not key.endswith("param"):
            return own
        layer_fields = layer.DESCRIPTOR.fields_by_name
        if key in layer_fields:
            return layer
        near = suggest(key, [*layer_fields, *own_fields])
        raise LayerError(layer.name, f"{self.type_name} has no such field{near}", key)


class Top:
    """One of the blobs that a layer makes."""

    def __init__(self, fn: Function, n: int) -> None:
        self.fn = fn
        self.n = n

    def to_proto(self) -> pb.NetParameter:
        """Return the net of the layers that this blob needs."""
        return to_proto(self)

    def _update(self, params: Mapping[str, Any]) -> None:
        self.fn._update(params)


class _Writer:
    """Collects layers in order, and names tops and layers that have no name."""

    def __init__(self, names: dict[Top | Function, str]) -> None:
        self.names = names
        self.numbers = Counter[str]()
        self.layers: dict[Function, pb.LayerParameter] = {}

    def name(self, what: Top | Function, type_name: str) -> str:
        if what not in self.names:
            self.numbers[type_name] += 1
            self.names[what] = type_name + str(self.numbers[type_name])
        return self.names[what]

    def net(self, tops: Iterable[Top | Function]) -> pb.NetParameter:
        for top in tops:
            if isinstance(top, Top):
                top.fn.write(self)
            else:
                top.write(self)
        return pb.NetParameter(layer=self.layers.values())


def to_proto(*tops: Top | Function) -> pb.NetParameter:
    """Return the net of the layers that these blobs need."""
    return _Writer({}).net(tops)


class NetSpec:
    """Blobs by name, assigned as attributes or items; to_proto returns the net that makes them."""

    tops: dict[str, Top | Function]

    def __init__(self) -> None:
        object.__setattr__(self, "tops", {})

    def __setattr__(self, name: str, value: Top | Function) -> None:
        self.tops[name] = value

    def __getattr__(self, name: str) -> Any:
        if name not in self.tops:
            raise AttributeError(f"the net has no blob '{name}'{suggest(name, self.tops)}")
        return self.tops[name]

    def __setitem__(self, name: str, value: Top | Function) -> None:
        self.tops[name] = value

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)

    def __delitem__(self, name: str) -> None:
        del self.tops[name]

    def keys(self) -> list[str]:
        """List the blobs' names, in the order of their first assignment."""
        return list(self.tops)

    def vals(self) -> list[Top | Function]:
        """List the blobs, in the order of their names."""
        return list(self.tops.values())

    def update(self, name: str, params: Mapping[str, Any]) -> None:
        """Set more fields of a layer."""
        self.tops[name]._update(params)

    def to_proto(self) -> pb.NetParameter:
        """Return the net; a layer has the name of its first top."""
        names = {top: name for name, top in self.tops.items()}
        return _Writer(names).net(self.tops.values())


class Layers:
    """`layers.Type(bottom, ..., field=value)` adds a layer.

    It returns the layer's top or tops, or with ntop=0 the layer itself.
    """

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)

        def make(*bottoms: Top, **fields: Any) -> Any:
            fn = Function(name, bottoms, fields)
            if fn.ntop == 0:
                return fn
            if fn.ntop == 1:
                return fn.tops[0]
            return fn.tops

        return make


class Parameters:
    """`params.Pooling.MAX`: the constants of messages."""

    def __getattr__(self, name: str) -> Any:
        message = getattr(pb, f"{name}Parameter", None)
        if message is None:
            names = pb.DESCRIPTOR.message_types_by_name
            known = [n.removesuffix("Parameter") for n in names if n.endswith("Parameter")]
            near = suggest(name, known)
            raise AttributeError(f"there is no message {name}Parameter{near}")
        return message


layers = Layers()
params = Parameters()
