"""Layers that take no bottom and need no file: Input, DummyData, Parameter."""

from __future__ import annotations

import torch

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules.registry import Facts
from netrun.layers.fillers import fill
from netrun.layers.registry import Context, Layer, layer


@layer("Input")
class Input(Layer):
    """Blobs that the caller writes: the net keeps them from one forward to the next and never calls this."""

    keeps_top = True


@layer("DummyData")
class DummyData(Layer):
    """Blobs by fillers: a constant one is filled once and may be written by the caller, a random one is drawn anew each time."""

    has_backward = False
    keeps_top = True

    def __init__(self, layer: pb.LayerParameter, facts: Facts, context: Context) -> None:
        super().__init__(layer, facts, context)
        p = layer.dummy_data_param
        self.fillers = list(p.data_filler) or [pb.FillerParameter()]
        self.passes = 0
        self.constant = {i: self._fill(i) for i in range(len(facts.tops)) if self._filler(i).type == "constant"}

    def _filler(self, top: int) -> pb.FillerParameter:
        return self.fillers[top if len(self.fillers) > 1 else 0]

    def _fill(self, top: int) -> torch.Tensor:
        options = self.context.options
        key = f"{self.name}/{top}/{options.rank}/{self.passes}"
        values = fill(self._filler(top), self.facts.tops[top], options.seed, key)
        return torch.from_numpy(values).to(self.context.device)

    def seek(self, batch: int) -> None:
        self.passes = batch

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        tops = [self.constant[i] if i in self.constant else self._fill(i) for i in range(len(self.facts.tops))]
        self.passes += 1
        return tops


@layer("Parameter")
class Parameter(Layer):
    """A learned blob as a top."""

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        return [self.blobs[0].view_as(self.blobs[0])]
