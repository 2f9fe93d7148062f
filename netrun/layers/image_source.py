"""The base of AnnotatedData, Data, ImageData, VideoData and WindowData.

Their tops are batches of images that a loader prepares in advance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules.registry import Shape
from netrun.data.loader import Loader, Plan
from netrun.data.records import Records
from netrun.data.transform import Transformer
from netrun.layers.registry import Layer, Tensors
from ssd_common.errors import CaffeError
from ssd_common.files import read_regular


class ImageSource(Layer):
    """A layer that opens its file when the net is built, and starts threads at the first forward.

    mean: the contents of mean_file, (C, H, W) float32; None without one.
    """

    has_backward = False
    _reader: Records

    def set_up(self) -> None:
        """Read the mean file. Raises LayerError where it cannot be read."""
        try:
            self.mean = read_mean(self.param.transform_param.mean_file)
        except CaffeError as error:
            raise self.refuse(str(error)) from None
        self._batch = 0
        self._loader: Loader | None = None

    def open(self) -> Loader:
        """The loader of this process's batches."""
        raise NotImplementedError

    def needs_lmdb(self) -> None:
        """Refuse a data_param of another database, or without a batch size.

        Raises LayerError.
        """
        data = self.param.data_param
        if data.backend != pb.DataParameter.LMDB:
            remedy = "write backend: LMDB (Caffe's default is LEVELDB)"
            raise self.refuse(f"netrun reads LMDB; {remedy}", "data_param.backend")
        if not data.batch_size:
            raise self.refuse("must be positive", "data_param.batch_size")

    def transformer(
        self,
        param: pb.TransformationParameter,
        samplers: Sequence[pb.BatchSampler] = (),
        jpeg_recoding: bool = False,
    ) -> Transformer:
        """The transformer of this layer's images.

        samplers: batch samplers of AnnotatedData.
        jpeg_recoding: whether to encode images as JPEG again after distort, expand and crop.
        Raises LayerError for parameters that the fork refuses.
        """
        try:
            return Transformer(
                param,
                samplers,
                self.context.phase,
                self.mean,
                jpeg_recoding=jpeg_recoding,
            )
        except CaffeError as error:
            raise self.refuse(str(error)) from None

    def plan(self, batch_size: int, ahead: int, **more: Any) -> Plan:
        """Which of the run's samples this process takes, and how.

        ahead: how many batches the loader makes in advance. more: further fields of Plan.
        """
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
        """Whether this record was unreadable, so that batches have the next record in its place."""
        if self._loader is None:
            return False
        return self._loader.passed_over(record)

    def shapes(self) -> list[Shape]:
        """The tops' shapes, by the first record."""
        loader = self.open()
        labels: Shape = loader.shape[:1]
        if loader.annotated:
            labels = (1, 1, 1, 8)
        return [loader.shape, labels][: len(self.param.top)]

    def forward(self, bottoms: Tensors) -> Tensors:
        """The next batch of images, with their labels where the layer has a second top."""
        if self._loader is None:
            self._loader = self.open()
            self._loader.seek(self._batch)
        device = self.context.device
        data, labels = next(self._loader)
        data = data.to(device, non_blocking=True)
        # Objects stay on the host: losses arrange them there, and would wait for a copy from the
        # GPU.
        if not self._loader.annotated:
            labels = labels.to(device, non_blocking=True)
        return [data, labels][: len(self.param.top)]

    def seek(self, batch: int) -> None:
        """Make the next forward give batch `batch` of the run."""
        self._batch = batch
        if self._loader:
            self._loader.seek(batch)

    def close(self) -> None:
        """Stop the loader's threads and close the file."""
        if self._loader:
            self._loader.close()
        self._reader.close()


def read_mean(path: str) -> np.ndarray | None:
    """Read a mean file, a BlobProto, as (C, H, W) float32; None for an empty path.

    Raises CaffeError where it cannot be read.
    """
    if not path:
        return None
    try:
        blob = pb.BlobProto.FromString(read_regular(path))
        legacy = (blob.num, blob.channels, blob.height, blob.width)
        shape = tuple(blob.shape.dim) or legacy
        return np.array(blob.data, np.float32).reshape(shape[-3:])
    except OSError as error:
        raise CaffeError(f"mean_file {path}: {error.strerror}") from None
    except (DecodeError, ValueError) as error:
        what = f"not a BlobProto of one image's mean: {error}"
        raise CaffeError(f"mean_file {path}: {what}") from None
