"""Random numbers that depend only on the run's seed and the sample's number."""

from __future__ import annotations

import threading

import numpy as np


class Draws(threading.local):
    """A generator that a thread keeps and reseeds for each sample.

    A new generator would take much longer, because it first asks the system for a seed.
    """

    def __init__(self) -> None:
        self._bits = np.random.Philox(0)
        self._rng = np.random.Generator(self._bits)
        self._start = self._bits.state

    def of(self, seed: int, index: int) -> np.random.Generator:
        """Return the generator at the start of stream (seed, index).

        It is valid until the thread's next call.
        """
        self._start["state"]["key"] = np.array([seed % (1 << 64), index], np.uint64)
        self._bits.state = self._start
        return self._rng
