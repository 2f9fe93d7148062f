"""Run a detector on images, draw its boxes on them, and list them in detections.json.

example: netrun detect --model runs/mine/deploy.prototxt --weights mine_iter_1000.caffemodel --labelmap data/mine/labelmap.prototxt PHOTOS
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import label_map, text
from caffe_ir.lmdb_reader import LmdbReader
from caffe_ir.records import CorruptRecord
from netrun.commands import flags
from netrun.data.boxes import Annotations
from netrun.data.datum import Sample, decode
from netrun.data.transform import Transformer
from netrun.engine.engine import Engine
from netrun.runtime import device
from netrun.runtime.options import RunOptions
from ssd_common.errors import CaffeError
from ssd_common.pictures import Box, draw, sheet

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
MEAN = (104.0, 117.0, 123.0)  # BGR, of the VGG nets


@dataclass
class Picture:
    """An image to detect on. truth: its objects, where it comes from an LMDB; found: those the net sees."""

    name: str
    image: np.ndarray
    truth: list[Box] = field(default_factory=list)
    found: list[Box] = field(default_factory=list)


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, metavar="FILE", help="deploy prototxt")
    parser.add_argument("--weights", required=True, metavar="FILE", help="trained weights")
    parser.add_argument("images", nargs="+", metavar="IMAGE|FOLDER|LMDB", help="what to look at")
    parser.add_argument("--labelmap", metavar="FILE", help="names of the classes (default: the one named by the net beside MODEL)")
    parser.add_argument("--threshold", type=float, default=0.5, help="lowest score that is shown (default: 0.5)")
    parser.add_argument("--out", metavar="DIR", default="detections", help="for drawn images and detections.json (default: detections)")
    parser.add_argument("--limit", type=flags.positive, metavar="N", help="only the first N images")
    parser.add_argument("--sheet", metavar="FILE", help="also write one sheet of all images, beside the truth where an LMDB has it")
    parser.add_argument("--mean-value", metavar="B,G,R", help="default: the test net's beside the model, else 104,117,123")
    parser.add_argument("--scale", type=float, metavar="F", help="factor after the mean (default: the test net's beside the model, else 1)")
    parser.add_argument("--batch", type=flags.positive, default=1, metavar="N", help="images at once (default: 1)")
    flags.add_suppression(parser)
    flags.add_device(parser)
    flags.add_glog(parser)


def run(args: argparse.Namespace) -> int:
    if missing := next((source for source in args.images if not Path(source).exists()), None):
        raise CaffeError(f"{missing}: no such image, folder or LMDB")
    flags.set_up(args)
    around = [text.read_net(p) for p in (Path(args.model), *_nets_beside(args.model))]
    nets = pb.NetParameter(layer=[layer for net in around for layer in net.layer])
    names = label_map.class_names(args.labelmap or label_map.named_by(nets))
    options = RunOptions(args.precision, keep_blobs=False, soft_nms=args.soft_nms)
    net = Engine(args.model, pb.TEST, args.weights, device=device.choose(args.gpu, args.cpu), options=options)
    if not net.inputs or not any(layer.type == "DetectionOutput" for layer in net.layer_list):
        raise CaffeError(f"{args.model}: not a deploy net: it lacks an Input or a DetectionOutput layer")
    flags.check_suppression(args, net)
    transformer = _transformer(args, net, nets)
    out = Path(args.out)
    listed: list[dict] = []
    shown: list[Picture] = []
    taken: set[str] = set()
    for batch in _batches(_pictures(args.images, names, args.limit), args.batch):
        detect(net, transformer, batch, names, args.threshold)
        out.mkdir(parents=True, exist_ok=True)
        for picture in batch:
            drawn = _file_name(picture.name, len(listed), taken)
            _save(out / drawn, draw(picture.image, picture.found))
            listed.append({"image": picture.name, "drawn": drawn, "detections": [_entry(box, picture.image) for box in picture.found]})
            print(f"{picture.name}: {_line(picture.found)}")
            if args.sheet:
                shown.append(picture)
    text.write_atomic(out / "detections.json", "[\n" + ",\n".join(map(json.dumps, listed)) + "\n]\n")
    if args.sheet:
        _write_sheet(Path(args.sheet), shown)
    return 0


def detect(net: Engine, transformer: Transformer, batch: list[Picture], names: dict[int, str], threshold: float) -> None:
    """Put into each picture's `found` the boxes that the deploy net sees in it, surest first."""
    data = net.blobs[net.inputs[0]]
    data.reshape(len(batch), *data.shape[1:])
    rng = np.random.default_rng(0)  # which interpolation, where the transform leaves a choice
    values = np.empty(data.shape, np.float32)
    for row, picture in zip(values, batch, strict=True):
        pixels, _ = transformer(Sample(picture.image, _NO_OBJECTS, None), rng)
        transformer.normalise(pixels, row)
    with torch.no_grad():
        data.tensor.copy_(torch.from_numpy(values))
        rows = net.run()[net.outputs[0]].reshape(-1, 7).cpu().numpy()
    for image, label, score, *corners in rows.tolist():
        if image >= 0 and score >= threshold:
            name = names.get(int(label), str(int(label)))
            batch[int(image)].found.append(Box(corners, int(label), name, score))
    for picture in batch:
        picture.found.sort(key=lambda box: -(box.score or 0))


_NO_OBJECTS = Annotations(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty((0, 3), np.float32))


def _nets_beside(model: str) -> list[Path]:
    """The test and train nets in the model's folder: they say how images were prepared when it was trained."""
    return [p for name in ("test.prototxt", "train.prototxt") if (p := Path(model).with_name(name)).is_file()]


def _transformer(args: argparse.Namespace, net: Engine, nets: pb.NetParameter) -> Transformer:
    """Resizes an image to the net's input and subtracts the mean. Raises CaffeError."""
    known = next((layer.transform_param for layer in nets.layer if layer.transform_param.mean_value), None)
    param = pb.TransformationParameter(mean_value=known.mean_value if known else MEAN, scale=known.scale if known else 1)
    if known and known.resize_param.HasField("resize_mode") and known.resize_param.resize_mode != pb.ResizeParameter.WARP:
        raise CaffeError(f"{args.model}: detect only warps images to the net's input, and this net's resize_mode is another")
    if args.mean_value:
        try:
            param.mean_value[:] = [float(v) for v in args.mean_value.split(",")]
        except ValueError:
            raise CaffeError(f"--mean-value {args.mean_value}: give numbers separated by commas") from None
    if args.scale is not None:
        param.scale = args.scale
    height, width = net.blobs[net.inputs[0]].shape[2:]
    param.resize_param.CopyFrom(pb.ResizeParameter(prob=1, height=height, width=width, interp_mode=[pb.ResizeParameter.LINEAR]))
    return Transformer(param, [], pb.TEST)


def _pictures(sources: list[str], names: dict[int, str], limit: int | None) -> Iterator[Picture]:
    """All images of files, folders and LMDBs, at most `limit`. Raises CaffeError for one that is not there or cannot be read."""
    count = 0
    for source in sources:
        for picture in _of_lmdb(source, names) if _is_lmdb(source) else _of_files(source):
            if limit is not None and count >= limit:
                return
            count += 1
            yield picture


def _is_lmdb(source: str) -> bool:
    return (Path(source) / "data.mdb").is_file()


def _of_files(source: str) -> Iterator[Picture]:
    root = Path(source)
    files = sorted(p for p in root.iterdir() if p.suffix.lower() in SUFFIXES) if root.is_dir() else [root]
    if not files:
        raise CaffeError(f"{source}: no images in this folder")
    for path in files:
        image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR) if path.stat().st_size else None
        if image is None:
            raise CaffeError(f"{path}: not an image that can be read")
        yield Picture(str(path), image)


def _of_lmdb(source: str, names: dict[int, str]) -> Iterator[Picture]:
    reader = LmdbReader(source)
    for i, key in enumerate(reader.keys):
        name = key.decode("utf-8", "replace")
        try:
            sample = decode(reader.value(i), None, force_color=True)
        except CorruptRecord as error:
            raise CaffeError(f"{source}: record '{name}': {error}") from None
        found = sample.annotations
        labels = [int(ids[0]) for ids in found.ids]
        truth = [Box(box.tolist(), n, names.get(n, str(n))) for box, n in zip(found.boxes, labels, strict=True)]
        yield Picture(name, sample.image, truth)
    reader.close()


def _batches(pictures: Iterator[Picture], size: int) -> Iterator[list[Picture]]:
    batch: list[Picture] = []
    for picture in pictures:
        batch.append(picture)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _file_name(picture: str, index: int, taken: set[str]) -> str:
    """A name for the drawn image, after its source's; with a number where another has it already."""
    path = Path(picture)
    name = (str(path.with_suffix("")) if path.suffix.lower() in SUFFIXES and not path.is_absolute() else path.stem).replace("/", "_")
    if name in taken:
        name = f"{name}_{index}"
    taken.add(name)
    return name + ".png"


def _line(found: list[Box], most: int = 8) -> str:
    """The surest boxes in words; detections.json has them all."""
    more = f", and {len(found) - most} more" if len(found) > most else ""
    return (", ".join(box.caption for box in found[:most]) or "nothing") + more


def _entry(box: Box, image: np.ndarray) -> dict:
    """A box for detections.json, in pixels of its image."""
    corners = [round(v, 1) for v in box.pixels(image).tolist()]
    return {"label": box.label, "name": box.name, "score": round(box.score or 0, 4), "box": corners}


def _write_sheet(path: Path, pictures: list[Picture]) -> None:
    """Every picture's detections; where the truth is known, it stands to their left."""
    images, captions = [], []
    compared = any(p.truth for p in pictures)
    for p in pictures:
        if compared:
            images.append(draw(p.image, p.truth))
            captions.append("truth")
        images.append(draw(p.image, p.found))
        captions.append("detected" if compared else p.name)
    columns = 4 if compared else None
    path.parent.mkdir(parents=True, exist_ok=True)
    _save(path, sheet(images, captions, columns))
    print(f"{path}: {len(pictures)} images" + (", truth beside detections" if compared else ""))


def _save(path: Path, image: np.ndarray) -> None:
    try:
        done, data = cv2.imencode(path.suffix or ".png", image)
    except cv2.error:
        done = False
    if not done:
        raise CaffeError(f"{path}: no image format has this suffix; use .png or .jpg")
    text.write_atomic(path, data.tobytes())
