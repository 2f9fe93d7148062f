"""Rankings in which equal values keep their order, as Caffe's stable sorts do; torch.topk promises no order among equals."""

from __future__ import annotations

import torch


def ranking_keys(values: torch.Tensor) -> torch.Tensor:
    """int64 keys (..., P) of float values (..., P): a greater key is a greater value or, among equals, an earlier place.

    The upper half of a key is the float32's bits made monotone, the lower half the place counted from the end.
    """
    bits = (values.float() + 0.0).contiguous().view(torch.int32)  # + 0.0: one zero only
    ascending = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    places = torch.arange(values.shape[-1] - 1, -1, -1, device=values.device)
    return (ascending.long() << 32) | places


def place_of(keys: torch.Tensor, length: int) -> torch.Tensor:
    """The places (0-based) that keys from `ranking_keys` over `length` values stand for."""
    return length - 1 - (keys & 0xFFFFFFFF)


def stable_topk(values: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The k greatest of the last axis, falling, and their places; equal values in their order. values: (..., P), P >= k."""
    length = values.shape[-1]
    places = place_of(ranking_keys(values).topk(k).values, length)
    return values.gather(-1, places), places
