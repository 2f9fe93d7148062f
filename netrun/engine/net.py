"""Net: pycaffe's interface to a net that computes on PyTorch."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest
from typing import Any

import numpy as np
import torch

from caffe_ir import caffe_ir_pb2 as pb
from netrun.engine.engine import Engine, PathLike
from netrun.layers.blob_arrays import Blob, LayerView
from netrun.layers.data import DummyData
from netrun.layers.memory_data import MemoryData
from netrun.layers.python import Python
from netrun.layers.python_host import Layer as UserLayer
from netrun.runtime import mode
from ssd_common.errors import CaffeError
from ssd_common.suggest import suggest


class Net(Engine):
    """An Engine with pycaffe's `blobs`, `params`, `forward` and `backward`, NumPy in and out. Its arguments are Engine's.

    Without device or seed it is built where set_mode_gpu and set_device say, and filled as set_random_seed says. Arrays of inputs and
    parameters stay the same memory for as long as their shapes do. An array of a computed blob that is kept, `forward`'s results too,
    shows what the latest `forward` computed (copy it to keep the values); after `run` or a solver's step ask for `data` again.
    A forward in TEST keeps nothing for backward, unless the net says force_backward; calling backward then computes it again.
    After `run` in TRAIN, backward gives the parameters' diffs only.
    """

    def __init__(self, network_file: PathLike | pb.NetParameter, phase: Any, weights: Any = None, *more: Any, **options: Any) -> None:
        if isinstance(phase, (str, os.PathLike)) and weights is not None:  # pycaffe's older Net(network_file, weights, phase)
            phase, weights = weights, phase
        elif isinstance(weights, int):  # pycaffe's order: network_file, phase, level, stages, weights
            options |= dict(zip(("level", "stages", "weights"), (weights, *more), strict=False))
            weights = options.pop("weights", None)
        if options.get("device") is None:
            options["device"] = mode.device()
        options.setdefault("seed", mode.seed())
        super().__init__(network_file, phase, weights, **options)
        for layer in self.layer_list:
            for name in layer.param.top:
                self.blobs[name].direct = layer.keeps_top
            if isinstance(layer, DummyData):  # what the caller writes there before the first forward counts, too
                for i, top in layer.constant.items():
                    self.blobs[layer.param.top[i]].tensor = top

    @property
    def layers(self) -> list[LayerView | UserLayer]:
        """The layers' types and blobs; of a Python layer, the user's own object."""
        pairs = zip(self.layer_list, self._param_blobs, strict=True)
        return [layer.user if isinstance(layer, Python) else LayerView(layer.type, blobs) for layer, blobs in pairs]

    @property
    def layer_dict(self) -> dict[str, LayerView | UserLayer]:
        return dict(zip(self._layer_names, self.layers, strict=True))

    @property
    def _layer_names(self) -> list[str]:
        return [layer.name for layer in self.layer_list]

    @property
    def _blob_names(self) -> list[str]:
        return list(self.blobs)

    @property
    def _blobs(self) -> list[Blob]:
        return list(self.blobs.values())

    @property
    def _blob_loss_weights(self) -> list[float]:
        return list(self.blob_loss_weights.values())

    @property
    def _inputs(self) -> list[int]:
        return self._ids(self.inputs)

    @property
    def _outputs(self) -> list[int]:
        return self._ids(self.outputs)

    def _bottom_ids(self, layer: int) -> list[int]:
        return self._ids(self.layer_list[layer].param.bottom)

    def _top_ids(self, layer: int) -> list[int]:
        return self._ids(self.layer_list[layer].param.top)

    def _ids(self, names: Iterable[str]) -> list[int]:
        numbers = {name: i for i, name in enumerate(self.blobs)}
        return [numbers[name] for name in names]

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

    def _batches(self, arrays: Mapping[str, Any]) -> Iterator[dict[str, np.ndarray]]:
        """Any number of rows in batches of the net's size, the last one filled up with zeros."""
        counts = {len(values) for values in arrays.values()}
        if len(counts) != 1 or 0 in counts:
            raise CaffeError(f"arrays for {', '.join(arrays) or 'the inputs'} must be of one length, not of {sorted(counts)}")
        size = next(iter(self.blobs.values())).shape[0]
        for start in range(0, counts.pop(), size):
            batch = {name: np.zeros((size, *np.shape(values)[1:]), np.float32) for name, values in arrays.items()}
            for name, values in arrays.items():
                part = values[start : start + size]
                batch[name][: len(part)] = part
            yield batch

    def forward_all(self, blobs: Iterable[str] | None = None, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Forward over any number of images, in batches of the net's size, the last one filled up with zeros.

        Returns outputs and named blobs as `forward` does, a row for each image. Raises CaffeError for inputs of different lengths.
        """
        if not inputs:
            raise CaffeError(f"forward_all takes the inputs {', '.join(self.inputs)}, not none")
        return _rows((self.forward(blobs, None, None, **batch) for batch in self._batches(inputs)), inputs)

    def forward_backward_all(
        self, blobs: Iterable[str] | None = None, diffs: Iterable[str] | None = None, **given: np.ndarray
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Forward and backward over any number of images, as forward_all; `given` are arrays of inputs and, as diffs, of outputs.

        Returns the blobs as `forward` does, and the diffs as `backward` does, a row for each image.
        """
        sides = [{name: given[name] for name in names if name in given} for names in (self.inputs, self.outputs)]
        batches = zip_longest(*(self._batches(side) if side else () for side in sides), fillvalue=None)
        pairs = [(_copies(self.forward(blobs, **(first or {}))), _copies(self.backward(diffs, **(last or {})))) for first, last in batches]
        return _rows((found for found, _ in pairs), given), _rows((found for _, found in pairs), given)

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
        made: dict[str, bool] = {}  # False: from what the blob held before, which backward may need again
        for layer in self.layer_list[start : end + 1]:
            for name in layer.param.top:
                made.setdefault(name, not self._graph or not (layer.keeps_top or name in layer.param.bottom))
        for name, anew in made.items():
            if anew:
                self.blobs[name].follow()
        return float(self.loss.detach())

    def _backward(self, start: int, end: int) -> None:
        if not self._graph:  # the sources' tops are there still; the rest is computed again
            again = [i for i, layer in enumerate(self.layer_list) if layer.param.bottom or layer.type == "Input"]
            self._compute(again, gradients=True, record=True)
        self._upload()
        kept = [(tensor, tensor.grad) for layer in self.layer_list[:end] for tensor in layer.blobs]
        for tensor, _ in kept:
            tensor.grad = None
        users_code = any(isinstance(layer, Python) for layer in self.layer_list)
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
            if version in unread or blob.loss_weight:
                seed = blob.seed()
                if seed is None and users_code:  # Caffe calls it, whatever the diff is
                    seed = torch.zeros_like(tensor)
                if seed is not None:
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

    def set_input_arrays(self, data: np.ndarray, labels: np.ndarray) -> None:
        """Have the first layer, a MemoryData, give batches of these arrays, (M, C, H, W) and (M,), float32.

        Raises CaffeError for others, and for another first layer.
        """
        first = self.layer_list[0]
        if not isinstance(first, MemoryData):
            raise CaffeError(f"set_input_arrays needs a MemoryData as the first layer; '{first.name}' is {first.type}")
        first.set_arrays(data, labels)

    def save_hdf5(self, path: PathLike) -> None:
        """Write a .caffemodel.h5, whatever the file's name. Raises CaffeError where it cannot be written."""
        self.save(path, hdf5=True)

    def load_hdf5(self, path: PathLike) -> None:
        """pycaffe's name for copy_from of a .caffemodel.h5."""
        self.copy_from(path)

    def share_with(self, other: Engine) -> None:
        """pycaffe's name for share_from."""
        self.share_from(other)

    def clear_param_diffs(self) -> None:
        """Make all parameters' diffs zeros."""
        for blobs in self.params.values():
            for blob in blobs:
                blob.diff[...] = 0


def _copies(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: array.copy() for name, array in found.items()}


def _rows(batches: Iterable[dict[str, np.ndarray]], given: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Batches' results in one, without those of the rows that filled up the last batch."""
    found: dict[str, list[np.ndarray]] = {}
    for batch in batches:
        for name, array in _copies(batch).items():
            found.setdefault(name, []).append(array if array.ndim else array[np.newaxis])
    total = len(next(iter(given.values())))
    return {name: np.concatenate(arrays)[:total] for name, arrays in found.items()}
