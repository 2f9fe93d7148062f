"""Draws the images that a net's AnnotatedData layer feeds it, with their boxes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import label_map, text
from caffe_ir.phase import filter_net
from netrun.engine.engine import Engine
from netrun.layers.annotated_data import AnnotatedData
from netrun.runtime.options import RunOptions
from ssd_common.errors import CaffeError
from ssd_common.files import PathLike, write_atomic
from ssd_common.pictures import Box, contact_sheet, draw, encode

SIDE = 300  # pixels of a tile; smaller images are enlarged first, so that lines stay thin
_COLUMNS = 6


def show(
    model: PathLike,
    out: PathLike,
    *,
    count: int = 24,
    source: PathLike | None = None,
    labelmap: PathLike | None = None,
    phase: int = pb.TRAIN,
    seed: int = 0,
) -> None:
    """Draw a net's images, augmented as in training, with their boxes, as one PNG.

    model: the train prototxt, or any with an AnnotatedData layer.
    out: the PNG file.
    count: how many images to draw.
    source: an LMDB in place of the net's own.
    labelmap: names of the classes (default: the one that the net names).
    phase: pb.TRAIN or pb.TEST.
    seed: the random numbers' seed, as in a solver's random_seed.

    Raises CaffeError for a model without AnnotatedData, for data that cannot be read, and where
    the PNG cannot be written.
    """
    net = data_net(model, phase, source)
    names = label_map.class_names(labelmap or label_map.named_by(net))
    found = samples(net, phase, count, names, seed)
    images = [draw(enlarged(image), boxes) for image, boxes in found]
    columns = min(_COLUMNS, len(images))
    data = encode(contact_sheet(images, columns=columns, tile=SIDE), ".png")
    if data is None:
        fewer = "show fewer images (--count)"
        raise CaffeError(f"{out}: the sheet is too large for a picture; {fewer}")
    write_atomic(out, data)


def data_net(
    model: PathLike,
    phase: int,
    source: PathLike | None = None,
) -> pb.NetParameter:
    """A net of only the model's AnnotatedData layer for this phase, with one image a batch.

    source: an LMDB in place of the layer's own.
    Raises CaffeError for a model without such a layer.
    """
    whole = filter_net(text.read_net(model), phase)
    found = [layer for layer in whole.layer if layer.type == "AnnotatedData"]
    if not found:
        lacks = f"no AnnotatedData layer in phase {pb.Phase.Name(phase)}"
        raise CaffeError(f"{model}: {lacks}; show takes a train or test net")
    layer = found[0]
    layer.data_param.batch_size = 1  # a sample depends on seed and number, not on its batch
    if source:
        layer.data_param.source = str(source)
        if not Path(layer.annotated_data_param.label_map_file).is_file():
            layer.annotated_data_param.ClearField("label_map_file")
    return pb.NetParameter(name=whole.name, layer=[layer])


def samples(
    net: pb.NetParameter, phase: int, count: int, names: dict[int, str], seed: int
) -> list[tuple[np.ndarray, list[Box]]]:
    """The first `count` images that training with this seed sees, and their objects.

    net: from data_net().
    names: the classes' names by label.
    Returns images (H, W, 3) of uint8, each with its boxes.
    """
    engine = Engine(net, phase, options=RunOptions(seed=seed))
    layer = engine.layer_list[0]
    assert isinstance(layer, AnnotatedData)
    found = []
    try:
        for _ in range(count):
            data, label = layer.forward([])
            rows = label.reshape(-1, 8).tolist()
            boxes = [_box(row, names) for row in rows if row[0] >= 0]
            found.append((layer.pixels(data[0]), boxes))
    finally:
        engine.close()
    return found


def _box(row: list[float], names: dict[int, str]) -> Box:
    """A row of the label blob: item, label, instance, corners, difficult."""
    label = int(row[1])
    name = names.get(label, str(label))
    if row[7]:
        name += " (difficult)"
    return Box(row[3:7], label, name)


def enlarged(image: np.ndarray) -> np.ndarray:
    """The image in colour, and at least as large as its tile."""
    if image.shape[2] == 1:
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    scale = SIDE / max(image.shape[:2])
    if scale <= 1:
        return image
    return cv2.resize(
        image,
        None,
        fx=scale,
        fy=scale,
        interpolation=cv2.INTER_CUBIC,
    )
