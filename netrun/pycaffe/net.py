"""Net: pycaffe's interface to a net on PyTorch."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from itertools import zip_longest
from typing import Any

import numpy as np
import torch

from caffe_ir import caffe_ir_pb2 as pb
from netrun.layers.data import DummyData
from netrun.layers.memory_data import MemoryData
from netrun.pycaffe import mode
from netrun.pycaffe.backward import go_back
from netrun.pycaffe.batches import Arrays, batches_of, copies, rows_of
from netrun.pycaffe.blob_arrays import use_c_order
from netrun.pycaffe.net_names import NetNames
from netrun.runtime.options import RunOptions
from ssd_common.errors import CaffeError
from ssd_common.files import PathLike

_RUN_OPTIONS = frozenset(field.name for field in fields(RunOptions))


class Net(NetNames):
    """An Engine with pycaffe's `blobs`, `params`, `forward` and `backward`, NumPy in and out.

    Its arguments are Engine's, and each field of RunOptions is an argument too. Without a device,
    the net takes the one of set_mode_gpu and set_device; without a seed, set_random_seed's.

    Arrays of inputs and parameters keep their memory as long as their shapes stay the same. If you
    keep an array of a computed blob or a result of `forward`, it shows the values of the latest
    `forward` (copy it to keep them); after `run` or a solver's step, ask for `data` again. A
    forward in TEST keeps nothing for backward, unless the net says force_backward; backward then
    runs the forward again. After `run` in TRAIN, backward gives the parameters' diffs only.
    """

    def __init__(
        self,
        network_file: PathLike | pb.NetParameter,
        phase: Any,
        weights: Any = None,
        *more: Any,
        **arguments: Any,
    ) -> None:
        if isinstance(phase, (str, os.PathLike)) and weights is not None:
            phase, weights = weights, phase  # pycaffe's older Net(network_file, weights, phase)
        elif isinstance(weights, int):
            # pycaffe's order: file, phase, level, stages, weights.
            names = ("level", "stages", "weights")
            arguments |= dict(zip(names, (weights, *more), strict=False))
            weights = arguments.pop("weights", None)
        if arguments.get("device") is None:
            arguments["device"] = mode.device()
        arguments["options"] = run_options(arguments)
        super().__init__(network_file, phase, weights, **arguments)
        self._show_memory_of_layers()

    def _show_memory_of_layers(self) -> None:
        """Let arrays share memory with layers that let the caller write their tops."""
        for layer in self.layer_list:
            for name in layer.param.top:
                self.blobs[name].direct = layer.keeps_top
            if isinstance(layer, DummyData):
                # The caller may write a constant top before the first forward.
                for i, top in layer.constant.items():
                    self.blobs[layer.param.top[i]].tensor = top

    # ---- passes

    def forward(
        self,
        blobs: Iterable[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **inputs: np.ndarray,
    ) -> Arrays:
        """Write inputs, and compute from layer `start` to layer `end` (both included).

        blobs: names of further blobs to return.
        inputs: an array for each of the net's inputs, or none at all.
        Returns the outputs, or with `end` that layer's tops, and the blobs asked for.
        Raises CaffeError for inputs that the net lacks.
        """
        if inputs and set(inputs) != set(self.inputs):
            known = ", ".join(sorted(self.inputs)) or "none"
            given = ", ".join(sorted(inputs))
            raise CaffeError(f"forward takes the inputs {known}, not {given}")
        for name, values in inputs.items():
            _write(name, self.blobs[name].data, values)
        last = self._position_or(end, len(self.layer_list) - 1)
        first = self._position_or(start, 0)
        self._forward(first, last)
        self.log_faults()
        wanted = self._tops_or(end, self.outputs)
        return {name: self.blobs[name].data for name in [*wanted, *(blobs or ())]}

    def backward(
        self,
        diffs: Iterable[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **tops: np.ndarray,
    ) -> Arrays:
        """Write the outputs' diffs and go back from layer `start` to layer `end`.

        It adds to the parameters' diffs. Losses start from their weight, other outputs from their
        diff.
        diffs: names of further blobs whose diffs to return.
        tops: an array for each of the net's outputs, or none at all.
        Returns the diffs of the inputs, or with `end` of that layer's tops, and those asked
        for.
        Raises CaffeError for tops that are not the net's outputs.
        """
        if tops and set(tops) != set(self.outputs):
            known = ", ".join(self.outputs)
            given = ", ".join(sorted(tops))
            raise CaffeError(f"backward takes the outputs {known}, not {given}")
        for name, values in tops.items():
            _write(name, self.blobs[name].diff, values)
        last = self._position_or(end, 0)
        first = self._position_or(start, len(self.layer_list) - 1)
        self._backward(first, last)
        wanted = self._tops_or(end, self.inputs)
        return {name: self.blobs[name].diff for name in [*wanted, *(diffs or ())]}

    def _position_or(self, layer: str | None, default: int) -> int:
        if not layer:
            return default
        return self._position(layer)

    def _tops_or(self, layer: str | None, default: list[str]) -> list[str]:
        if not layer:
            return default
        return list(self.layer_list[self._position(layer)].param.top)

    def forward_all(self, blobs: Iterable[str] | None = None, **inputs: np.ndarray) -> Arrays:
        """Forward over any number of images, in batches of the net's size.

        Zeros fill up the last batch.
        Returns outputs and named blobs as `forward` does, a row for each image.
        Raises CaffeError for inputs of different lengths.
        """
        if not inputs:
            known = ", ".join(self.inputs)
            raise CaffeError(f"forward_all takes the inputs {known}, not none")
        batches = batches_of(inputs, self._batch_size)
        results = (self.forward(blobs, None, None, **batch) for batch in batches)
        return rows_of(results, inputs)

    def forward_backward_all(
        self,
        blobs: Iterable[str] | None = None,
        diffs: Iterable[str] | None = None,
        **given: np.ndarray,
    ) -> tuple[Arrays, Arrays]:
        """Forward and backward over any number of images, as forward_all.

        given: arrays of inputs and, as diffs, of outputs.
        Returns the blobs as `forward` does, and the diffs as `backward` does, a row for each
        image.
        """
        inputs = self._batches_among(given, self.inputs)
        tops = self._batches_among(given, self.outputs)
        forwards: list[Arrays] = []
        backwards: list[Arrays] = []
        nothing: dict[str, Any] = {}
        for first, last in zip_longest(inputs, tops, fillvalue=nothing):
            forwards.append(copies(self.forward(blobs, **first)))
            backwards.append(copies(self.backward(diffs, **last)))
        return rows_of(forwards, given), rows_of(backwards, given)

    def _batches_among(
        self,
        given: Mapping[str, np.ndarray],
        names: Iterable[str],
    ) -> Iterable[dict[str, Any]]:
        named = {name: given[name] for name in names if name in given}
        if not named:
            return ()
        return batches_of(named, self._batch_size)

    @property
    def _batch_size(self) -> int:
        return next(iter(self.blobs.values())).shape[0]

    def _forward(self, start: int, end: int) -> float:
        self._compute(range(start, end + 1), self._trains, record=self._trains)
        # False: computed from the blob's previous values, which backward may need.
        made: dict[str, bool] = {}
        for layer in self.layer_list[start : end + 1]:
            for name in layer.param.top:
                again = layer.keeps_top or name in layer.param.bottom
                made.setdefault(name, not self.runner.has_graph or not again)
        for name, anew in made.items():
            if anew:
                self.blobs[name].follow()
        return float(self.loss.detach())

    def _backward(self, start: int, end: int) -> None:
        if not self.runner.has_graph:
            # Data layers keep their batch; the others compute again.
            self._compute(self._behind_data(), gradients=True, record=True)
        self._upload()
        self.runner.refresh()
        go_back(self, start, end)
        for name in self.inputs:
            self.blobs[name].tensor.grad = None  # the blob's diff holds it

    def _compute(
        self,
        positions: Sequence[int],
        gradients: bool,
        **how: Any,
    ) -> None:
        self._upload()
        super()._compute(positions, gradients, **how)

    def _upload(self) -> None:
        """Copy values that the caller wrote on the host to the device."""
        for blob in self.blobs.values():
            blob.upload(keep=True)
        for blobs in self._param_blobs:
            for param in blobs:
                param.upload()

    def before_forward(self, function: object) -> None:
        """Refuse, with CaffeError: see after_backward."""
        raise _no_call_between_layers("before_forward")

    def after_forward(self, function: object) -> None:
        """Refuse, with CaffeError: see after_backward."""
        raise _no_call_between_layers("after_forward")

    def before_backward(self, function: object) -> None:
        """Refuse, with CaffeError: see after_backward."""
        raise _no_call_between_layers("before_backward")

    def after_backward(self, function: object) -> None:
        """Take a `caffe.NCCL`, which averages all gradients at once, behind the whole pass.

        Raises CaffeError for a function: autograd goes back through all layers in one call.
        """
        if callable(function):
            raise _no_call_between_layers("after_backward")

    # ---- data and weights

    def set_input_arrays(self, data: np.ndarray, labels: np.ndarray) -> None:
        """Make the first layer, a MemoryData, give batches of these arrays.

        data: (M, C, H, W) float32.
        labels: (M,) float32.
        Raises CaffeError for other arrays, and for another first layer.
        """
        first = self.layer_list[0]
        if not isinstance(first, MemoryData):
            what = f"'{first.name}' is {first.type}"
            raise CaffeError(f"set_input_arrays needs a MemoryData as the first layer; {what}")
        first.set_arrays(data, labels)

    def save_hdf5(self, path: PathLike) -> None:
        """Write a .caffemodel.h5, whatever the file's name.

        Raises CaffeError where it cannot be written.
        """
        self.save(path, hdf5=True)

    def load_hdf5(self, path: PathLike) -> None:
        """Copy weights from a .caffemodel.h5: pycaffe's name for copy_from."""
        self.copy_from(path)

    def share_with(self, other: NetNames) -> None:
        """Share another net's weights: pycaffe's name for share_from."""
        self.share_from(other)

    def _take_memory(self, mine: torch.Tensor, source: torch.Tensor) -> None:
        use_c_order(source)  # now, because it would later move to its own memory
        super()._take_memory(mine, source)

    def clear_param_diffs(self) -> None:
        """Set all parameters' diffs to zeros."""
        for blobs in self.params.values():
            for blob in blobs:
                blob.diff[...] = 0


def _no_call_between_layers(name: str) -> CaffeError:
    instead = "`netrun time` measures layers"
    return CaffeError(f"{name}: netrun calls no function between layers; {instead}")


def run_options(arguments: dict[str, Any]) -> RunOptions:
    """Take the options out of a net's or solver's keyword arguments.

    The argument `options` gives the fields that are not arguments of their own; without it, the
    seed is set_random_seed's, and the process is number set_solver_rank of set_solver_count.
    """
    options = arguments.pop("options", None) or mode_options()
    named = {name: arguments.pop(name) for name in _RUN_OPTIONS & arguments.keys()}
    return replace(options, **named)


def mode_options() -> RunOptions:
    """The options of a net or solver that is given none: those of the set_ functions."""
    return RunOptions(
        seed=mode.seed(),
        rank=mode.solver_rank(),
        world=mode.solver_count(),
    )


def _write(name: str, array: np.ndarray, values: np.ndarray) -> None:
    try:
        values = np.asarray(values, np.float32)
        if values.shape[:1] != array.shape[:1]:
            what = f"has shape {array.shape}, not {values.shape}: reshape it first"
            raise CaffeError(f"blob '{name}' {what}")
        array[...] = values
    except ValueError as error:
        raise CaffeError(f"blob '{name}': {error}") from None
