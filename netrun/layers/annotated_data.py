"""AnnotatedData: images and their objects from an LMDB, through SSD's augmentation."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch
from google.protobuf.message import DecodeError

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from caffe_ir.errors import CaffeError
from caffe_ir.lmdb_reader import LmdbReader
from caffe_ir.rules.registry import Facts
from netrun.data.loader import Loader, Plan
from netrun.data.transform import Transformer
from netrun.layers.registry import Context, Layer, layer

log = logging.getLogger("netrun")


@layer("AnnotatedData")
class AnnotatedData(Layer):
    """Tops: data (N, C, H, W) float32, (BGR - mean) * scale; label (1, 1, rows, 8), see `netrun.data.loader.Loader`.

    The LMDB is opened when the net is built, threads start with the first forward. `strict` (default: the context's, or False) set
    before that makes a record that cannot be read an error. The labelmap, where the file is there, says which labels may occur.
    Source: weiliu89/caffe, branch ssd, src/caffe/layers/annotated_data_layer.cpp; see netrun/data/transform.py for what differs.
    Raises CaffeError for an LMDB that is missing, empty or truncated, LayerError for parameters that the fork refuses.
    """

    has_backward = False

    def __init__(self, layer: pb.LayerParameter, facts: Facts, context: Context) -> None:
        super().__init__(layer, facts, context)
        data = layer.data_param
        if data.backend != pb.DataParameter.LMDB:
            raise self.refuse("netrun reads LMDB; write backend: LMDB (Caffe's default is LEVELDB)", "data_param.backend")
        if not data.batch_size:
            raise self.refuse("must be positive", "data_param.batch_size")
        self.strict: bool = context.strict
        self._batch = 0
        self._loader: Loader | None = None
        try:
            self._transformer = Transformer(
                layer.transform_param, layer.annotated_data_param.batch_sampler, context.phase, _mean(layer.transform_param.mean_file)
            )
        except CaffeError as error:
            raise self.refuse(str(error)) from None
        self._labels = _labels(layer.annotated_data_param.label_map_file)
        self._reader = LmdbReader(data.source)

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        if self._loader is None:
            self._loader = self._open()
            self._loader.seek(self._batch)
        tops = next(self._loader)
        return [top.to(self.context.device, non_blocking=True) for top in tops[: len(self.param.top)]]

    def _open(self) -> Loader:
        transform, context = self.param.transform_param, self.context
        plan = Plan(
            batch_size=self.param.data_param.batch_size,
            seed=context.seed,
            rank=context.rank,
            world=context.world,
            labels=self._labels,
            force_color=transform.force_color,
            force_gray=transform.force_gray,
            strict=self.strict,
            pinned=context.device.type == "cuda",
            ahead=self.param.data_param.prefetch,
        )
        return Loader(self._reader, self._transformer, plan, True if self.param.annotated_data_param.HasField("anno_type") else None)

    def seek(self, batch: int) -> None:
        self._batch = batch
        if self._loader:
            self._loader.seek(batch)

    def pixels(self, image: torch.Tensor) -> np.ndarray:
        """(H, W, C) uint8 of one image of the top `data`, as it was before mean and scale."""
        return self._transformer.restored(image.cpu().numpy())

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


def _labels(path: str) -> frozenset[int] | None:
    """The label ids of a labelmap. None where there is none: Caffe trains without looking at it."""
    if not path:
        return None
    if not Path(path).is_file():
        log.warning("label_map_file %s: no such file; labels are not checked", path)
        return None
    return frozenset(item.label for item in text.read_labelmap(path).item)
