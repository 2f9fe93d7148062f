"""Blobs as pycaffe shows them: NumPy views of a net's tensors."""

from __future__ import annotations

import math
import weakref
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from caffe_ir.rules.registry import Shape
from netrun.engine import blob


class HostCopy:
    """What NumPy sees of a tensor on another device, in C order. It is good for as long as nobody else writes the tensor."""

    def __init__(self, tensor: torch.Tensor, array: np.ndarray | None = None) -> None:
        values = tensor.detach().cpu().contiguous().numpy()
        self.array = values if array is None else array
        if array is not None:
            array[...] = values
        self._of = self._state(tensor)

    @staticmethod
    def _state(tensor: torch.Tensor) -> tuple[int, int]:
        return tensor.data_ptr(), tensor._version

    def is_of(self, tensor: torch.Tensor) -> bool:
        return self._of == self._state(tensor)

    def put_back(self, tensor: torch.Tensor) -> None:
        """Write the copy, which may have been written, to the tensor, unless that has changed since."""
        if self.is_of(tensor):
            with torch.no_grad():
                tensor.copy_(torch.from_numpy(self.array))
            self._of = self._state(tensor)


class Blob(blob.Blob):
    """A net's blob: `data` and `diff` are NumPy arrays that may be written.

    On the CPU `data` is the tensor's own memory. On another device it is a copy on the host, put back before the next forward.
    As in pycaffe, an array that somebody keeps shows the values of the latest `forward`, for as long as the blob keeps its shape.
    """

    direct = True  # False: what a layer computed may be memory that it needs again, so arrays show memory of the blob's own
    _host: HostCopy | None = None
    _diff: np.ndarray | None = None
    _shown: tuple[weakref.ref[np.ndarray], torch.Tensor] | None = None  # the array given out, and whose memory it is

    def _take(self, value: torch.Tensor) -> None:
        super()._take(value)
        self._host = None
        if self._diff is not None and self._diff.shape != value.shape:
            self._diff = None

    def release(self) -> None:
        """Let go of the values: zeros until they are computed again."""
        super().release()
        self._host = None

    def reshape(self, *sides: int | Sequence[int]) -> None:
        """Give the blob this shape. Values stay where their count does, else they become zeros.

        Raises CaffeError for a negative side.
        """
        before = self.shape
        super().reshape(*sides)
        if self.shape != before:
            self._diff = None

    def _widen(self) -> None:
        """Hold in float32 what layers have passed on in bfloat16, which NumPy has not."""
        if self.tensor.dtype == torch.bfloat16:
            with torch.enable_grad():
                self._tensor = self.tensor.float()

    @property
    def data(self) -> np.ndarray:
        self._widen()
        if self.tensor.device.type == "cpu":
            if not self.tensor.is_contiguous():  # pycaffe's users rely on C order: reshape and ravel must not copy
                with torch.enable_grad():
                    self._tensor = self.tensor.contiguous()
            shown = self._kept()
            if shown is None or shown[1].data_ptr() != self.tensor.data_ptr() or shown[0].shape != self.shape:
                if not self.direct:
                    self._move(shown[1] if shown and shown[0].shape == self.shape else torch.empty(self.shape))
                memory = self.tensor.detach()
                if shown is None or shown[1].data_ptr() != memory.data_ptr() or shown[0].shape != self.shape:
                    shown = memory.numpy(), memory
                    self._shown = weakref.ref(shown[0]), memory
            return shown[0]
        if self._host is None or not self._host.is_of(self.tensor):
            self._host = HostCopy(self.tensor)
            self._shown = weakref.ref(self._host.array), self.tensor.detach()
        return self._host.array

    def _kept(self) -> tuple[np.ndarray, torch.Tensor] | None:
        """The array given out, and whose memory it is, while somebody keeps it."""
        array = self._shown[0]() if self._shown else None
        if array is None or self._shown is None:
            self._shown = None
            return None
        return array, self._shown[1]

    def _move(self, memory: torch.Tensor) -> None:
        """Have the values in this memory, so that what NumPy writes there counts."""
        with torch.no_grad():
            memory.copy_(self.tensor)
        if self.tensor.requires_grad:
            self.tensor.data = memory
        else:
            self._tensor = memory  # not .data: the layer may keep the tensor itself

    def follow(self) -> None:
        """Show the present values in an array that somebody keeps from before."""
        shown = self._kept()
        if shown is None or shown[1].data_ptr() == self.tensor.data_ptr() or shown[0].shape != self.shape:
            return
        array, memory = shown
        self._widen()
        if self.tensor.device.type != "cpu":
            self._host = HostCopy(self.tensor, array)
            self._shown = weakref.ref(array), self.tensor.detach()
        else:
            self._move(memory)

    def upload(self, keep: bool = False) -> None:
        """Put a host copy that may have been written back on the device. keep: the device never writes it, so it stays in use."""
        if self._host is not None:
            self._host.put_back(self.tensor)
            if not keep:
                self._host = None

    @property
    def diff(self) -> np.ndarray:
        if self._diff is None:
            self._diff = np.full(self.shape, self.loss_weight, np.float32)
        return self._diff

    def set_diff(self, value: torch.Tensor | None) -> None:
        """Make `diff` this gradient; None makes it zeros, or the loss weight, again."""
        self._diff = None if value is None else value.detach().cpu().contiguous().numpy()

    def seed(self) -> torch.Tensor | None:
        """The gradient that backward starts from at an output: what `diff` holds, None where that is nothing."""
        if self._diff is None:
            return torch.full(self.shape, self.loss_weight, device=self.device) if self.loss_weight else None
        return torch.from_numpy(self._diff).to(self.device) if self._diff.any() else None

    def _legacy(self, axis: int) -> int:
        return self.shape[axis] if axis < len(self.shape) else 1

    @property
    def num(self) -> int:
        return self._legacy(0)

    @property
    def channels(self) -> int:
        return self._legacy(1)

    @property
    def height(self) -> int:
        return self._legacy(2)

    @property
    def width(self) -> int:
        return self._legacy(3)

    @property
    def count(self) -> int:
        return math.prod(self.shape)


def use_c_order(tensor: torch.Tensor) -> None:
    """Lay a tensor on the CPU out in C order, for good: then NumPy's reshape and ravel are views that write to it, as in pycaffe."""
    if tensor.device.type == "cpu" and not tensor.is_contiguous():
        tensor.data = tensor.data.contiguous()


class ParamBlob(Blob):
    """A parameter: `diff` is the gradient that backward adds to, until somebody clears it. NumPy sees both in C order.

    After a solver's step `diff` is what is left of the gradient; where the solver says snapshot_diff, it is what the weights have lost
    by the update, as it always is in Caffe. The shape may be another than the tensor's, which then belongs to a layer that shares it.
    """

    _host_diff: HostCopy | None = None

    @property
    def shape(self) -> Shape:
        return self._shape

    @property
    def data(self) -> np.ndarray:
        use_c_order(self.tensor)
        return super().data.reshape(self._shape)

    @property
    def diff(self) -> np.ndarray:
        return self._gradient().reshape(self._shape)

    def _gradient(self) -> np.ndarray:
        use_c_order(self.tensor)
        if self.tensor.grad is None:
            self.tensor.grad = torch.zeros_like(self.tensor)
        if self.device.type == "cpu":
            self.tensor.grad = self.tensor.grad.contiguous()
            return self.tensor.grad.numpy()
        if self._host_diff is None or not self._host_diff.is_of(self.tensor.grad):
            self._host_diff = HostCopy(self.tensor.grad)
        return self._host_diff.array

    def upload(self, keep: bool = False) -> None:
        super().upload(keep)
        if self._host_diff is not None and self.tensor.grad is not None:
            self._host_diff.put_back(self.tensor.grad)
        self._host_diff = None


@dataclass(frozen=True)
class LayerView:
    """A layer as pycaffe's `net.layers` shows it."""

    type: str
    blobs: list[ParamBlob]
