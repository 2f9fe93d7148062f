"""A net summed up as text: its source maps and boxes, parameters and multiply-adds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.prior_boxes import image_size
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
    """Sum a net up: its source maps with their prior boxes, and the totals of a forward pass.

    net: a zoo id or a prototxt file.
    phase: "train", "test" or "deploy"; None for an id's deploy net, and a file's own phase.
    target: the Caffe build that an id's net is written for, "ssd" or "fssd".
    layers: list every layer, too.

    Raises CaffeError for an unknown id or an unreadable file, LayerError where a layer does not
    fit.
    """
    message, found = named_net(net, phase, target)
    name = message.name or "a net without a name"
    size = shape_text(image_shape(found))
    parts = [f"{name}: input {size}, {len(found.layers)} layers"]
    if layers:
        rows = [LAYER_COLUMNS, *map(_layer_row, found.layers)]
        parts.append(_table(rows, left=2))
    if found.priors:
        rows = source_rows(found)
        parts.append(_table(rows))
    totals = _totals(found)
    parts.append(_table(totals, left=2))
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
    """Return a row of `LAYER_COLUMNS`."""
    facts = walked.facts
    values = sum(math.prod(param.shape) for param in facts.params)
    top = "-"
    if facts.tops:
        top = shape_text(facts.tops[0])
    return (
        walked.layer.name,
        walked.layer.type,
        top,
        or_dash(values),
        f"{facts.macs / 1e6:,.1f}",
    )


def source_rows(found: Walk) -> list[tuple[str, ...]]:
    """Return one row per map with prior boxes, under the heading `SOURCE_COLUMNS`.

    Sizes are pixels as PriorBox has them, which cuts off fractions: "35 (35.84)" where 35.84 is
    written.
    """
    return [SOURCE_COLUMNS, *map(_source_row, prior_layers(found))]


def _source_row(walked: WalkedLayer) -> tuple[str, ...]:
    shape = walked.bottoms[0]
    prior = walked.layer.prior_box_param
    scale = _pixels_per_unit(walked)
    boxes = walked.facts.tops[0][2] // 4
    return (
        walked.layer.bottom[0],
        shape_text(shape[1:]),
        str(boxes_per_cell(prior)),
        f"{boxes:,}",
        _sides(prior.min_size, scale),
        _sides(prior.max_size, scale),
        _numbers(prior.aspect_ratio),
        _step(prior, scale),
    )


def _numbers(values: Iterable[float]) -> str:
    return " ".join(f"{value:g}" for value in values) or "-"


def _pixels_per_unit(walked: WalkedLayer) -> float:
    """Return how many pixels of the image one unit of a PriorBox layer's sizes and step is."""
    if len(walked.bottoms) == 1:
        return 1
    height, width = walked.bottoms[1][2:]
    return min(height, width) / min(image_size(walked.layer.prior_box_param, (height, width)))


def _sides(values: Iterable[float], scale: float) -> str:
    """Return sizes in pixels as they run, and in brackets as written where PriorBox cuts them."""
    texts = []
    for value in values:
        text = f"{int(value) * scale:g}"
        if value != int(value):
            text += f" ({value * scale:g})"
        texts.append(text)
    return " ".join(texts) or "-"


def _step(prior: pb.PriorBoxParameter, scale: float) -> str:
    """Return the pixels between a PriorBox layer's cells, and the first centre's offset."""
    step = "auto"
    if prior.HasField("step_h"):
        step = f"{prior.step_h * scale:g} x {prior.step_w * scale:g}"
    elif prior.HasField("step"):
        step = f"{prior.step * scale:g}"
    if prior.offset != 0.5:
        step += f", from {prior.offset:g} steps on"
    return step
