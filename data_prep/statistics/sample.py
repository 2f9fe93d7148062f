"""Draws a sample of very many rows."""

from __future__ import annotations

import numpy as np


def sample(rows: np.ndarray, most: int) -> np.ndarray:
    """Draw rows at random, the same in every run, where there are too many; else return all.

    rows: (n, …).
    most: number of rows to return at most.
    """
    if len(rows) <= most:
        return rows
    chosen = np.random.default_rng(0).choice(len(rows), most, replace=False)
    return rows[chosen]
