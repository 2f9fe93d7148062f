"""Nets written as Python expressions: pycaffe's `layers as L`, `params as P`, NetSpec and to_proto.

    n = caffe.NetSpec()
    n.data = L.Input(shape=dict(dim=[1, 3, 300, 300]))
    n.conv1 = L.Convolution(n.data, kernel_size=3, num_output=8)
    n.relu1 = L.ReLU(n.conv1, in_place=True)
    n.to_proto()

Keyword arguments are fields of the layer, or of the message of its type; blobs and layers without a name are numbered by type.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from caffe_ir import caffe_ir_pb2 as pb
from ssd_common.errors import LayerError
from ssd_common.suggest import suggest


def _fields_by_type() -> dict[str, str]:
    """The field of LayerParameter that holds a type's own message: convolution_param for Convolution and ConvolutionParameter."""
    fields = pb.LayerParameter.DESCRIPTOR.fields
    return {f.message_type.name.removesuffix("Parameter"): f.name for f in fields if f.message_type and f.name.endswith("_param")}


_FIELDS = _fields_by_type()


def assign_proto(proto: Message, name: str, value: Any) -> None:
    """Set a field: a dict becomes a message (an empty one nothing), a list a repeated field, and one value stands for a list of one.

    A whole float goes into an integer's place: Python 2's scripts divide sizes with `/`. Raises AttributeError for no such field.
    """
    field = proto.DESCRIPTOR.fields_by_name.get(name)
    if field is None:
        raise AttributeError(name)
    holder = getattr(proto, name)
    repeated = hasattr(holder, "extend")
    if repeated:
        for item in value if isinstance(value, (list, tuple, np.ndarray)) else [value]:
            if isinstance(item, Mapping):
                _assign_all(holder.add(), item)
            else:
                holder.append(_plain(field, item))
    elif isinstance(value, Mapping):
        _assign_all(holder, value)
    elif isinstance(value, Message):
        holder.CopyFrom(value)
    else:
        setattr(proto, name, _plain(field, value))


def _assign_all(proto: Message, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        assign_proto(proto, name, value)


def _plain(field: Any, value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    whole = isinstance(value, float) and value.is_integer()
    return int(value) if whole and field.cpp_type not in (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE) else value


class Function:
    """One layer: its type, the tops that it reads, its fields; `ntop` says how many tops it makes, `in_place` that they are its bottoms."""

    def __init__(self, type_name: str, inputs: Iterable[Top], params: dict[str, Any]) -> None:
        self.type_name, self.inputs, self.params = type_name, tuple(inputs), dict(params)
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
        """Add this layer's prototxt, and before it what it reads."""
        if self in spec.layers:
            return
        bottoms = []
        for bottom in self.inputs:
            bottom.fn.write(spec)
            bottoms.append(spec.layers[bottom.fn].top[bottom.n])
        tops = bottoms if self.in_place else [spec.name(top, self.type_name) for top in self.tops]
        name = spec.name(self.tops[0] if self.ntop else self, self.type_name)
        layer = pb.LayerParameter(name=name, type=self.type_name, bottom=bottoms, top=tops)
        for key, value in self.params.items():
            self._set(layer, key, value)
        spec.layers[self] = layer

    def _set(self, layer: pb.LayerParameter, key: str, value: Any) -> None:
        own = getattr(layer, _FIELDS[self.type_name]) if self.type_name in _FIELDS else None
        in_layer = key in layer.DESCRIPTOR.fields_by_name
        target: Any = layer if key.endswith("param") or own is None or key not in own.DESCRIPTOR.fields_by_name else own
        if target is layer and not in_layer:
            known = [*layer.DESCRIPTOR.fields_by_name, *(own.DESCRIPTOR.fields_by_name if own is not None else ())]
            raise LayerError(layer.name, f"{self.type_name} has no such field{suggest(key, known)}", key)
        try:
            assign_proto(target, key, value)
        except AttributeError as error:
            raise LayerError(layer.name, f"has no field '{error}'", key) from None
        except (TypeError, ValueError) as error:
            raise LayerError(layer.name, f"{value!r}: {error}", key) from None


class Top:
    """One of the blobs that a layer makes."""

    def __init__(self, fn: Function, n: int) -> None:
        self.fn, self.n = fn, n

    def to_proto(self) -> pb.NetParameter:
        """The net of all that this blob needs."""
        return to_proto(self)

    def _update(self, params: Mapping[str, Any]) -> None:
        self.fn._update(params)


class _Writer:
    """Layers as they are written, and the names of tops and of layers without one."""

    def __init__(self, names: dict[Top | Function, str]) -> None:
        self.names, self.numbers = names, Counter[str]()
        self.layers: dict[Function, pb.LayerParameter] = {}

    def name(self, what: Top | Function, type_name: str) -> str:
        if what not in self.names:
            self.numbers[type_name] += 1
            self.names[what] = type_name + str(self.numbers[type_name])
        return self.names[what]

    def net(self, tops: Iterable[Top | Function]) -> pb.NetParameter:
        for top in tops:
            (top.fn if isinstance(top, Top) else top).write(self)
        return pb.NetParameter(layer=self.layers.values())


def to_proto(*tops: Top | Function) -> pb.NetParameter:
    """The net of all that these blobs need."""
    return _Writer({}).net(tops)


class NetSpec:
    """Blobs by name, assigned as attributes or items; to_proto gives the net that makes them."""

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
        return list(self.tops)

    def vals(self) -> list[Top | Function]:
        return list(self.tops.values())

    def update(self, name: str, params: Mapping[str, Any]) -> None:
        """Set more fields of a layer."""
        self.tops[name]._update(params)

    def to_proto(self) -> pb.NetParameter:
        """The net, its layers named as what they make first."""
        return _Writer({top: name for name, top in self.tops.items()}).net(self.tops.values())


class Layers:
    """`layers.Type(bottom, ..., field=value)` adds a layer: its top, its tops, or with ntop=0 the layer itself."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)

        def make(*bottoms: Top, **fields: Any) -> Any:
            fn = Function(name, bottoms, fields)
            return fn if fn.ntop == 0 else fn.tops[0] if fn.ntop == 1 else fn.tops

        return make


class Parameters:
    """`params.Pooling.MAX`: the constants of messages."""

    def __getattr__(self, name: str) -> Any:
        message = getattr(pb, f"{name}Parameter", None)
        if message is None:
            messages = [n.removesuffix("Parameter") for n in pb.DESCRIPTOR.message_types_by_name if n.endswith("Parameter")]
            raise AttributeError(f"there is no message {name}Parameter{suggest(name, messages)}")
        return message


layers = Layers()
params = Parameters()
