"""Blobs of a net: tensors by name, whose memory a net may release and take again."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from caffe_ir.rules.registry import Shape
from ssd_common.errors import CaffeError


class Blob:
    """A blob of a net: what the latest pass has put there, zeros before the first.

    shape: of the blob until it has a tensor. device: where the tensor lives.
    loss_weight: by how much its sum counts in the net's loss.
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
        """Let go of the values: zeros until they are computed again."""
        self._shape, self._tensor = self.shape, None

    def leaf(self, gradient: bool) -> torch.Tensor:
        """The same memory as the start of a new graph. gradient: whether autograd computes one."""
        self._tensor = self.tensor.detach().requires_grad_(gradient)
        return self._tensor

    @property
    def shape(self) -> Shape:
        """The sides of the tensor, or those that it will have."""
        return self._shape if self._tensor is None else tuple(self._tensor.shape)

    def reshape(self, *sides: int | Sequence[int]) -> None:
        """Give the blob this shape. Values stay where their count does, else they become zeros.

        Raises CaffeError for a negative side.
        """
        shape = tuple(int(side) for part in sides for side in np.ravel(part))
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

    Its shape may differ from its tensor's, which then belongs to a layer that shares it.
    """

    @property
    def shape(self) -> Shape:
        """The sides that this layer gives the parameter."""
        return self._shape
