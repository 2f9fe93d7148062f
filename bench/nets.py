"""What is measured: nets fed from memory, SSD300's layers in bare PyTorch, and how much memory a net cannot do without."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from caffe_ir.rules import VALUE_BYTES
from netrun.engine.engine import Engine

ROOT = Path(__file__).resolve().parent.parent
_VIEWS = {"Split", "Flatten", "Reshape", "Permute"}  # their tops are their bottoms' memory
_OBJECTS = 4  # in each image


def prototxt(zoo_id: str, kind: str) -> Path:
    return ROOT / "prototxt" / zoo_id / f"{kind}.prototxt"


def solver(zoo_id: str, batch: int, source: str | None, folder: str) -> pb.SolverParameter:
    """The id's solver without tests and snapshots, over its train net with this batch: fed from memory, or from the LMDB `source`."""
    param = text.read_solver(prototxt(zoo_id, "solver"))
    for field in ("train_net", "net", "test_net", "test_iter", "test_interval", "snapshot", "display"):
        param.ClearField(field)
    param.iter_size, param.snapshot_after_train, param.snapshot_prefix = 1, False, f"{folder}/bench"
    net = text.read_net(prototxt(zoo_id, "train"))
    data = net.layer[0]
    if source:
        data.data_param.source, data.data_param.batch_size = source, batch
        data.annotated_data_param.ClearField("label_map_file")
    else:
        size = data.transform_param.resize_param
        shapes = [pb.BlobShape(dim=[batch, 3, size.height, size.width]), pb.BlobShape(dim=[1, 1, _OBJECTS * batch, 8])]
        data.CopyFrom(pb.LayerParameter(name=data.name, type="Input", top=data.top, input_param=pb.InputParameter(shape=shapes)))
    param.train_net_param.CopyFrom(net)
    return param


def feed(engine: Engine) -> None:
    """Fill the Input blobs: noise for images, random boxes of class 1 for labels."""
    rng = np.random.default_rng(0)
    for name in engine.inputs:
        shape = engine.blobs[name].shape
        values = rng.uniform(-120, 130, shape) if shape[1] == 3 else _labels(rng, shape[2])[None, None]
        where = "cpu" if shape[1] != 3 else engine.device
        engine.blobs[name].tensor = torch.from_numpy(values.astype(np.float32)).to(where)


def _labels(rng: np.random.Generator, rows: int) -> np.ndarray:
    number = np.arange(rows)
    center, half = rng.uniform(0.2, 0.8, (rows, 2)), rng.uniform(0.05, 0.2, (rows, 2))
    columns = [number // _OBJECTS, np.ones(rows), number % _OBJECTS, *(center - half).T, *(center + half).T, np.zeros(rows)]
    return np.stack(columns, 1)


def needed(engine: Engine) -> dict[str, int]:
    """Bytes that no way of running the net can spare.

    weights; for training also their gradients and momentum; activations: every blob once, but in-place and view-like ones, as Caffe
    keeps them (for backward, and for whoever reads blobs); for training also the diffs of one layer's bottoms and tops.
    """
    weights = sum(blob.numel() for layer in engine.layer_list for blob in layer.blobs) * VALUE_BYTES
    size = {name: VALUE_BYTES * math.prod(blob.shape) for name, blob in engine.blobs.items()}
    own = {top for layer in engine.layer_list if layer.type not in _VIEWS for top in layer.param.top}
    found = {"weights": weights, "activations": sum(size[name] for name in own)}
    if engine.phase == pb.TRAIN:
        found |= {"gradients": weights, "momentum": weights}
        found["diffs"] = max(sum(size[name] for name in {*layer.param.bottom, *layer.param.top}) for layer in engine.layer_list)
    return found


class BareSSD300(nn.Module):
    """SSD300's convolutions, poolings and heads as one would write them in PyTorch; gives locations and confidences."""

    def __init__(self, classes: int = 21) -> None:
        super().__init__()
        self.to_conv4_3 = nn.Sequential(*_vgg(3, 64, 2), *_vgg(64, 128, 2), *_vgg(128, 256, 3), *_vgg(256, 512, 3)[:-1])
        fc6 = nn.Conv2d(512, 1024, 3, padding=6, dilation=6)
        conv5 = [nn.MaxPool2d(2, 2, ceil_mode=True), *_vgg(512, 512, 3)[:-1], nn.MaxPool2d(3, 1, 1)]
        self.to_fc7 = nn.Sequential(*conv5, fc6, nn.ReLU(True), nn.Conv2d(1024, 1024, 1), nn.ReLU(True))
        sides = [(1024, 256, 512, 2), (512, 128, 256, 2), (256, 128, 256, 1), (256, 128, 256, 1)]
        self.extra = nn.ModuleList(
            nn.Sequential(nn.Conv2d(i, m, 1), nn.ReLU(True), nn.Conv2d(m, o, 3, stride, stride - 1), nn.ReLU(True))
            for i, m, o, stride in sides
        )
        heads = list(zip((512, 1024, 512, 256, 256, 256), (4, 6, 6, 6, 4, 4), strict=True))
        self.loc = nn.ModuleList(nn.Conv2d(channels, boxes * 4, 3, padding=1) for channels, boxes in heads)
        self.conf = nn.ModuleList(nn.Conv2d(channels, boxes * classes, 3, padding=1) for channels, boxes in heads)
        self.scale = nn.Parameter(torch.full((1, 512, 1, 1), 20.0))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.to_conv4_3(x)
        maps = [F.normalize(x) * self.scale]
        x = self.to_fc7(x)
        maps.append(x)
        for block in self.extra:
            x = block(x)
            maps.append(x)
        loc, conf = (
            torch.cat([head(m).permute(0, 2, 3, 1).flatten(1) for head, m in zip(heads, maps, strict=True)], 1)
            for heads in (self.loc, self.conf)
        )
        return loc, conf


def _vgg(channels: int, outputs: int, convolutions: int) -> list[nn.Module]:
    """A block of VGG16, its pooling last."""
    layers: list[nn.Module] = []
    for i in range(convolutions):
        layers += [nn.Conv2d(outputs if i else channels, outputs, 3, padding=1), nn.ReLU(True)]
    return [*layers, nn.MaxPool2d(2, 2, ceil_mode=True)]
