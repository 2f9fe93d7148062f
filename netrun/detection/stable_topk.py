"""Rankings in which equal values keep their order, as in Caffe's stable sorts.

torch.topk does not guarantee the order of equal values.
"""

from __future__ import annotations

import torch


def sortable_keys(values: torch.Tensor) -> torch.Tensor:
    """Make int64 keys that rank greater values, and earlier ones among equals, higher.

    The upper half of a key is the float32's bits, made monotone; the lower half is the index,
    counted from the end.
    values: float (..., P).
    Returns keys (..., P).
    """
    numbers = values.float() + 0.0  # makes -0 and 0 one value
    bits = numbers.contiguous().view(torch.int32)
    ascending = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    last = values.shape[-1] - 1
    places = torch.arange(last, -1, -1, device=values.device)
    return (ascending.long() << 32) | places


def place_of(keys: torch.Tensor, length: int) -> torch.Tensor:
    """Read the places (0-based) out of keys that `sortable_keys` made over `length` values."""
    return length - 1 - (keys & 0xFFFFFFFF)


def stable_topk(values: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Take the k greatest values of the last axis.

    values: (..., P), P >= k.
    Returns (values, indices), each (..., k), greatest first; equal values keep their order.
    """
    length = values.shape[-1]
    keys = sortable_keys(values).topk(k).values
    places = place_of(keys, length)
    return values.gather(-1, places), places
