"""What layers share whose tops are batches of images that a loader makes ahead: AnnotatedData, Data, ImageData."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from google.protobuf.message import DecodeError

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules.registry import Facts, Shape
from netrun.data.loader import Loader, Plan
from netrun.data.records import Records
from netrun.data.transform import Transformer
from netrun.layers.registry import Context, Layer
from ssd_common.errors import CaffeError


class ImageSource(Layer):
    """Opens its file when the net is built, and starts its threads with the first forward."""

    has_backward = False
    _reader: Records

    def __init__(self, layer: pb.LayerParameter, facts: Facts, context: Context) -> None:
        super().__init__(layer, facts, context)
        try:
            self.mean = _mean(layer.transform_param.mean_file)
        except CaffeError as error:
            raise self.refuse(str(error)) from None
        self._batch = 0
        self._loader: Loader | None = None

    def open(self) -> Loader:
        """The loader of this process's batches."""
        raise NotImplementedError

    def needs_lmdb(self) -> None:
        """Raises LayerError for data_param of another database, or without a batch size."""
        if self.param.data_param.backend != pb.DataParameter.LMDB:
            raise self.refuse("netrun reads LMDB; write backend: LMDB (Caffe's default is LEVELDB)", "data_param.backend")
        if not self.param.data_param.batch_size:
            raise self.refuse("must be positive", "data_param.batch_size")

    def transformer(self, param: pb.TransformationParameter, samplers: Sequence[pb.BatchSampler] = ()) -> Transformer:
        """Raises LayerError for parameters that the fork refuses."""
        try:
            return Transformer(param, samplers, self.context.phase, self.mean)
        except CaffeError as error:
            raise self.refuse(str(error)) from None

    def plan(self, batch_size: int, ahead: int, **more: Any) -> Plan:
        options = self.context.options
        return Plan(
            batch_size=batch_size,
            seed=options.seed,
            rank=options.rank,
            world=options.world,
            strict=options.strict,
            pinned=self.context.device.type == "cuda",
            ahead=ahead,
            **more,
        )

    def passed_over(self, record: int) -> bool:
        """Whether the next record has taken the place of this one, which could not be read, in the batches so far."""
        return self._loader is not None and self._loader.passed_over(record)

    def shapes(self) -> list[Shape]:
        """The tops' shapes, by the first record."""
        loader = self.open()
        labels: Shape = (1, 1, 1, 8) if loader.annotated else loader.shape[:1]
        return [loader.shape, labels][: len(self.param.top)]

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        if self._loader is None:
            self._loader = self.open()
            self._loader.seek(self._batch)
        data, labels = next(self._loader)
        data = data.to(self.context.device, non_blocking=True)
        if not self._loader.annotated:  # objects stay on the host: losses lay them out there, and would have to wait to get them back
            labels = labels.to(self.context.device, non_blocking=True)
        return [data, labels][: len(self.param.top)]

    def seek(self, batch: int) -> None:
        self._batch = batch
        if self._loader:
            self._loader.seek(batch)

    def close(self) -> None:
        if self._loader:
            self._loader.close()
        self._reader.close()


def _mean(path: str) -> np.ndarray | None:
    """(C, H, W) float32 of a mean file, a BlobProto; None without one. Raises CaffeError when it cannot be read."""
    if not path:
        return None
    try:
        blob = pb.BlobProto.FromString(Path(path).read_bytes())
        shape = tuple(blob.shape.dim) or (blob.num, blob.channels, blob.height, blob.width)
        return np.array(blob.data, np.float32).reshape(shape[-3:])
    except OSError as error:
        raise CaffeError(f"mean_file {path}: {error.strerror}") from None
    except (DecodeError, ValueError) as error:
        raise CaffeError(f"mean_file {path}: not a BlobProto of one image's mean: {error}") from None
