"""What a net comes to, as text: its source maps and boxes, parameters and multiply-adds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules import shape_text
from caffe_ir.rules.detection import boxes_per_cell
from caffe_ir.walk import Walk, WalkedLayer
from netgen.reports.walks import image_shape, named_net, or_dash, prior_layers
from ssd_common.tables import aligned

LAYER_COLUMNS = ("layer", "type", "top", "parameters", "MMACs")
SOURCE_COLUMNS = (
    "source map",
    "shape",
    "per cell",
    "boxes",
    "min size",
    "max size",
    "ratios",
    "step",
)


def _table(rows: Iterable[Sequence[str]], left: int = 1) -> str:
    return "\n".join(aligned(rows, left))


def summary(
    net: str, phase: str | None = None, target: str = "ssd", *, layers: bool = False
) -> str:
    """Source maps with their prior boxes, and the totals of one forward pass.

    net: a zoo id or a prototxt file.
    phase: "train", "test" or "deploy"; None for the deploy net of an id, and what a file is for.
    target: the Caffe build that an id's net is for, "ssd" or "fssd".
    layers: a line per layer, too.

    Raises CaffeError for an unknown id and a file that cannot be read, LayerError where a layer
    does not fit.
    """
    message, found = named_net(net, phase, target)
    name = message.name or "a net without a name"
    parts = [f"{name}: input {shape_text(image_shape(found))}, {len(found.layers)} layers"]
    if layers:
        parts.append(_table([LAYER_COLUMNS, *map(_layer_row, found.layers)], left=2))
    if found.priors:
        parts.append(_table(source_rows(found)))
    parts.append(_table(_totals(found), left=2))
    return "\n\n".join(parts)


def _totals(found: Walk) -> list[tuple[str, str]]:
    totals = {
        "boxes": found.priors,
        "parameters": found.learnable - found.frozen,
        "frozen": found.frozen,
        "statistics": found.statistics,
        "multiply-adds": found.macs,
    }
    rows = [(name, f"{value:,}") for name, value in totals.items() if value]
    rows.append(("outputs", " ".join(found.outputs) or "-"))
    return rows


def _layer_row(walked: WalkedLayer) -> tuple[str, ...]:
    """A line of `LAYER_COLUMNS`."""
    layer, facts = walked.layer, walked.facts
    values = sum(math.prod(param.shape) for param in facts.params)
    top = shape_text(facts.tops[0]) if facts.tops else "-"
    return (
        layer.name,
        layer.type,
        top,
        or_dash(values),
        f"{facts.macs / 1e6:,.1f}",
    )


def source_rows(found: Walk) -> list[tuple[str, ...]]:
    """A line per map with prior boxes, under the heading `SOURCE_COLUMNS`."""
    return [SOURCE_COLUMNS, *map(_source_row, prior_layers(found))]


def _source_row(walked: WalkedLayer) -> tuple[str, ...]:
    shape, prior = walked.bottoms[0], walked.layer.prior_box_param
    boxes = walked.facts.tops[0][2] // 4
    return (
        walked.layer.bottom[0],
        shape_text(shape[1:]),
        str(boxes_per_cell(prior)),
        f"{boxes:,}",
        _numbers(prior.min_size),
        _numbers(prior.max_size),
        _numbers(prior.aspect_ratio),
        _step(prior),
    )


def _numbers(values: Iterable[float]) -> str:
    return " ".join(f"{value:g}" for value in values) or "-"


def _step(prior: pb.PriorBoxParameter) -> str:
    """The distance of a PriorBox layer's cells in pixels, and where the first one is centred."""
    step = "auto"
    if prior.HasField("step_h"):
        step = f"{prior.step_h:g} x {prior.step_w:g}"
    elif prior.HasField("step"):
        step = f"{prior.step:g}"
    if prior.offset != 0.5:
        step += f", from {prior.offset:g} steps on"
    return step
