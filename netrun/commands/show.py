"""Draw the images that a net's AnnotatedData layer feeds it, augmented as in training, with their boxes, as one sheet.

example: netrun show --model train.prototxt --out sheet.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import label_map, text
from caffe_ir.phase import filter_net
from netrun.commands import flags
from netrun.engine.engine import Engine
from netrun.layers.annotated_data import AnnotatedData
from netrun.runtime import log
from netrun.runtime.options import RunOptions
from ssd_common.errors import CaffeError
from ssd_common.pictures import Box, draw, sheet

SIDE = 300  # pixels of a tile; smaller images are enlarged before boxes are drawn, so that lines stay thin


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--model", required=True, metavar="FILE", help="train prototxt, or any with an AnnotatedData layer")
    parser.add_argument("--out", required=True, metavar="PNG", help="picture to write")
    parser.add_argument("--count", type=flags.positive, default=24, metavar="N", help="images on it (default: 24)")
    parser.add_argument("--source", metavar="LMDB", help="take these images in place of the net's own")
    parser.add_argument("--labelmap", metavar="FILE", help="names of the classes (default: the one named by the net)")
    parser.add_argument("--phase", choices=("TRAIN", "TEST"), default="TRAIN", help="default: TRAIN")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the random numbers, as a solver's random_seed (default: 0)")


def run(args: argparse.Namespace) -> int:
    log.setup(level=log.logging.WARNING)
    net = data_net(args.model, args.phase, args.source)
    names = label_map.class_names(args.labelmap or label_map.named_by(net))
    images = [draw(enlarged(image), boxes) for image, boxes in samples(net, getattr(pb, args.phase), args.count, names, args.seed)]
    done, data = cv2.imencode(".png", sheet(images, columns=min(6, len(images)), tile=SIDE))
    if not done:
        raise CaffeError(f"{args.out}: the sheet is too large for a picture; show fewer images (--count)")
    text.write_atomic(args.out, data.tobytes())
    print(args.out)
    return 0


def data_net(model: str, phase: str, source: str | None) -> pb.NetParameter:
    """A net of nothing but the model's AnnotatedData layer of this phase, an image a batch. Raises CaffeError for a model without."""
    whole = filter_net(text.read_net(model), getattr(pb, phase))
    found = [layer for layer in whole.layer if layer.type == "AnnotatedData"]
    if not found:
        raise CaffeError(f"{model}: no AnnotatedData layer in phase {phase}; show takes a train or test net")
    layer = found[0]
    layer.data_param.batch_size = 1  # a sample depends on seed and number, not on its batch
    if source:
        layer.data_param.source = source
        if not Path(layer.annotated_data_param.label_map_file).is_file():
            layer.annotated_data_param.ClearField("label_map_file")
    return pb.NetParameter(name=whole.name, layer=[layer])


def samples(net: pb.NetParameter, phase: int, count: int, names: dict[int, str], seed: int) -> list[tuple[np.ndarray, list[Box]]]:
    """The first `count` images, (H, W, 3) uint8, that training with this seed sees, and their objects."""
    engine = Engine(net, phase, options=RunOptions(seed=seed))
    layer = engine.layer_list[0]
    assert isinstance(layer, AnnotatedData)
    found = []
    try:
        for _ in range(count):
            data, label = layer.forward([])
            boxes = [_box(row, names) for row in label.reshape(-1, 8).tolist() if row[0] >= 0]
            found.append((layer.pixels(data[0]), boxes))
    finally:
        engine.close()
    return found


def _box(row: list[float], names: dict[int, str]) -> Box:
    """A row of the label blob: item, label, instance, corners, difficult."""
    label = int(row[1])
    return Box(row[3:7], label, names.get(label, str(label)) + (" (difficult)" if row[7] else ""))


def enlarged(image: np.ndarray) -> np.ndarray:
    """At least as large as its tile will be, in colour."""
    if image.shape[2] == 1:
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    scale = SIDE / max(image.shape[:2])
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC) if scale > 1 else image
