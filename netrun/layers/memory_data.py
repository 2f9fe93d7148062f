"""MemoryData: batches from arrays that the caller sets."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import torch
from torch import Tensor

from netrun.layers.registry import Layer, Tensors, layer
from ssd_common.errors import CaffeError

log = logging.getLogger("netrun")


@layer("MemoryData")
class MemoryData(Layer):
    """Gives batch after batch of the caller's arrays, and starts again at their end.

    Tops: data (N, C, H, W) and labels (N, 1, 1, 1).
    The layer does not copy the arrays: it sees what the caller writes to them later.
    Processes of one run each take every world-th batch.
    Source: weiliu89/caffe (ssd), memory_data_layer.cpp.
    """

    has_backward = False

    def set_up(self) -> None:
        """Start without arrays."""
        self._arrays: tuple[Tensor, Tensor] | None = None
        self._batch = 0

    def set_arrays(self, data: Any, labels: Any) -> None:
        """Take batches from these arrays, as pycaffe's set_input_arrays does.

        data: (M, C, H, W) float32 in C order, where M is a multiple of the batch size.
        labels: (M,) or (M, 1, 1, 1), likewise.
        Raises CaffeError for other arrays.
        """
        shape = self.facts.tops[0]
        _check_array(data, "data", shape[1:])
        _check_array(labels, "labels", (1, 1, 1))
        count = len(data)
        size = shape[0]
        if count != len(labels) or not count or count % size:
            wanted = "data and labels must have the same first dimension"
            found = f"found {count} and {len(labels)}"
            raise CaffeError(f"{wanted}, a multiple of the batch size {size}, {found}")
        if self.param.HasField("transform_param"):
            what = "MemoryData does not transform arrays"
            log.warning("layer '%s': %s; transform_param does nothing", self.name, what)
        rows = torch.from_numpy(labels).reshape(-1, 1, 1, 1)
        self._arrays = torch.from_numpy(data), rows
        self._batch = 0

    def seek(self, batch: int) -> None:
        """Make the next forward give batch `batch` of the run."""
        self._batch = batch

    def forward(self, bottoms: Tensors) -> Tensors:
        """Copies of the next rows of both arrays."""
        if self._arrays is None:
            remedy = "net.set_input_arrays(data, labels)"
            raise self.refuse(f"MemoryData needs arrays first: {remedy}")
        size = self.facts.tops[0][0]
        options = self.context.options
        number = self._batch * options.world + options.rank
        begin = number * size % len(self._arrays[0])
        rows = slice(begin, begin + size)
        self._batch += 1
        device = self.context.device
        return [array[rows].to(device, copy=True) for array in self._arrays]


def _check_array(array: Any, name: str, item: tuple[int, ...]) -> None:
    """Refuse all but a float32 array of items of this shape; labels may also have just one axis."""
    is_array = isinstance(array, np.ndarray)
    is_float32 = is_array and array.dtype == np.float32
    if not is_float32 or not array.flags.c_contiguous:
        wanted = "must be a float32 array in C order"
        remedy = "np.ascontiguousarray(array, np.float32)"
        raise CaffeError(f"{name} array {wanted}: {remedy}")
    is_flat = name == "labels" and array.ndim == 1
    if array.shape[1:] != item and not is_flat:
        sides = " x ".join(map(str, item))
        raise CaffeError(f"{name} array must be M x {sides}, found {array.shape}")
