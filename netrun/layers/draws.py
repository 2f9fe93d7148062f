"""Random numbers of layers: they follow from seed, layer, rank and the count of forward passes, so a resumed run draws the same."""

from __future__ import annotations

import zlib

import torch

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules.registry import Facts
from netrun.layers.registry import Context, Layer


class Draws:
    """A generator on the context's device, seeded anew for each pass. passes: how many there have been; a resumed run sets it."""

    def __init__(self, context: Context, name: str) -> None:
        self._key = f"{context.options.seed}/{name}/{context.options.rank}"
        self._generator = torch.Generator(context.device)
        self.passes = 0

    def next(self) -> torch.Generator:
        """The generator of the next pass."""
        self._generator.manual_seed(zlib.crc32(f"{self._key}/{self.passes}".encode()))
        self.passes += 1
        return self._generator


class DrawingLayer(Layer):
    """A layer that draws at random in each pass: Dropout, and Pooling and SPP where they are STOCHASTIC."""

    def __init__(self, layer: pb.LayerParameter, facts: Facts, context: Context) -> None:
        super().__init__(layer, facts, context)
        self.draws = Draws(context, layer.name)

    def seek(self, batch: int) -> None:
        """Draw in the next pass what pass number `batch` of the run draws."""
        self.draws.passes = batch
