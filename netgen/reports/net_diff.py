"""The differences between two nets, in lines for people to read."""

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
Shapes = dict[str, list[str]]  # layer name → the shapes of its weights


def diff(a: str, b: str, phase: str | None = None, target: str = "ssd") -> str:
    """Compare net b with net a.

    Two nets are compared layer by layer. If one of the two is a caffemodel, the shapes of their
    weights are compared; if both are, their values too.

    a, b: zoo ids, prototxt files or caffemodels.
    phase: "train", "test" or "deploy", for ids (None: deploy) and for the layers of files.
    target: the Caffe build that ids' nets are written for, "ssd" or "fssd".

    Returns lines of removed (-), added (+) and changed (~) layers, then the totals; "" where
    nothing differs.
    Raises CaffeError for an unknown id or an unreadable file, LayerError where a layer does not
    fit.
    """
    old = _read(a, phase, target)
    new = _read(b, phase, target)
    if isinstance(old, Walk) and isinstance(new, Walk):
        return "\n".join(_walks(old, new))
    old_shapes = _shapes(old)
    new_shapes = _shapes(new)
    lines = list(_weights(old_shapes, new_shapes))
    if isinstance(old, pb.NetParameter) and isinstance(new, pb.NetParameter):
        lines += _values(old, new)
    return "\n".join(lines)


def _read(name: str, phase: str | None, target: str) -> Walk | pb.NetParameter:
    """Read a caffemodel, or walk the net of a zoo id or prototxt."""
    if name.endswith(".caffemodel"):
        return read_weights(name)
    _, walked = named_net(name, phase, target)
    return walked


def _walks(a: Walk, b: Walk) -> Iterator[str]:
    yield from _layers(a, b)
    yield from _inputs(a, b)
    totals = list(_totals(a, b))
    if totals:
        yield "totals"
        yield from totals


def _inputs(a: Walk, b: Walk) -> Iterator[str]:
    for name in a.inputs:
        if name not in b.inputs:
            continue
        before = a.blobs[name]
        after = b.blobs[name]
        if before != after:
            yield f"~ input {name}: {shape_text(before)} -> {shape_text(after)}"


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
    before = {walked.layer.name: walked for walked in a.layers}
    after = {walked.layer.name: walked for walked in b.layers}
    for name, old in before.items():
        if name in after:
            yield from _layer(old, after[name])
        else:
            yield f"- {old.layer.type} {name}{_top(old)}"
    for name, new in after.items():
        if name not in before:
            yield f"+ {new.layer.type} {name}{_top(new)}"
    old_order = [name for name in before if name in after]
    new_order = [name for name in after if name in before]
    for old_name, new_name in zip(old_order, new_order, strict=True):
        if old_name != new_name:
            yield f"~ another order, from layer {old_name} on"
            return


def _layer(old: WalkedLayer, new: WalkedLayer) -> Iterator[str]:
    """Yield a heading and one line per change of a layer that both nets have, if any."""
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
    tops = zip(old.layer.top, old.facts.tops, new.facts.tops, strict=False)
    for top, before, after in tops:
        if before != after:
            yield f"shape of {top}: {shape_text(before)} -> {shape_text(after)}"


def _top(walked: WalkedLayer) -> str:
    if not walked.facts.tops:
        return ""
    return f" {shape_text(walked.facts.tops[0])}"


def _fields(a: Any, b: Any, path: str = "") -> Iterator[str]:
    """Yield one line per field that differs: "convolution_param.pad: 0 -> 1".

    A missing field is "-".
    """
    for field in a.DESCRIPTOR.fields:
        name = f"{path}{field.name}"
        if not field.message_type:
            yield from _plain(a, b, field, name)
            continue
        old = getattr(a, field.name)
        new = getattr(b, field.name)
        if is_repeated(field):
            yield from _repeated(old, new, name)
        elif a.HasField(field.name) or b.HasField(field.name):
            yield from _fields(old, new, f"{name}.")


def _plain(a: Any, b: Any, field: Any, name: str) -> Iterator[str]:
    """Yield a line for a field of numbers, words or enum values, where it differs."""
    before = _value(a, field)
    after = _value(b, field)
    if before != after:
        yield f"{name}: {before} -> {after}"


def _repeated(a: Sequence[Any], b: Sequence[Any], name: str) -> Iterator[str]:
    if len(a) != len(b):
        yield f"{name}: {len(a)} -> {len(b)} of them"
    for index, (old, new) in enumerate(zip(a, b, strict=False)):
        yield from _fields(old, new, f"{name}[{index}].")


def _value(message: Any, field: Any) -> str:
    """Return a field's value or values as in a prototxt; long ones are cut off."""
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
    """Return the shapes of each layer's weights."""
    shapes: Shapes = {}
    if isinstance(net, Walk):
        for walked in net.layers:
            if walked.facts.params:
                shapes[walked.layer.name] = _texts(param.shape for param in walked.facts.params)
        return shapes
    for layer in net.layer:
        if layer.blobs:
            shapes[layer.name] = _texts(map(blob_shape, layer.blobs))
    return shapes


def _texts(shapes: Iterable[Shape]) -> list[str]:
    return [shape_text(shape) for shape in shapes]


def _weights(a: Shapes, b: Shapes) -> Iterator[str]:
    for name, shapes in a.items():
        before = ", ".join(shapes)
        if name not in b:
            yield f"- {name} {before}"
        elif b[name] != shapes:
            yield f"~ {name} {before} -> {', '.join(b[name])}"
    for name, shapes in b.items():
        if name not in a:
            yield f"+ {name} {', '.join(shapes)}"


def _values(a: pb.NetParameter, b: pb.NetParameter) -> Iterator[str]:
    """Yield one line per layer with weights of equal shapes but other values."""
    after = {layer.name: list(layer.blobs) for layer in b.layer}
    for layer in a.layer:
        old = list(layer.blobs)
        new = after.get(layer.name)
        if new is None or old == new:
            continue
        if list(map(blob_shape, old)) == list(map(blob_shape, new)):
            yield f"~ {layer.name} other values"
