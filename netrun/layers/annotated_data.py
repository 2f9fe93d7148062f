"""AnnotatedData: images and their objects from an LMDB, with SSD's augmentation."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from torch import Tensor

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import label_map
from caffe_ir.lmdb_reader import LmdbReader
from netrun.data.datum import has_raw_pixels
from netrun.data.loader import Loader
from netrun.layers.image_source import ImageSource
from netrun.layers.registry import Layer, layer

log = logging.getLogger("netrun")


@layer("AnnotatedData")
class AnnotatedData(ImageSource):
    """Batches of augmented images with their objects.

    Tops: data (N, C, H, W) float32, (BGR - mean) * scale;
    label (1, 1, rows, 8), see `netrun.data.loader.Loader`.

    The layer opens its LMDB when the net is built, and starts threads with the first forward.
    If the run's options have `strict`, a corrupt record or object is an error. The labelmap, if its
    file exists, says which labels may occur.
    In TEST, or with `jpeg_recoding`, the layer enencodes images as JPEG again where the fork does.

    Raises CaffeError for an LMDB that is missing, empty or truncated, LayerError for parameters
    that the fork refuses.
    Source: weiliu89/caffe, branch ssd, src/caffe/layers/annotated_data_layer.cpp;
    netrun/data/transform.py says what differs.
    """

    def set_up(self) -> None:
        """Read the labelmap and open the LMDB."""
        super().set_up()
        self.needs_lmdb()
        p = self.param.annotated_data_param
        transform = self.param.transform_param
        recoding = self.context.options.jpeg_recoding
        if recoding is None:
            recoding = self.context.phase == pb.TEST
        self._transformer = self.transformer(transform, p.batch_sampler, recoding)
        self._labels = _labels(p.label_map_file)
        self._lmdb = LmdbReader(self.param.data_param.source)
        self._reader = self._lmdb

    def open(self) -> Loader:
        """The loader of the LMDB's annotated records."""
        data = self.param.data_param
        transform = self.param.transform_param
        plan = self.plan(
            data.batch_size,
            data.prefetch,
            labels=self._labels,
            force_color=transform.force_color,
            force_gray=transform.force_gray,
        )
        p = self.param.annotated_data_param
        annotated = p.HasField("anno_type") or None
        return Loader(self._lmdb, self._transformer, plan, annotated)

    @property
    def coding(self) -> str:
        """Say whether images are encoded as JPEG again, and whether that is as in the fork."""
        if has_raw_pixels(self._lmdb.value(0)):
            return self._transformer.raw_coding
        return self._transformer.coding

    def pixels(self, image: Tensor) -> np.ndarray:
        """One image of the top `data` as it was before mean and scale, (H, W, C) uint8."""
        return self._transformer.restored(image.cpu().numpy())


def log_coding(layers: Iterable[Layer]) -> None:
    """Log a line for each AnnotatedData layer: whether it encodes images as JPEG again."""
    for source in layers:
        if isinstance(source, AnnotatedData):
            log.info("%s: %s", source.name, source.coding)


def _labels(path: str) -> frozenset[int] | None:
    """The label ids of a labelmap; None without one, because Caffe trains without reading it."""
    if not path:
        return None
    if not Path(path).is_file():
        log.warning("label_map_file %s: no such file; labels are not checked", path)
        return None
    return frozenset(label_map.class_names(path))
