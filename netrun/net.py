"""Net: pycaffe's interface to a net that computes on PyTorch."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.errors import CaffeError, suggest
from netrun.blob import LayerView
from netrun.engine import Engine, PathLike


class Net(Engine):
    """An Engine with pycaffe's `blobs`, `params`, `forward` and `backward`, NumPy in and out. Its arguments are Engine's.

    A forward in TEST keeps nothing for backward, unless the net says force_backward; calling backward then computes it again.
    After `run` in TRAIN, backward gives the parameters' diffs only.
    """

    def __init__(self, prototxt: PathLike | pb.NetParameter, phase: Any, weights: Any = None, **options: Any) -> None:
        if isinstance(phase, (str, os.PathLike)) and weights is not None:  # pycaffe's older Net(prototxt, weights, phase)
            phase, weights = weights, phase
        super().__init__(prototxt, phase, weights, **options)

    @property
    def layers(self) -> list[LayerView]:
        return [LayerView(layer.type, blobs) for layer, blobs in zip(self.layer_list, self._param_blobs, strict=True)]

    @property
    def layer_dict(self) -> dict[str, LayerView]:
        return dict(zip(self._layer_names, self.layers, strict=True))

    @property
    def _layer_names(self) -> list[str]:
        return [layer.name for layer in self.layer_list]

    @property
    def top_names(self) -> dict[str, list[str]]:
        return {layer.name: list(layer.param.top) for layer in self.layer_list}

    @property
    def bottom_names(self) -> dict[str, list[str]]:
        return {layer.name: list(layer.param.bottom) for layer in self.layer_list}

    @property
    def blob_loss_weights(self) -> dict[str, float]:
        return {name: self._weights.get(name, 0.0) for name in self.blobs}

    def _position(self, layer: str) -> int:
        names = self._layer_names
        if layer not in names:
            raise CaffeError(f"net '{self.name}' has no layer '{layer}'{suggest(layer, names)}")
        return names.index(layer)

    def forward(
        self, blobs: Iterable[str] | None = None, start: str | None = None, end: str | None = None, **inputs: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Write `inputs`, compute from layer `start` to layer `end` (both included), return the outputs and the named blobs.

        With `end`, that layer's tops take the outputs' place. Raises CaffeError for inputs that are not the net's, all of them.
        """
        if inputs and set(inputs) != set(self.inputs):
            raise CaffeError(f"forward takes the inputs {', '.join(sorted(self.inputs)) or 'none'}, not {', '.join(sorted(inputs))}")
        for name, values in inputs.items():
            self._write(name, self.blobs[name].data, values)
        last = self._position(end) if end else len(self.layer_list) - 1
        self._forward(self._position(start) if start else 0, last)
        wanted = list(self.layer_list[last].param.top) if end else self.outputs
        return {name: self.blobs[name].data for name in [*wanted, *(blobs or ())]}

    def forward_all(self, blobs: Iterable[str] | None = None, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Forward over any number of images, in batches of the net's size, the last one filled up with zeros.

        Returns outputs and named blobs as `forward` does, a row for each image. Raises CaffeError for inputs of different lengths.
        """
        counts = {len(values) for values in inputs.values()}
        if len(counts) != 1 or 0 in counts:
            raise CaffeError(f"forward_all takes the inputs {', '.join(self.inputs)}, all of one length, not of {sorted(counts)}")
        total, size = counts.pop(), self.blobs[self.inputs[0]].shape[0]
        found: dict[str, list[np.ndarray]] = {}
        for start in range(0, total, size):
            batch = {name: np.zeros((size, *np.shape(values)[1:]), np.float32) for name, values in inputs.items()}
            for name, values in inputs.items():
                part = values[start : start + size]
                batch[name][: len(part)] = part
            for name, array in self.forward(blobs, None, None, **batch).items():
                found.setdefault(name, []).append(array.copy())
        return {name: np.concatenate(arrays)[:total] for name, arrays in found.items()}

    def backward(
        self, diffs: Iterable[str] | None = None, start: str | None = None, end: str | None = None, **tops: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Write `tops` as the outputs' diffs, go back from layer `start` to layer `end`, return diffs of the inputs and the named blobs.

        With `end`, that layer's tops take the inputs' place. Parameters' diffs are added to. Outputs that are losses start from their
        weight, others from what their diff holds. Raises CaffeError for `tops` that are not the net's outputs, all of them.
        """
        if tops and set(tops) != set(self.outputs):
            raise CaffeError(f"backward takes the outputs {', '.join(self.outputs)}, not {', '.join(sorted(tops))}")
        for name, values in tops.items():
            self._write(name, self.blobs[name].diff, values)
        last = self._position(end) if end else 0
        self._backward(self._position(start) if start else len(self.layer_list) - 1, last)
        wanted = list(self.layer_list[last].param.top) if end else self.inputs
        return {name: self.blobs[name].diff for name in [*wanted, *(diffs or ())]}

    def _write(self, name: str, array: np.ndarray, values: np.ndarray) -> None:
        try:
            values = np.asarray(values, np.float32)
            if values.shape[:1] != array.shape[:1]:
                raise CaffeError(f"blob '{name}' has shape {array.shape}, not {values.shape}: reshape it first")
            array[...] = values
        except ValueError as error:
            raise CaffeError(f"blob '{name}': {error}") from None

    def _forward(self, start: int, end: int) -> float:
        self._compute(range(start, end + 1), self._trains, record=self._trains)
        return float(self.loss.detach())

    def _backward(self, start: int, end: int) -> None:
        if not self._graph:  # the sources' tops are there still; the rest is computed again
            again = [i for i, layer in enumerate(self.layer_list) if layer.param.bottom or layer.type == "Input"]
            self._compute(again, gradients=True, record=True)
        self._upload()
        kept = [(tensor, tensor.grad) for layer in self.layer_list[:end] for tensor in layer.blobs]
        for tensor, _ in kept:
            tensor.grad = None
        tensors: list[torch.Tensor] = []
        seeds: list[torch.Tensor] = []
        hooks = []
        versions = [version for version in self._wiring.versions if version.layer <= start]
        unread = [version for version in versions if all(reader > start for reader in version.readers)]
        for name in {version.name for version in versions} - {version.name for version in unread}:
            self.blobs[name].set_diff(None)
        for version in versions:
            blob = self.blobs[version.name]
            known = (version.layer, version.top) in self._tops
            if not known and version is not self._wiring.last[version.name]:
                continue
            tensor = self._tops[version.layer, version.top] if known else blob.tensor
            if not tensor.requires_grad:
                continue
            if (version in unread or blob.loss_weight) and (seed := blob.seed()) is not None:
                tensors.append(tensor)
                seeds.append(seed)
            if version.first and self._tops:
                hooks.append(tensor.register_hook(blob.set_diff))
        try:
            torch.autograd.backward(tensors, seeds, retain_graph=True)
        finally:
            for hook in hooks:
                hook.remove()
        for name in self.inputs:
            self.blobs[name].tensor.grad = None  # their diff has it
        for tensor, gradient in kept:
            tensor.grad = gradient

    def share_with(self, other: Engine) -> None:
        """pycaffe's name for share_from."""
        self.share_from(other)

    def clear_param_diffs(self) -> None:
        """Make all parameters' diffs zeros."""
        for blobs in self.params.values():
            for blob in blobs:
                blob.diff[...] = 0
