"""What differs between two nets, as a person wants to read it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.binary import blob_shape, read_weights
from caffe_ir.rules import Shape, shape_text
from caffe_ir.schema import is_repeated
from caffe_ir.walk import Walk, WalkedLayer
from netgen.reports.walks import named_net

LONGEST = 60  # characters of a value
Shapes = dict[str, list[str]]  # of each layer's weights, by its name


def diff(a: str, b: str, phase: str | None = None, target: str = "ssd") -> str:
    """The differences of b against a, "" for none.

    Layers removed (-), added (+) and changed (~), then the totals. Where one of the two is a
    caffemodel, layers with weights are compared by their shapes; two of them by their values, too.

    a, b: zoo ids, prototxt files or caffemodels.
    phase: "train", "test" or "deploy": of ids (None: deploy), and which layers of files count.
    target: the Caffe build that ids' nets are for, "ssd" or "fssd".

    Raises CaffeError for an unknown id and a file that cannot be read, LayerError where a layer
    does not fit.
    """
    old, new = (_read(name, phase, target) for name in (a, b))
    if isinstance(old, Walk) and isinstance(new, Walk):
        return "\n".join(_walks(old, new))
    lines = list(_weights(_shapes(old), _shapes(new)))
    if isinstance(old, pb.NetParameter) and isinstance(new, pb.NetParameter):
        lines += _values(old, new)
    return "\n".join(lines)


def _read(name: str, phase: str | None, target: str) -> Walk | pb.NetParameter:
    """A caffemodel, or the walk through the net of a zoo id or prototxt."""
    if name.endswith(".caffemodel"):
        return read_weights(name)
    return named_net(name, phase, target)[1]


def _walks(a: Walk, b: Walk) -> Iterator[str]:
    yield from _layers(a, b)
    yield from _inputs(a, b)
    totals = list(_totals(a, b))
    if totals:
        yield "totals"
        yield from totals


def _inputs(a: Walk, b: Walk) -> Iterator[str]:
    for name in a.inputs:
        if name in b.inputs and a.blobs[name] != b.blobs[name]:
            yield f"~ input {name}: {shape_text(a.blobs[name])} -> {shape_text(b.blobs[name])}"


def _totals(a: Walk, b: Walk) -> Iterator[str]:
    totals = [
        ("layers", len(a.layers), len(b.layers)),
        ("boxes", a.priors, b.priors),
        ("parameters", a.learnable - a.frozen, b.learnable - b.frozen),
        ("frozen", a.frozen, b.frozen),
        ("multiply-adds", a.macs, b.macs),
    ]
    for name, old, new in totals:
        if old != new:
            yield f"  {name}: {old:,} -> {new:,} ({new - old:+,})"


def _layers(a: Walk, b: Walk) -> Iterator[str]:
    mine = {walked.layer.name: walked for walked in a.layers}
    theirs = {walked.layer.name: walked for walked in b.layers}
    for name, old in mine.items():
        if name in theirs:
            yield from _layer(old, theirs[name])
        else:
            yield f"- {old.layer.type} {name}{_top(old)}"
    for name, new in theirs.items():
        if name not in mine:
            yield f"+ {new.layer.type} {name}{_top(new)}"
    order = [name for name in mine if name in theirs]
    other = [name for name in theirs if name in mine]
    if order != other:
        first = next(x for x, y in zip(order, other, strict=True) if x != y)
        yield f"~ another order, from layer {first} on"


def _layer(old: WalkedLayer, new: WalkedLayer) -> Iterator[str]:
    """A heading and a line a change, of a layer that both nets have; nothing if it is the same."""
    changes = [*_fields(old.layer, new.layer), *_tops(old, new)]
    before = _texts(param.shape for param in old.facts.params)
    after = _texts(param.shape for param in new.facts.params)
    if before != after:
        changes.append(f"parameters: {_listed(before)} -> {_listed(after)}")
    if changes:
        yield f"~ {new.layer.type} {new.layer.name}"
        yield from (f"    {change}" for change in changes)


def _listed(shapes: Sequence[str]) -> str:
    return ", ".join(shapes) or "none"


def _tops(old: WalkedLayer, new: WalkedLayer) -> Iterator[str]:
    shapes: Iterable[tuple[Shape, Shape]] = zip(old.facts.tops, new.facts.tops, strict=False)
    for top, (before, after) in zip(old.layer.top, shapes, strict=False):
        if before != after:
            yield f"shape of {top}: {shape_text(before)} -> {shape_text(after)}"


def _top(walked: WalkedLayer) -> str:
    if not walked.facts.tops:
        return ""
    return f" {shape_text(walked.facts.tops[0])}"


def _fields(a: Any, b: Any, path: str = "") -> Iterator[str]:
    """A line per field of two messages that differs: "convolution_param.pad: 0 -> 1".

    A field that is not there is "-".
    """
    for field in a.DESCRIPTOR.fields:
        name = f"{path}{field.name}"
        if not field.message_type:
            before, after = _value(a, field), _value(b, field)
            if before != after:
                yield f"{name}: {before} -> {after}"
        elif is_repeated(field):
            yield from _repeated(getattr(a, field.name), getattr(b, field.name), name)
        elif a.HasField(field.name) or b.HasField(field.name):
            yield from _fields(getattr(a, field.name), getattr(b, field.name), f"{name}.")


def _repeated(a: Sequence[Any], b: Sequence[Any], name: str) -> Iterator[str]:
    if len(a) != len(b):
        yield f"{name}: {len(a)} -> {len(b)} of them"
    for index, (one, other) in enumerate(zip(a, b, strict=False)):
        yield from _fields(one, other, f"{name}[{index}].")


def _value(message: Any, field: Any) -> str:
    """A field's value or values as in a prototxt, cut off where they are long."""
    values = _field_values(message, field)
    if field.enum_type:
        values = [field.enum_type.values_by_number[value].name for value in values]
    text = " ".join(map(_word, values)) or "-"
    if len(text) <= LONGEST:
        return text
    return f"{text[: LONGEST - 1]}…"


def _field_values(message: Any, field: Any) -> list[Any]:
    if is_repeated(field):
        return list(getattr(message, field.name))
    if not message.HasField(field.name):
        return []
    return [getattr(message, field.name)]


def _word(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _shapes(net: pb.NetParameter | Walk) -> Shapes:
    """The shapes of each layer's weights."""
    if isinstance(net, Walk):
        params = {w.layer.name: w.facts.params for w in net.layers if w.facts.params}
        return {name: _texts(param.shape for param in found) for name, found in params.items()}
    blobs = {layer.name: layer.blobs for layer in net.layer if layer.blobs}
    return {name: _texts(map(blob_shape, found)) for name, found in blobs.items()}


def _texts(shapes: Iterable[Shape]) -> list[str]:
    return [shape_text(shape) for shape in shapes]


def _weights(a: Shapes, b: Shapes) -> Iterator[str]:
    for name, shapes in a.items():
        if name not in b:
            yield f"- {name} {', '.join(shapes)}"
        elif b[name] != shapes:
            yield f"~ {name} {', '.join(shapes)} -> {', '.join(b[name])}"
    for name, shapes in b.items():
        if name not in a:
            yield f"+ {name} {', '.join(shapes)}"


def _values(a: pb.NetParameter, b: pb.NetParameter) -> Iterator[str]:
    """A line per layer of two caffemodels whose weights differ, but not their shapes."""
    theirs = {layer.name: list(layer.blobs) for layer in b.layer}
    for layer in a.layer:
        mine, other = list(layer.blobs), theirs.get(layer.name)
        if other is None or mine == other:
            continue
        if [blob_shape(blob) for blob in mine] == [blob_shape(blob) for blob in other]:
            yield f"~ {layer.name} other values"
