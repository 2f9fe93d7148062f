"""What differs between two nets, as a person wants to read it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.binary import blob_shape, read_weights
from caffe_ir.rules import shape_text
from caffe_ir.schema import is_repeated
from caffe_ir.text import read_net
from caffe_ir.walk import Walk
from netgen.reports.summary import walk_net

LONGEST = 60  # characters of a value


def read(name: str, phase: str | None, target: str) -> tuple[pb.NetParameter, Walk | None]:
    """A net by zoo id, prototxt or caffemodel; the walk through it, None for a caffemodel, whose shapes are its weights'."""
    if name.endswith(".caffemodel"):
        return read_weights(name), None
    if os.path.exists(name) or name.endswith(".prototxt") or os.sep in name:
        net = read_net(name)
        return net, walk_net(net, phase)
    import netgen  # noqa: PLC0415

    net = netgen.build(name, phase or "deploy", target)
    return net, walk_net(net, phase or "deploy")


def diff(a: str, b: str, phase: str | None = None, target: str = "ssd") -> str:
    """The differences of b against a, "" for none: layers removed (-), added (+) and changed (~), then the totals.

    a, b: zoo ids, prototxt files or caffemodels. Where one is a caffemodel, layers with weights are compared by their shapes; two of
    them by their values, too. phase: of ids (default: deploy), and which layers of files count. Raises CaffeError.
    """
    (net_a, walk_a), (net_b, walk_b) = read(a, phase, target), read(b, phase, target)
    if walk_a is None or walk_b is None:
        lines = list(_weights(_parameters(net_a, walk_a), _parameters(net_b, walk_b)))
        if walk_a is walk_b is None:
            mine, theirs = ({layer.name: list(layer.blobs) for layer in net.layer} for net in (net_a, net_b))
            kept = [name for name in mine if name in theirs and mine[name] != theirs[name]]
            shapes = [[[blob_shape(blob) for blob in side[name]] for name in kept] for side in (mine, theirs)]
            lines += [f"~ {name} other values" for name, x, y in zip(kept, *shapes, strict=True) if x == y]
        return "\n".join(lines)
    lines = list(_layers(walk_a, walk_b))
    lines += [
        f"~ input {name}: {shape_text(walk_a.blobs[name])} -> {shape_text(walk_b.blobs[name])}"
        for name in walk_a.inputs
        if name in walk_b.inputs and walk_a.blobs[name] != walk_b.blobs[name]
    ]
    totals = [
        ("layers", len(walk_a.layers), len(walk_b.layers)),
        ("boxes", walk_a.priors, walk_b.priors),
        ("parameters", walk_a.learnable - walk_a.frozen, walk_b.learnable - walk_b.frozen),
        ("frozen", walk_a.frozen, walk_b.frozen),
        ("multiply-adds", walk_a.macs, walk_b.macs),
    ]
    changed = [f"  {name}: {x:,} -> {y:,} ({y - x:+,})" for name, x, y in totals if x != y]
    return "\n".join([*lines, *(["totals", *changed] if changed else [])])


def _layers(a: Walk, b: Walk) -> Iterator[str]:
    mine = {walked.layer.name: walked for walked in a.layers}
    theirs = {walked.layer.name: walked for walked in b.layers}
    for name, old in mine.items():
        if name not in theirs:
            yield f"- {old.layer.type} {name}{_top(old.facts.tops)}"
            continue
        new = theirs[name]
        changes = list(_fields(old.layer, new.layer))
        for index, top in enumerate(old.layer.top):
            if index < len(new.facts.tops) and old.facts.tops[index] != new.facts.tops[index]:
                changes.append(f"shape of {top}: {shape_text(old.facts.tops[index])} -> {shape_text(new.facts.tops[index])}")
        shapes = [[shape_text(p.shape) for p in walked.facts.params] for walked in (old, new)]
        if shapes[0] != shapes[1]:
            changes.append(f"parameters: {', '.join(shapes[0]) or 'none'} -> {', '.join(shapes[1]) or 'none'}")
        if changes:
            yield f"~ {new.layer.type} {name}"
            yield from (f"    {change}" for change in changes)
    for name, new in theirs.items():
        if name not in mine:
            yield f"+ {new.layer.type} {name}{_top(new.facts.tops)}"
    common = [[name for name in walked if name in mine and name in theirs] for walked in (mine, theirs)]
    if common[0] != common[1]:
        first = next(x for x, y in zip(*common, strict=True) if x != y)
        yield f"~ another order, from layer {first} on"


def _top(tops: Any) -> str:
    return f" {shape_text(tops[0])}" if tops else ""


def _fields(a: Any, b: Any, path: str = "") -> Iterator[str]:
    """A line per field of two messages that differs: "convolution_param.pad: 0 -> 1"; a field that is not there is "-"."""
    for field in a.DESCRIPTOR.fields:
        name = f"{path}{field.name}"
        if field.message_type and not is_repeated(field):
            if a.HasField(field.name) or b.HasField(field.name):
                yield from _fields(getattr(a, field.name), getattr(b, field.name), f"{name}.")
        elif field.message_type:
            parts = list(getattr(a, field.name)), list(getattr(b, field.name))
            if len(parts[0]) != len(parts[1]):
                yield f"{name}: {len(parts[0])} -> {len(parts[1])} of them"
            for index, (one, other) in enumerate(zip(*parts, strict=False)):
                yield from _fields(one, other, f"{name}[{index}].")
        else:
            values = _value(a, field), _value(b, field)
            if values[0] != values[1]:
                yield f"{name}: {values[0]} -> {values[1]}"


def _value(message: Any, field: Any) -> str:
    value = getattr(message, field.name)
    values = list(value) if is_repeated(field) else [value] if message.HasField(field.name) else []
    if field.enum_type:
        values = [field.enum_type.values_by_number[v].name for v in values]
    text = " ".join(f"{v:g}" if isinstance(v, float) else str(v).lower() if isinstance(v, bool) else str(v) for v in values) or "-"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _parameters(net: pb.NetParameter, walked: Walk | None) -> dict[str, list[str]]:
    """The shapes of each layer's weights, by name."""
    if walked is not None:
        return {w.layer.name: [shape_text(p.shape) for p in w.facts.params] for w in walked.layers if w.facts.params}
    return {layer.name: [shape_text(blob_shape(blob)) for blob in layer.blobs] for layer in net.layer if layer.blobs}


def _weights(a: dict[str, list[str]], b: dict[str, list[str]]) -> Iterator[str]:
    for name, shapes in a.items():
        if name not in b:
            yield f"- {name} {', '.join(shapes)}"
        elif b[name] != shapes:
            yield f"~ {name} {', '.join(shapes)} -> {', '.join(b[name])}"
    for name, shapes in b.items():
        if name not in a:
            yield f"+ {name} {', '.join(shapes)}"
