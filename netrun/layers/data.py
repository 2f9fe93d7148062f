"""Layers that take no bottom and need no file: Input, DummyData, Parameter."""

from __future__ import annotations

import torch
from torch import Tensor

from caffe_ir import caffe_ir_pb2 as pb
from netrun.layers.fillers import fill
from netrun.layers.registry import Layer, Tensors, layer


@layer("Input")
class Input(Layer):
    """Blobs that the caller writes.

    The net keeps them from one forward to the next and never calls this layer.
    Source: weiliu89/caffe (ssd), input_layer.cpp.
    """

    keeps_top = True


@layer("DummyData")
class DummyData(Layer):
    """Blobs that fillers fill.

    The layer fills a constant blob once, and the caller may write it. It draws a random one again
    in each pass.
    Source: weiliu89/caffe (ssd), dummy_data_layer.cpp.
    """

    has_backward = False
    keeps_top = True

    def set_up(self) -> None:
        """Fill the constant blobs."""
        p = self.param.dummy_data_param
        self.fillers = list(p.data_filler) or [pb.FillerParameter()]
        self.passes = 0
        self.constant = {
            top: self._fill(top)
            for top in range(len(self.facts.tops))
            if self._filler(top).type == "constant"
        }

    def _filler(self, top: int) -> pb.FillerParameter:
        if len(self.fillers) == 1:
            return self.fillers[0]
        return self.fillers[top]

    def _fill(self, top: int) -> Tensor:
        options = self.context.options
        key = f"{self.name}/{top}/{options.rank}/{self.passes}"
        values = fill(self._filler(top), self.facts.tops[top], options.seed, key)
        return torch.from_numpy(values).to(self.context.device)

    def seek(self, batch: int) -> None:
        """Make the next forward draw what pass `batch` of the run draws."""
        self.passes = batch

    def forward(self, bottoms: Tensors) -> Tensors:
        """The constant blobs unchanged, the random ones newly drawn."""
        tops = [self._top(top) for top in range(len(self.facts.tops))]
        self.passes += 1
        return tops

    def _top(self, top: int) -> Tensor:
        if top in self.constant:
            return self.constant[top]
        return self._fill(top)


@layer("Parameter")
class Parameter(Layer):
    """A learned blob as a top.

    Source: weiliu89/caffe (ssd), parameter_layer.cpp.
    """

    def forward(self, bottoms: Tensors) -> Tensors:
        """The parameter itself, as a view."""
        return [self.blobs[0].view_as(self.blobs[0])]
