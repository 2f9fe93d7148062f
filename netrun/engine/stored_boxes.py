"""Tells whether weights were trained with the prior boxes of the net that they are copied into.

A .caffemodel holds the prototxt of its layers, PriorBox included. Offsets that were learned for
other boxes fit by shape, and give wrong detections: the SSD authors' weights for VOC that come from
COCO (`…_ft_iter_120000.caffemodel`) have COCO's smaller boxes.
"""

from __future__ import annotations

from collections.abc import Mapping

from caffe_ir import caffe_ir_pb2 as pb
from netrun.layers import Layer
from netrun.runtime import log

_SIZES = ("min_size", "max_size", "aspect_ratio", "img_size", "img_h", "img_w", "flip", "clip")
# Old files lack these where they are PriorBox's own, so that they count where both have them.
_PLACES = ("step", "step_h", "step_w", "offset", "variance")


def warn_of_other_boxes(
    layers: Mapping[str, Layer],
    priors: Mapping[str, pb.PriorBoxParameter],
    path: str,
) -> None:
    """Warn, with the first layer that differs, of weights that were trained with other boxes.

    layers: the net's, by name.
    priors: the prior boxes in the file of weights, by layer.
    path: the file.
    """
    found = []
    for name, stored in priors.items():
        if layers[name].type == "PriorBox":
            own = layers[name].param.prior_box_param
            fields = differing(stored, own)
            if fields:
                here, there = (_text(param, fields) for param in (own, stored))
                found.append(f"{name} has {there} in the file, {here} in the net")
    if found:
        more = ""
        if len(found) > 1:
            more = f", and so on ({len(found)} layers)"
        what = "these weights were trained with other prior boxes"
        log.warning(f"{path}: {what}, so that boxes come out wrong: {found[0]}{more}")


def differing(one: pb.PriorBoxParameter, other: pb.PriorBoxParameter) -> list[str]:
    """Return the names of the fields in which two layers' boxes differ."""
    fields = [name for name in _SIZES if getattr(one, name) != getattr(other, name)]
    for name in _PLACES:
        values = (getattr(one, name), getattr(other, name))
        if values[0] != values[1] and _given(one, name) and _given(other, name):
            fields.append(name)
    return fields


def _given(param: pb.PriorBoxParameter, name: str) -> bool:
    return any(field.name == name for field, _ in param.ListFields())


def _text(param: pb.PriorBoxParameter, fields: list[str]) -> str:
    """Write fields as `min_size 30 max_size 60`."""
    words = []
    for name in fields:
        value = getattr(param, name)
        if not isinstance(value, int | float):
            value = " ".join(f"{number:.6g}" for number in value) or "none"
        words.append(f"{name} {value}")
    return ", ".join(words)
