"""What a net comes to, as text: its source maps and boxes, parameters, multiply-adds; and whether a file is sound at all."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.phase import filter_net
from caffe_ir.rules import Shape, shape_text
from caffe_ir.text import read_net, read_solver
from caffe_ir.upgrade import upgrade_net
from caffe_ir.walk import Walk, walk
from ssd_common.errors import CaffeError, LayerError, ParseError
from ssd_common.tables import aligned

COLUMNS = ("file", "input", "layers", "boxes", "parameters", "frozen", "statistics", "GMACs/image")


def table(rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """Rows in aligned columns, the first `left` flush left and the others right."""
    return "\n".join(aligned(rows, left))


def walk_net(net: pb.NetParameter, phase: str | None = None) -> Walk:
    """Walk a net in a phase ("train", or else TEST); None for TRAIN where some layer is for that alone. Raises LayerError."""
    upgraded = pb.NetParameter()
    upgraded.CopyFrom(net)
    upgrade_net(upgraded)
    trained = any(rule.phase == pb.TRAIN for layer in net.layer for rule in layer.include if rule.HasField("phase"))
    train = phase == "train" or (phase is None and trained)
    return walk(filter_net(upgraded, pb.TRAIN if train else pb.TEST))


def image_shape(found: Walk) -> Shape:
    """The shape of a net's first image blob: of its Input layer, or of the data layer's first top."""
    if found.inputs:
        return found.blobs[found.inputs[0]]
    first = next((w for w in found.layers if not w.bottoms and w.facts.tops), None)
    return first.facts.tops[0] if first else ()


def summary(net: pb.NetParameter, phase: str | None = None, *, layers: bool = False) -> str:
    """Source maps with their prior boxes, and the totals of one forward pass; `layers`: a line per layer, too. Raises LayerError."""
    found = walk_net(net, phase)
    parts = [f"{net.name or 'a net without a name'}: input {shape_text(image_shape(found))}, {len(found.layers)} layers"]
    if layers:
        parts.append(table(layer_rows(found), left=2))
    if found.priors:
        parts.append(table(source_rows(found)))
    totals = {
        "boxes": found.priors,
        "parameters": found.learnable - found.frozen,
        "frozen": found.frozen,
        "statistics": found.statistics,
        "multiply-adds": found.macs,
    }
    lines = [(name, f"{value:,}") for name, value in totals.items() if value]
    lines.append(("outputs", " ".join(found.outputs) or "-"))
    parts.append(table(lines, left=2))
    return "\n\n".join(parts)


def layer_rows(found: Walk) -> list[tuple[str, ...]]:
    """A line per layer, under a heading."""
    rows: list[tuple[str, ...]] = [("layer", "type", "top", "parameters", "MMACs")]
    for walked in found.layers:
        values = sum(math.prod(param.shape) for param in walked.facts.params)
        top = shape_text(walked.facts.tops[0]) if walked.facts.tops else "-"
        rows.append((walked.layer.name, walked.layer.type, top, f"{values:,}" if values else "-", f"{walked.facts.macs / 1e6:,.1f}"))
    return rows


def source_rows(found: Walk) -> list[tuple[str, ...]]:
    """A line per map with prior boxes, under a heading."""
    rows: list[tuple[str, ...]] = [("source map", "shape", "per cell", "boxes", "min size", "max size", "ratios", "step")]
    for walked in found.layers:
        if walked.layer.type == "PriorBox":
            shape, prior = walked.bottoms[0], walked.layer.prior_box_param
            boxes = walked.facts.tops[0][2] // 4
            lists = [" ".join(f"{v:g}" for v in values) or "-" for values in (prior.min_size, prior.max_size, prior.aspect_ratio)]
            step = f"{prior.step:g}" if prior.HasField("step") else "auto"
            if prior.HasField("step_h"):
                step = f"{prior.step_h:g} x {prior.step_w:g}"
            if prior.offset != 0.5:
                step += f", from {prior.offset:g} steps on"
            rows.append((walked.layer.bottom[0], shape_text(shape[1:]), str(boxes // math.prod(shape[2:])), f"{boxes:,}", *lists, step))
    return rows


def centres_inside(found: Walk) -> float:
    """The share of the prior boxes whose centre lies in the image, borders included."""
    inside = boxes = 0
    for walked in found.layers:
        if walked.layer.type != "PriorBox":
            continue
        prior, (cells, image) = walked.layer.prior_box_param, walked.bottoms[:2]
        steps = [
            getattr(prior, f"step_{axis}") or prior.step or pixels / count
            for axis, pixels, count in zip("hw", image[2:], cells[2:], strict=True)
        ]
        good = [
            sum(0 <= (i + prior.offset) * step <= pixels for i in range(count))
            for step, pixels, count in zip(steps, image[2:], cells[2:], strict=True)
        ]
        per_cell = walked.facts.tops[0][2] // 4 // math.prod(cells[2:])
        inside += per_cell * math.prod(good)
        boxes += per_cell * math.prod(cells[2:])
    return inside / boxes if boxes else 1


def is_solver(path: str) -> bool:
    """Whether a prototxt looks like a solver's: some top-level field that only those have."""
    try:
        content = Path(path).read_text(errors="replace")
    except OSError as error:
        raise ParseError(path, error.strerror or str(error)) from None
    return re.search(r"^[ \t]*(train_net|test_net|net|base_lr|lr_policy|max_iter)[ \t]*:", content, re.MULTILINE) is not None


def check(path: str) -> tuple[str, ...]:
    """Check a net or solver and return its line: for `COLUMNS`, or a solver's path and what it does.

    Raises CaffeError where it does not parse, a shape does not fit, heads and boxes differ in number, or a solver's nets are missing
    or do not suit it.
    """
    if is_solver(path):
        return check_solver(path)
    net = read_net(path)
    try:
        found = walk_net(net)
    except LayerError as error:
        raise CaffeError(f"{path}: {error}") from None
    if not found.layers:
        raise ParseError(path, "has no layers")
    counts = (found.priors, found.learnable - found.frozen, found.frozen, found.statistics)
    shape = image_shape(found)
    macs = found.macs / (shape[0] if shape else 1)
    return (path, shape_text(shape), str(len(found.layers)), *(f"{n:,}" if n else "-" for n in counts), f"{macs / 1e9:.2f}")


def check_solver(path: str) -> tuple[str, ...]:
    """Check a solver and the nets that it names; returns its path and what it does."""
    solver = read_solver(path)
    train = solver.train_net or solver.net
    inside = solver.HasField("net_param") or solver.HasField("train_net_param")
    if not train and not inside:
        raise ParseError(path, "names no net to train: train_net or net is missing")
    for name in filter(None, (train, *solver.test_net)):
        if not os.path.exists(name):
            raise ParseError(path, f"'{name}' is not there (paths count from where Caffe is started)")
        check(name)
    steps = list(solver.stepvalue)
    if steps != sorted(steps):
        raise ParseError(path, f"stepvalue should rise: {', '.join(map(str, steps))}")
    if len(solver.test_iter) != len(solver.test_net) + len(solver.test_net_param) and solver.test_net:
        raise ParseError(path, f"{len(solver.test_net)} test nets need as many test_iter, not {len(solver.test_iter)}")
    for name, passes in zip(solver.test_net, solver.test_iter, strict=False):
        _check_coverage(path, name, passes)
    what = f"{solver.max_iter:,} iterations, lr {solver.base_lr:g}"
    if steps:
        what += f" ÷{1 / solver.gamma:g} at {', '.join(f'{step:,}' for step in steps)}"
    return path, what


def _check_coverage(path: str, test_net: str, passes: int) -> None:
    """Refuse a test that ends before every image was seen: its results would be of some images only."""
    net = read_net(test_net)
    batch = next((layer.data_param.batch_size for layer in net.layer if layer.data_param.batch_size), 0)
    images = next(
        (layer.detection_output_param.save_output_param.num_test_image for layer in net.layer if layer.type == "DetectionOutput"), 0
    )
    if batch and passes * batch < images:
        raise ParseError(path, f"test_iter {passes} of batch {batch} leaves out some of the {images} test images")
