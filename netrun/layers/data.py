"""Layers that take no bottom and need no file: Input, DummyData, Parameter."""

from __future__ import annotations

import torch

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules.registry import Facts
from netrun.fillers import fill
from netrun.layers.registry import Context, Layer, layer


@layer("Input")
class Input(Layer):
    """Blobs that the caller writes: the net keeps them from one forward to the next and never calls this."""


@layer("DummyData")
class DummyData(Layer):
    """Blobs by fillers: a constant one is filled once and may be written by the caller, a random one is drawn anew each time."""

    has_backward = False

    def __init__(self, layer: pb.LayerParameter, facts: Facts, context: Context) -> None:
        super().__init__(layer, facts, context)
        p = layer.dummy_data_param
        self.fillers = list(p.data_filler) or [pb.FillerParameter()]
        self.passes = 0
        self.constant: dict[int, torch.Tensor] = {}

    def seek(self, batch: int) -> None:
        self.passes = batch

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        tops = []
        for i, shape in enumerate(self.facts.tops):
            filler = self.fillers[i if len(self.fillers) > 1 else 0]
            top = self.constant.get(i)
            if top is None:
                key = f"{self.name}/{i}/{self.context.rank}/{self.passes}"
                top = torch.from_numpy(fill(filler, shape, self.context.seed, key)).to(self.context.device)
                if filler.type == "constant":
                    self.constant[i] = top
            tops.append(top)
        self.passes += 1
        return tops


@layer("Parameter")
class Parameter(Layer):
    """A learned blob as a top."""

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        return [self.blobs[0].view_as(self.blobs[0])]
