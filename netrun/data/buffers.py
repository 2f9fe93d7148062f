"""Memory for batches, used again once nobody holds the batch before: fresh pages for each would cost a tenth of the loader's time."""

from __future__ import annotations

import weakref

import numpy as np
import torch


class Buffers:
    """float32 tensors of one shape. A tensor's memory comes back when it and all views of it are gone, and never before."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self._free: list[np.ndarray] = []

    def take(self) -> torch.Tensor:
        """A tensor of arbitrary content."""
        block = self._free.pop() if self._free else np.empty(self.shape, np.float32)
        view = block[:]  # torch holds this object for as long as any tensor or array shares the storage
        weakref.finalize(view, self._free.append, block).atexit = False
        return torch.from_numpy(view)
