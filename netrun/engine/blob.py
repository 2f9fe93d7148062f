"""Blobs of a net: named tensors; the net may release their memory and allocate it again."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from caffe_ir.rules.registry import Shape
from caffe_ir.walk import MAX_AXES
from ssd_common.errors import CaffeError


class Blob:
    """A blob of a net: it holds the latest pass's values, and zeros before the first pass.

    shape: the blob's shape until it has a tensor.
    device: where the tensor lives.
    loss_weight: the factor of the blob's sum in the net's loss.
    """

    def __init__(
        self,
        shape: Shape,
        device: torch.device,
        loss_weight: float = 0.0,
        tensor: torch.Tensor | None = None,
    ) -> None:
        self._shape = shape
        self.device = device
        self.loss_weight = loss_weight
        self._tensor = tensor

    @property
    def tensor(self) -> torch.Tensor:
        """The values, zeros before the first forward."""
        if self._tensor is None:
            self._tensor = torch.zeros(self._shape, device=self.device)
        return self._tensor

    @tensor.setter
    def tensor(self, value: torch.Tensor) -> None:
        self._take(value)

    def _take(self, value: torch.Tensor) -> None:
        self._tensor = value

    def release(self) -> None:
        """Release the values: the blob holds zeros until a pass computes it again."""
        self._shape = self.shape
        self._tensor = None

    def leaf(self, gradient: bool) -> torch.Tensor:
        """Make the tensor the start of a new graph, in the same memory, and return it.

        gradient: whether autograd computes the tensor's gradient.
        """
        self._tensor = self.tensor.detach().requires_grad_(gradient)
        return self._tensor

    @property
    def shape(self) -> Shape:
        """The tensor's shape, or the shape that it will get."""
        if self._tensor is None:
            return self._shape
        return tuple(self._tensor.shape)

    def reshape(self, *sides: int | Sequence[int]) -> None:
        """Give the blob this shape.

        Values stay if their count stays the same; else they become zeros.
        Raises CaffeError for a negative side, and for more axes than Caffe's blobs have.
        """
        shape = tuple(int(side) for part in sides for side in np.ravel(part))
        if len(shape) > MAX_AXES:
            raise CaffeError(f"a blob cannot have {len(shape)} axes: at most {MAX_AXES}")
        if min(shape, default=0) < 0:
            raise CaffeError(f"a blob cannot have shape {shape}: sides are 0 or more")
        if shape == self.shape:
            return
        if self._tensor is not None and math.prod(shape) == self._tensor.numel():
            self.tensor = self.tensor.detach().reshape(shape)
        else:
            self.tensor = torch.zeros(shape, device=self.device)
        self._shape = shape


class ParamBlob(Blob):
    """A parameter as one layer sees it.

    Its shape may differ from its tensor's if the tensor belongs to another layer.
    """

    @property
    def shape(self) -> Shape:
        """The shape that this layer gives the parameter."""
        return self._shape
