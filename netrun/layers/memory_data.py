"""MemoryData: batches out of arrays that the caller sets."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import torch

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules.registry import Facts
from netrun.layers.registry import Context, Layer, layer
from ssd_common.errors import CaffeError

log = logging.getLogger("netrun")


@layer("MemoryData")
class MemoryData(Layer):
    """Tops: data (N, C, H, W), and labels (N, 1, 1, 1), the next batch of the arrays, from the beginning again at their end.

    Source: weiliu89/caffe (ssd), memory_data_layer.cpp. The arrays are not copied: what is written to them later is seen.
    Processes of one run each take every world-th batch.
    """

    has_backward = False

    def __init__(self, layer: pb.LayerParameter, facts: Facts, context: Context) -> None:
        super().__init__(layer, facts, context)
        self._arrays: tuple[torch.Tensor, torch.Tensor] | None = None
        self._batch = 0

    def set_arrays(self, data: Any, labels: Any) -> None:
        """pycaffe's set_input_arrays: float32 arrays in C order, (M, C, H, W) and (M,) or (M, 1, 1, 1), M a multiple of the batch.

        Raises CaffeError for others.
        """
        shape = self.facts.tops[0]
        for array, name, item in ((data, "data", shape[1:]), (labels, "labels", (1, 1, 1))):
            if not (isinstance(array, np.ndarray) and array.dtype == np.float32 and array.flags.c_contiguous):
                raise CaffeError(f"{name} array must be a float32 array in C order: np.ascontiguousarray(array, np.float32)")
            if array.shape[1:] != item and not (name == "labels" and array.ndim == 1):
                raise CaffeError(f"{name} array must be M x {' x '.join(map(str, item))}, found {array.shape}")
        if len(data) != len(labels) or not len(data) or len(data) % shape[0]:
            counts = f"found {len(data)} and {len(labels)}"
            raise CaffeError(f"data and labels must have the same first dimension, a multiple of the batch size {shape[0]}, {counts}")
        if self.param.HasField("transform_param"):
            log.warning("layer '%s': MemoryData does not transform arrays; transform_param does nothing", self.name)
        self._arrays = torch.from_numpy(data), torch.from_numpy(labels).reshape(-1, 1, 1, 1)
        self._batch = 0

    def seek(self, batch: int) -> None:
        self._batch = batch

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        if self._arrays is None:
            raise self.refuse("MemoryData needs arrays first: net.set_input_arrays(data, labels)")
        size, options = self.facts.tops[0][0], self.context.options
        begin = (self._batch * options.world + options.rank) * size % len(self._arrays[0])
        self._batch += 1
        device = self.context.device
        return [array[begin : begin + size].to(device, copy=True) for array in self._arrays]
