"""Memory for batches, reused once nobody holds the previous batch.

Fresh memory pages for each batch would cost a tenth of the loader's time.
"""

from __future__ import annotations

import weakref

import numpy as np
import torch


class Buffers:
    """float32 tensors of one shape, in reused memory.

    A tensor's memory becomes free only when the tensor and all views of it are gone.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self._free: list[np.ndarray] = []

    def take(self) -> torch.Tensor:
        """Return a tensor with arbitrary content."""
        block = self._block()
        # torch holds this view as long as any tensor or array shares the storage.
        view = block[:]
        weakref.finalize(view, self._free.append, block).atexit = False
        return torch.from_numpy(view)

    def _block(self) -> np.ndarray:
        if self._free:
            return self._free.pop()
        return np.empty(self.shape, np.float32)
