"""Random numbers of layers.

They depend on seed, layer, rank and the count of forward passes, so a resumed run draws the same.
"""

from __future__ import annotations

import zlib

import torch

from netrun.layers.registry import Context, Layer


class Draws:
    """A generator on the context's device, reseeded for each pass.

    passes: how many passes have drawn; a resumed run sets it.
    """

    def __init__(self, context: Context, name: str) -> None:
        self._key = f"{context.options.seed}/{name}/{context.options.rank}"
        self._generator = torch.Generator(context.device)
        self.passes = 0

    def next(self) -> torch.Generator:
        """The generator of the next pass."""
        seed = zlib.crc32(f"{self._key}/{self.passes}".encode())
        self._generator.manual_seed(seed)
        self.passes += 1
        return self._generator


class DrawingLayer(Layer):
    """A layer that draws at random in each pass: Dropout, and STOCHASTIC Pooling and SPP."""

    def set_up(self) -> None:
        """Make the generator of this layer."""
        self.draws = Draws(self.context, self.param.name)

    def training_draws(self) -> torch.Generator | None:
        """The generator of the next pass in TRAIN; None in TEST."""
        if not self.context.train:
            return None
        return self.draws.next()

    def seek(self, batch: int) -> None:
        """Make the next pass draw what pass number `batch` of the run draws."""
        self.draws.passes = batch
