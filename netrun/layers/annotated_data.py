"""AnnotatedData: images and their objects from an LMDB, through SSD's augmentation."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import label_map
from caffe_ir.lmdb_reader import LmdbReader
from caffe_ir.rules.registry import Facts
from netrun.data.loader import Loader
from netrun.layers.image_source import ImageSource
from netrun.layers.registry import Context, layer

log = logging.getLogger("netrun")


@layer("AnnotatedData")
class AnnotatedData(ImageSource):
    """Tops: data (N, C, H, W) float32, (BGR - mean) * scale; label (1, 1, rows, 8), see `netrun.data.loader.Loader`.

    The LMDB is opened when the net is built, threads start with the first forward. With `strict` among the run's options a corrupt
    record or object is an error. The labelmap, where the file is there, says which labels may occur.
    Source: weiliu89/caffe, branch ssd, src/caffe/layers/annotated_data_layer.cpp; see netrun/data/transform.py for what differs.
    Raises CaffeError for an LMDB that is missing, empty or truncated, LayerError for parameters that the fork refuses.
    """

    def __init__(self, layer: pb.LayerParameter, facts: Facts, context: Context) -> None:
        super().__init__(layer, facts, context)
        self.needs_lmdb()
        self._transformer = self.transformer(layer.transform_param, layer.annotated_data_param.batch_sampler)
        self._labels = _labels(layer.annotated_data_param.label_map_file)
        self._reader = LmdbReader(layer.data_param.source)

    def open(self) -> Loader:
        data, transform = self.param.data_param, self.param.transform_param
        color = {"force_color": transform.force_color, "force_gray": transform.force_gray}
        plan = self.plan(data.batch_size, data.prefetch, labels=self._labels, **color)
        return Loader(self._reader, self._transformer, plan, True if self.param.annotated_data_param.HasField("anno_type") else None)

    def pixels(self, image: torch.Tensor) -> np.ndarray:
        """(H, W, C) uint8 of one image of the top `data`, as it was before mean and scale."""
        return self._transformer.restored(image.cpu().numpy())


def _labels(path: str) -> frozenset[int] | None:
    """The label ids of a labelmap. None where there is none: Caffe trains without looking at it."""
    if not path:
        return None
    if not Path(path).is_file():
        log.warning("label_map_file %s: no such file; labels are not checked", path)
        return None
    return frozenset(label_map.class_names(path))
