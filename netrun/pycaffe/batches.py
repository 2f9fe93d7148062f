"""Splits any number of rows into a net's batches, and joins the results, for `Net.forward_all`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from ssd_common.errors import CaffeError

Arrays = dict[str, np.ndarray]


def batches_of(arrays: Mapping[str, Any], size: int) -> Iterator[Arrays]:
    """Yield the arrays' rows in batches of this size; zeros fill up the last batch.

    Raises CaffeError for arrays of different lengths.
    """
    counts = {len(values) for values in arrays.values()}
    if len(counts) != 1 or 0 in counts:
        names = ", ".join(arrays) or "the inputs"
        raise CaffeError(f"arrays for {names} must be of one length, not of {sorted(counts)}")
    for start in range(0, counts.pop(), size):
        yield {name: _batch(values, start, size) for name, values in arrays.items()}


def _batch(values: Any, start: int, size: int) -> np.ndarray:
    batch = np.zeros((size, *np.shape(values)[1:]), np.float32)
    part = values[start : start + size]
    batch[: len(part)] = part
    return batch


def copies(found: Mapping[str, np.ndarray]) -> Arrays:
    """Copy the arrays into memory of their own."""
    return {name: array.copy() for name, array in found.items()}


def rows_of(
    batches: Iterable[Mapping[str, np.ndarray]],
    given: Mapping[str, Any],
) -> Arrays:
    """Join the results of batches, without the rows that filled up the last batch.

    given: the arrays that the batches came from.
    """
    found: dict[str, list[np.ndarray]] = {}
    for batch in batches:
        for name, array in copies(batch).items():
            found.setdefault(name, []).append(np.atleast_1d(array))
    total = len(next(iter(given.values())))
    return {name: np.concatenate(arrays)[:total] for name, arrays in found.items()}
