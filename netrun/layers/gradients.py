"""Gradients that are Caffe's rather than the derivative of what was computed."""

from __future__ import annotations

import torch


def pass_through(value: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """`value`, to the last bit where x is finite, with the gradient of x."""
    return value.detach() + (x - x.detach())
