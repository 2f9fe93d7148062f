"""The nets of the benchmark: nets fed from memory, SSD300's layers in bare PyTorch.

`needed` counts the memory that a net cannot do without.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from caffe_ir.rules import VALUE_BYTES
from netrun.engine.engine import Engine
from netrun.layers.registry import Layer

ROOT = Path(__file__).resolve().parent.parent
_VIEWS = {"Split", "Flatten", "Reshape", "Permute"}  # their tops are their bottoms' memory
_OBJECTS = 4  # in each image
_TESTS_AND_SNAPSHOTS = (
    "train_net",
    "net",
    "test_net",
    "test_iter",
    "test_interval",
    "snapshot",
    "display",
)


def prototxt(zoo_id: str, kind: str) -> Path:
    """Return the committed prototxt of an id; kind: "train", "test", "deploy" or "solver"."""
    return ROOT / "prototxt" / zoo_id / f"{kind}.prototxt"


def solver(zoo_id: str, batch: int, source: str | None, folder: str) -> pb.SolverParameter:
    """Return an id's solver over its train net, without tests and snapshots.

    batch: images per iteration. source: an LMDB to read; None to feed the net from memory.
    folder: for snapshots, which the solver never takes.
    """
    param = text.read_solver(prototxt(zoo_id, "solver"))
    for field in _TESTS_AND_SNAPSHOTS:
        param.ClearField(field)
    param.iter_size = 1
    param.snapshot_after_train = False
    param.snapshot_prefix = f"{folder}/bench"
    net = text.read_net(prototxt(zoo_id, "train"))
    data = net.layer[0]
    if source:
        data.data_param.source = source
        data.data_param.batch_size = batch
        data.annotated_data_param.ClearField("label_map_file")
    else:
        data.CopyFrom(_input_layer(data, batch))
    param.train_net_param.CopyFrom(net)
    return param


def _input_layer(data: pb.LayerParameter, batch: int) -> pb.LayerParameter:
    """Return an Input layer with the tops of a data layer."""
    size = data.transform_param.resize_param
    shapes = [
        pb.BlobShape(dim=[batch, 3, size.height, size.width]),
        pb.BlobShape(dim=[1, 1, _OBJECTS * batch, 8]),
    ]
    return pb.LayerParameter(
        name=data.name,
        type="Input",
        top=data.top,
        input_param=pb.InputParameter(shape=shapes),
    )


def feed(engine: Engine) -> None:
    """Fill the Input blobs: noise for images, random boxes of class 1 for labels."""
    rng = np.random.default_rng(0)
    for name in engine.inputs:
        shape = engine.blobs[name].shape
        if shape[1] == 3:
            values = rng.uniform(-120, 130, shape)
            device = engine.device
        else:
            values = _labels(rng, shape[2])[None, None]
            device = torch.device("cpu")
        engine.blobs[name].tensor = torch.from_numpy(values.astype(np.float32)).to(device)


def _labels(rng: np.random.Generator, rows: int) -> np.ndarray:
    """Return rows of AnnotatedData's label blob (rows×8): item, class, instance, box, difficult."""
    number = np.arange(rows)
    center = rng.uniform(0.2, 0.8, (rows, 2))
    half = rng.uniform(0.05, 0.2, (rows, 2))
    columns = [
        number // _OBJECTS,
        np.ones(rows),
        number % _OBJECTS,
        *(center - half).T,
        *(center + half).T,
        np.zeros(rows),
    ]
    return np.stack(columns, 1)


def needed(engine: Engine) -> dict[str, int]:
    """Return the bytes that no way of running the net can spare.

    weights: in training also their gradients and momentum.
    activations: every blob once, except those in place and views of others, as Caffe keeps them
    (for backward, and for everyone who reads blobs).
    diffs: in training, those of the bottoms and tops of one layer.
    """
    layers = engine.layer_list
    weights = 0
    own_blobs: set[str] = set()
    for layer in layers:
        weights += VALUE_BYTES * sum(blob.numel() for blob in layer.blobs)
        if layer.type not in _VIEWS:
            own_blobs.update(layer.param.top)
    size = {name: VALUE_BYTES * math.prod(blob.shape) for name, blob in engine.blobs.items()}
    found = {"weights": weights, "activations": sum(size[name] for name in own_blobs)}
    if engine.phase == pb.TRAIN:
        found["gradients"] = weights
        found["momentum"] = weights
        found["diffs"] = max(_ends(layer, size) for layer in layers)
    return found


def _ends(layer: Layer, size: dict[str, int]) -> int:
    """Return the bytes of a layer's bottoms and tops. size: bytes of a blob by its name."""
    names = {*layer.param.bottom, *layer.param.top}
    return sum(size[name] for name in names)


class BareSSD300(nn.Module):
    """SSD300's convolutions, poolings and heads in plain PyTorch, to compare speeds with."""

    def __init__(self, classes: int = 21) -> None:
        """Make the layers. classes: background included."""
        super().__init__()
        self.to_conv4_3 = nn.Sequential(
            *_vgg(3, 64, 2),
            *_vgg(64, 128, 2),
            *_vgg(128, 256, 3),
            *_vgg(256, 512, 3)[:-1],
        )
        self.to_fc7 = nn.Sequential(
            nn.MaxPool2d(2, 2, ceil_mode=True),
            *_vgg(512, 512, 3)[:-1],
            nn.MaxPool2d(3, 1, 1),
            nn.Conv2d(512, 1024, 3, padding=6, dilation=6),
            nn.ReLU(True),
            nn.Conv2d(1024, 1024, 1),
            nn.ReLU(True),
        )
        self.extra = nn.ModuleList(
            [
                _extra(1024, 256, 512, 2),
                _extra(512, 128, 256, 2),
                _extra(256, 128, 256, 1),
                _extra(256, 128, 256, 1),
            ]
        )
        channels = (512, 1024, 512, 256, 256, 256)
        boxes = (4, 6, 6, 6, 4, 4)
        self.loc = _heads(channels, [4 * count for count in boxes])
        self.conf = _heads(channels, [classes * count for count in boxes])
        self.scale = nn.Parameter(torch.full((1, 512, 1, 1), 20.0))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Predict for images (N×3×300×300).

        Returns locations (N × boxes·4) and confidences (N × boxes·classes).
        """
        x = self.to_conv4_3(x)
        maps = [F.normalize(x) * self.scale]
        x = self.to_fc7(x)
        maps.append(x)
        for block in self.extra:
            x = block(x)
            maps.append(x)
        return _predicted(self.loc, maps), _predicted(self.conf, maps)


def _vgg(channels: int, outputs: int, convolutions: int) -> list[nn.Module]:
    """Return a block of VGG16, its pooling last."""
    layers: list[nn.Module] = []
    for _ in range(convolutions):
        layers += [nn.Conv2d(channels, outputs, 3, padding=1), nn.ReLU(True)]
        channels = outputs
    return [*layers, nn.MaxPool2d(2, 2, ceil_mode=True)]


def _extra(channels: int, middle: int, outputs: int, stride: int) -> nn.Module:
    """Return a block of the extra feature layers."""
    return nn.Sequential(
        nn.Conv2d(channels, middle, 1),
        nn.ReLU(True),
        nn.Conv2d(middle, outputs, 3, stride, stride - 1),
        nn.ReLU(True),
    )


def _heads(channels: Sequence[int], outputs: Sequence[int]) -> nn.ModuleList:
    pairs = zip(channels, outputs, strict=True)
    return nn.ModuleList(nn.Conv2d(before, after, 3, padding=1) for before, after in pairs)


def _predicted(heads: nn.ModuleList, maps: Sequence[Tensor]) -> Tensor:
    """Return the outputs of one head per map, each box's values together, as in Caffe."""
    pairs = zip(heads, maps, strict=True)
    parts = [head(source).permute(0, 2, 3, 1).flatten(1) for head, source in pairs]
    return torch.cat(parts, 1)
