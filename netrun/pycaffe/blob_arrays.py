"""Blobs as pycaffe shows them: NumPy views of a net's tensors."""

from __future__ import annotations

import math
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from caffe_ir.rules.registry import Shape
from netrun.engine import blob

HOST = torch.device("cpu")


class HostCopy:
    """NumPy's view of a tensor on another device: a copy in C order.

    It is valid until someone else writes the tensor.
    array: memory for the copy; None: new memory.
    """

    def __init__(
        self,
        tensor: torch.Tensor,
        array: np.ndarray | None = None,
    ) -> None:
        values = tensor.detach().cpu().contiguous().numpy()
        self.array = values
        if array is not None:
            array[...] = values
            self.array = array
        self._of = self._state(tensor)

    @staticmethod
    def _state(tensor: torch.Tensor) -> tuple[int, int]:
        return tensor.data_ptr(), tensor._version

    def is_of(self, tensor: torch.Tensor) -> bool:
        """Tell whether the copy holds this tensor's present values."""
        return self._of == self._state(tensor)

    def put_back(self, tensor: torch.Tensor) -> None:
        """Write the copy to the tensor, unless the tensor has changed since the copy."""
        if self.is_of(tensor):
            with torch.no_grad():
                tensor.copy_(torch.from_numpy(self.array))
            self._of = self._state(tensor)


class Blob(blob.Blob):
    """A net's blob; its `data` and `diff` are NumPy arrays that the caller may write.

    On the CPU, `data` is the tensor's own memory. On another device it is a copy on the host,
    written back before the next forward. As in pycaffe, an array that the caller keeps shows the
    values of the latest `forward`, as long as the blob keeps its shape.
    """

    # False: the layer may need the memory of its result, so arrays show other memory.
    direct = True
    _host: HostCopy | None = None
    _diff: np.ndarray | None = None
    # The array given out, and the owner of its memory.
    _shown: tuple[weakref.ref[np.ndarray], torch.Tensor] | None = None

    def _take(self, value: torch.Tensor) -> None:
        super()._take(value)
        self._host = None
        if self._diff is not None and self._diff.shape != value.shape:
            self._diff = None

    def release(self) -> None:
        """Release the values: the blob holds zeros until a pass computes it again."""
        super().release()
        self._host = None

    def reshape(self, *sides: int | Sequence[int]) -> None:
        """Give the blob this shape. Values stay if their count stays the same, else become zeros.

        Raises CaffeError for a negative side.
        """
        before = self.shape
        super().reshape(*sides)
        if self.shape != before:
            self._diff = None

    def _widen(self) -> None:
        """Convert to float32 what layers passed on in bfloat16, which NumPy lacks."""
        if self.tensor.dtype == torch.bfloat16:
            with torch.enable_grad():
                self._tensor = self.tensor.float()

    @property
    def data(self) -> np.ndarray:
        """The values, in C order; the net sees what the caller writes there."""
        self._widen()
        if self.tensor.device.type != "cpu":
            return self._host_data()
        # pycaffe's users rely on C order: reshape and ravel must not copy.
        if not self.tensor.is_contiguous():
            with torch.enable_grad():
                self._tensor = self.tensor.contiguous()
        array = self._current()
        if array is None and not self.direct:
            self._move(self._own_memory())
            array = self._current()
        if array is None:
            memory = self.tensor.detach()
            array = memory.numpy()
            self._shown = weakref.ref(array), memory
        return array

    def _host_data(self) -> np.ndarray:
        if self._host is None or not self._host.is_of(self.tensor):
            self._host = HostCopy(self.tensor)
            self._shown = weakref.ref(self._host.array), self.tensor.detach()
        return self._host.array

    def _kept(self) -> tuple[np.ndarray, torch.Tensor] | None:
        """The array given out, and the owner of its memory, while the caller keeps the array."""
        if self._shown is None:
            return None
        reference, memory = self._shown
        array = reference()
        if array is None:
            self._shown = None
            return None
        return array, memory

    def _current(self) -> np.ndarray | None:
        """The array given out, if it still is the tensor's memory in the blob's shape."""
        shown = self._kept()
        if shown is None:
            return None
        array, memory = shown
        if memory.data_ptr() != self.tensor.data_ptr() or array.shape != self.shape:
            return None
        return array

    def _own_memory(self) -> torch.Tensor:
        """The memory of the array given out, if it has the blob's shape, else new memory."""
        shown = self._kept()
        if shown is not None and shown[0].shape == self.shape:
            return shown[1]
        return torch.empty(self.shape)

    def _move(self, memory: torch.Tensor) -> None:
        """Move the values to this memory, so that the net sees what NumPy writes there."""
        with torch.no_grad():
            memory.copy_(self.tensor)
        if self.tensor.requires_grad:
            self.tensor.data = memory
        else:
            self._tensor = memory  # not .data: the layer may keep the tensor itself

    def follow(self) -> None:
        """Show the present values in an array that the caller has kept."""
        shown = self._kept()
        if shown is None:
            return
        array, memory = shown
        if memory.data_ptr() == self.tensor.data_ptr() or array.shape != self.shape:
            return
        self._widen()
        if self.tensor.device.type != "cpu":
            self._host = HostCopy(self.tensor, array)
            self._shown = weakref.ref(array), self.tensor.detach()
        else:
            self._move(memory)

    def upload(self, keep: bool = False) -> None:
        """Copy a host copy, which the caller may have written, back to the device.

        keep: whether the copy stays in use, because the device never writes this blob.
        """
        if self._host is not None:
            self._host.put_back(self.tensor)
            if not keep:
                self._host = None

    @property
    def diff(self) -> np.ndarray:
        """The gradient, which the caller may write; at first the loss weight."""
        if self._diff is None:
            self._diff = np.full(self.shape, self.loss_weight, np.float32)
        return self._diff

    def set_diff(self, value: torch.Tensor | None) -> None:
        """Set `diff` to this gradient; None resets it to zeros, or to the loss weight."""
        self._diff = None
        if value is not None:
            self._diff = value.detach().cpu().contiguous().numpy()

    def seed(self) -> torch.Tensor | None:
        """Return the gradient that backward starts from at an output: `diff`, None for zeros."""
        if self._diff is not None:
            if not self._diff.any():
                return None
            return torch.from_numpy(self._diff).to(self.device)
        if not self.loss_weight:
            return None
        return torch.full(self.shape, self.loss_weight, device=self.device)

    def _side(self, axis: int) -> int:
        """A side of the shape; 1 beyond the last axis."""
        if axis < len(self.shape):
            return self.shape[axis]
        return 1

    @property
    def num(self) -> int:
        """The first side."""
        return self._side(0)

    @property
    def channels(self) -> int:
        """The second side."""
        return self._side(1)

    @property
    def height(self) -> int:
        """The third side."""
        return self._side(2)

    @property
    def width(self) -> int:
        """The fourth side."""
        return self._side(3)

    @property
    def count(self) -> int:
        """The number of values."""
        return math.prod(self.shape)


def use_c_order(tensor: torch.Tensor) -> None:
    """Lay a tensor on the CPU out in C order permanently.

    NumPy's reshape and ravel are then views that write to it, as in pycaffe.
    """
    if tensor.device.type == "cpu" and not tensor.is_contiguous():
        tensor.data = tensor.data.contiguous()


class ParamBlob(Blob):
    """A parameter, in C order for NumPy.

    `diff` is the gradient; backward adds to it until someone clears it. After a solver's step,
    `diff` is the rest of the gradient; with snapshot_diff it is what the update subtracted from the
    weights, as always in Caffe. The shape may differ from the tensor's if another layer owns the
    tensor.
    """

    _host_diff: HostCopy | None = None

    @property
    def shape(self) -> Shape:
        """The shape that this layer gives the parameter."""
        return self._shape

    @property
    def data(self) -> np.ndarray:
        """The weights; the net sees what the caller writes there."""
        use_c_order(self.tensor)
        return super().data.reshape(self._shape)

    @property
    def diff(self) -> np.ndarray:
        """The gradient, which the caller may write; zeros at first."""
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
        """Copy the host copies of weights and gradient back to the device.

        keep: whether the weights' copy stays in use, because the device never writes the weights.
        """
        super().upload(keep)
        if self._host_diff is not None and self.tensor.grad is not None:
            self._host_diff.put_back(self.tensor.grad)
        self._host_diff = None


class BlobVec(list[Any]):
    """A layer's parameter blobs: those of a net's layer, or those that a Python layer adds."""

    def add_blob(self, *shape: int) -> None:
        """Add a blob of zeros."""
        self.append(Blob(tuple(shape), HOST))


@dataclass(frozen=True)
class LayerView:
    """A layer as pycaffe's `net.layers` shows it."""

    type: str
    blobs: list[ParamBlob]
