"""Engine: a prototxt made runnable on PyTorch, tensors in and out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from caffe_ir.phase import filter_net
from caffe_ir.rules import Shape
from caffe_ir.splits import insert_splits
from caffe_ir.upgrade import upgrade_net
from caffe_ir.walk import Ask, walk
from netrun.engine import data_shapes, debug_info
from netrun.engine.graph import AUTOMATIC, wire
from netrun.engine.parameters import allocate
from netrun.layers import Context, Layer, create
from netrun.layers.blob_arrays import Blob, ParamBlob, use_c_order
from netrun.layers.python_host import PythonLayers
from netrun.runtime.memory import exhausted, give_back_freed, require
from netrun.runtime.precision import arithmetic, bottoms_for, prepare, wide
from netrun.weights.files import copy_into, shape_text, write
from ssd_common.errors import CaffeError

PathLike = str | os.PathLike[str]


class Engine:
    """A net that computes on tensors: `run`, then `loss`.

    prototxt: a path or a NetParameter. phase: pb.TRAIN or pb.TEST. weights: a .caffemodel to start from. level, stages: for include
    and exclude rules. device: where tensors live (default: the CPU). seed: of fillers and of random layers. rank, world: this process
    among those that share a run. inputs: shapes to give Input layers in place of the prototxt's. precision: see netrun.runtime.precision.

    Raises ParseError, LayerError or CaffeError, one line that names the file or layer and the field at fault.
    """

    def __init__(
        self,
        prototxt: PathLike | pb.NetParameter,
        phase: int,
        weights: PathLike | None = None,
        *,
        level: int = 0,
        stages: Iterable[str] | None = None,
        device: torch.device | str | None = None,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
        inputs: Mapping[str, Shape] | None = None,
        precision: str = "fp32",
    ) -> None:
        if phase not in (pb.TRAIN, pb.TEST):
            raise CaffeError(f"phase must be netrun.TRAIN or netrun.TEST, not {phase!r}")
        if isinstance(prototxt, pb.NetParameter):
            whole = pb.NetParameter()
            whole.CopyFrom(prototxt)
            upgrade_net(whole, prototxt.name)
        else:
            whole = text.read_net(prototxt)
        filtered = filter_net(whole, phase, level, stages or ())
        left_out, kept = ({top for layer in net.layer for top in layer.top} for net in (whole, filtered))
        self.param = insert_splits(filtered, left_out - kept)
        for layer in self.param.layer:
            if not layer.top and layer.type.endswith("Loss"):
                layer.top.append(layer.name + AUTOMATIC)  # as Caffe gives one to a loss without
        self.param.state.phase = phase  # type: ignore[assignment]
        self.phase = phase
        self.device = torch.device(device or "cpu")
        prepare(precision, self.device)
        self.context = Context(phase, self.device, seed, rank, world, precision)
        given = dict(inputs or {})
        self._ask: dict[str, Ask] = {
            "Python": PythonLayers(phase).facts,
            **dict.fromkeys(data_shapes.TYPES, data_shapes.Peek(self.context, given)),
        }
        walked = walk(self.param, given, self._ask)
        require(walked, self.device)
        protos = [step.layer for step in walked.layers]
        self._wiring = wire(protos)
        self.layer_list = [create(step.layer, step.facts, self.context) for step in walked.layers]
        self.learnable = allocate(self.layer_list, [step.facts for step in walked.layers], self.context, self.param.force_backward)
        self._param_blobs = [
            [ParamBlob(tuple(t.shape), self.device, tensor=layer.reshaped.get(i, t)) for i, t in enumerate(layer.blobs)]
            for layer in self.layer_list
        ]
        self.params = {layer.name: blobs for layer, blobs in zip(self.layer_list, self._param_blobs, strict=True) if blobs}
        self._weights = {name: self._loss_weight(layer, i) for layer in self.layer_list for i, name in enumerate(layer.param.top)}
        self.blobs = {name: Blob(tuple(shape), self.device, self._weights.get(name, 0.0)) for name, shape in walked.blobs.items()}
        self._shapes = [[tuple(shape) for shape in step.bottoms] for step in walked.layers]  # facts are for these
        self._overwrite = [
            (source := self._wiring.overwritable(i)) is not None and self.layer_list[source.layer].owns_top for i in range(len(protos))
        ]
        kept = {top for layer in self.layer_list for top in layer.param.top if not layer.param.bottom or self._weights[top]}
        self._spent = {i: [name for name in names if name not in kept] for i, names in self._wiring.spent.items()}
        self._scales = self._scales_behind_normalization()
        self._wanted = self._inputs_with_gradient()
        self.keep_blobs = True  # False: a run lets go of what is neither output nor loss nor data once nobody reads it any more
        self._tops: dict[tuple[int, int], torch.Tensor] = {}  # by layer and top, every version of every blob, where recorded
        self.debug_info = self.param.debug_info  # log what layers compute, as Caffe does; it records every blob
        self._graph = False  # whether backward can go through the last computation
        if weights is not None:
            self.copy_from(weights)

    @staticmethod
    def _loss_weight(layer: Layer, top: int) -> float:
        weights = layer.param.loss_weight
        if weights:
            return weights[top] if top < len(weights) else 0.0
        return 1.0 if top == 0 and layer.type.endswith("Loss") else 0.0

    def _scales_behind_normalization(self) -> dict[int, int]:
        """Positions of Scale layers by those of the BatchNorm layers whose top they alone read and overwrite, channel by channel.

        Done in one, such a pair costs half the time and memory, and nobody can see the blob in between.
        """
        found = {}
        for i, layer in enumerate(self.layer_list):
            source = self._wiring.overwritable(i)
            if layer.type == "Scale" and source and self.layer_list[source.layer].type == "BatchNorm":
                p = layer.param
                if len(p.bottom) == 1 and p.scale_param.axis == 1 and layer.blobs[0].dim() == 1 and not p.propagate_down:
                    found[source.layer] = i
        return found

    def _inputs_with_gradient(self) -> set[str]:
        """The blobs of Input and data layers that want a gradient: all under force_backward, else those with propagate_down set."""
        wanted = set()
        for layer in self.layer_list:
            flags = layer.param.propagate_down
            wanted |= {name for i, name in enumerate(layer.param.bottom) if self.param.force_backward or (flags and flags[i])}
        return wanted & {top for layer in self.layer_list if not layer.param.bottom for top in layer.param.top}

    @property
    def name(self) -> str:
        return self.param.name

    @property
    def inputs(self) -> list[str]:
        """The tops of Input layers."""
        return [top for layer in self.layer_list if layer.type == "Input" for top in layer.param.top]

    @property
    def outputs(self) -> list[str]:
        """The blobs that no layer reads."""
        return self._wiring.outputs

    output_names = outputs

    def run(self, start: int = 0, end: int | None = None) -> dict[str, torch.Tensor]:
        """Compute the layers at positions start to end - 1 and return the outputs' tensors. `loss` then is the net's loss.

        In TRAIN, autograd can go back from there; nothing is kept for blobs' `diff` (`Net.forward` does that).
        """
        self._compute(range(start, len(self.layer_list) if end is None else end), self._trains, record=False, keep=self.keep_blobs)
        return {name: self.blobs[name].tensor for name in self.outputs}

    @property
    def loss(self) -> torch.Tensor:
        """The sum over all tops of loss_weight times their values, of the last run; shape ()."""
        total = torch.zeros((), device=self.device)
        for name, weight in self._weights.items():
            if weight:
                total = total + weight * self.blobs[name].tensor.sum()
        return total

    @property
    def _trains(self) -> bool:
        return self.phase == pb.TRAIN or self.param.force_backward

    def keep(self, *names: str) -> None:
        """Have no run let go of these blobs, whatever keep_blobs says."""
        self._spent = {i: [name for name in spent if name not in names] for i, spent in self._spent.items()}

    def recompute(self) -> None:
        """Fill blobs that a run has let go of: compute all layers but the data's again."""
        again = [i for i, layer in enumerate(self.layer_list) if layer.param.bottom or layer.type == "Input"]
        self._compute(again, gradients=False, record=False)

    def _compute(self, positions: Sequence[int], gradients: bool, record: bool, keep: bool = True) -> None:
        """Run layers. record: leave every version of every blob in memory and have backward fill `diff`. keep: see keep_blobs."""
        record = record or self.debug_info
        self._upload()
        self._tops = {key: top for key, top in self._tops.items() if key[0] not in positions} if record else {}
        self._graph = gradients
        scales = {} if record else {i: j for i, j in self._scales.items() if i in positions and j in positions}
        spent = {} if keep or record else self._spent
        for i in positions:
            if i in scales.values():
                continue
            layer = self.layer_list[i]
            layer.overwrite = self._overwrite[i] and not record
            layer.scale = self.layer_list[scales[i]] if i in scales else None
            with torch.set_grad_enabled(gradients and layer.has_backward):
                tops = self._forward_layer(i, layer)
                tops = [wide(top) for top in tops] if record else tops
            if gradients and not layer.param.bottom:
                tops = [self._leaf(name, top) for name, top in zip(layer.param.top, tops, strict=True)]
            for j, (name, tensor) in enumerate(zip(layer.param.top, tops, strict=True)):
                if layer.type != "Input":
                    self.blobs[name].tensor = tensor
                if record:
                    self._tops[i, j] = tensor
            for name in spent.get(i, ()):
                self.blobs[name].release()
        if self.debug_info:
            debug_info.show_forward(self, positions)

    def _leaf(self, name: str, top: torch.Tensor) -> torch.Tensor:
        """A data layer's top as the start of a graph, where a gradient of it is wanted."""
        return top.detach().requires_grad_() if name in self._wanted and not top.requires_grad else top

    def _upload(self) -> None:
        """Put what was written on the host back on the device."""
        for blob in self.blobs.values():
            blob.upload(keep=True)
        for blobs in self._param_blobs:
            for param in blobs:
                param.upload()
        for layer in self.layer_list:
            layer.refresh()

    def _forward_layer(self, position: int, layer: Layer) -> list[torch.Tensor]:
        p = layer.param
        if layer.type == "Input":
            return [self.blobs[name].leaf(torch.is_grad_enabled() and name in self._wanted) for name in p.top]
        bottoms = [self.blobs[name].tensor for name in p.bottom]
        shapes = [tuple(x.shape) for x in bottoms]
        if shapes != self._shapes[position]:
            self._refit(position, layer, shapes)
        for j, x in enumerate(bottoms):
            stopped = p.propagate_down and not p.propagate_down[j] and not self.param.force_backward
            if stopped or j in layer.no_gradient_to:
                bottoms[j] = x.detach()
        try:
            if self.context.precision != "bf16":
                return layer.forward(bottoms)
            with arithmetic(p, self.device):
                return layer.forward(bottoms_for(p, bottoms))
        except (CaffeError, torch.cuda.OutOfMemoryError):
            raise
        except (RuntimeError, IndexError, ValueError, ArithmeticError) as error:
            if exhausted(error):
                raise
            said = (str(error).splitlines() or [type(error).__name__])[0]
            raise layer.refuse(f"{layer.type} failed over bottoms of shapes {shapes}: {said}") from error

    def _refit(self, position: int, layer: Layer, shapes: list[Shape]) -> None:
        """Bring a layer's facts in step with bottoms of other shapes. Raises LayerError where they no longer fit."""
        layer.facts = layer.fit(shapes)
        for i, (wanted, blob) in enumerate(zip(layer.facts.params, layer.blobs, strict=True)):
            if tuple(wanted.shape) != tuple(blob.shape):
                found, needed = shape_text(blob.shape), shape_text(wanted.shape)
                raise layer.refuse(f"parameter {i} has shape {found}; bottoms of shapes {shapes} would need {needed}", "bottom")
        self._shapes[position] = shapes

    def copy_from(self, path: PathLike) -> list[str]:
        """Take the weights of a .caffemodel's or .caffemodel.h5's layers of the same names; return the names of its other layers.

        Raises ParseError for what is neither, and CaffeError where counts or shapes of blobs differ.
        """
        layers = {layer.name: layer for layer in reversed(self.layer_list)}  # of one name the first, as in Caffe
        arrays = {name: [t.detach().cpu().numpy() for t in layer.blobs] for name, layer in layers.items()}
        ignored = copy_into(arrays, path, self.shared)
        if self.device.type != "cpu":
            with torch.no_grad():
                for name, layer in layers.items():
                    for tensor, array in zip(layer.blobs, arrays[name], strict=True):
                        tensor.copy_(torch.from_numpy(array))
        give_back_freed()
        return ignored

    def share_from(self, other: Engine) -> None:
        """Use another net's parameters, in its memory, in layers of the same names. Raises LayerError where shapes differ."""
        theirs = {layer.name: layer for layer in reversed(other.layer_list)}
        for layer in self.layer_list:
            if layer.name not in theirs:
                continue
            blobs = theirs[layer.name].blobs
            if [t.shape for t in layer.blobs] != [t.shape for t in blobs]:
                shapes = [" ".join(shape_text(t.shape) for t in side) or "none" for side in (layer.blobs, blobs)]
                raise layer.refuse(f"cannot share weights: shapes {shapes[0]} here, {shapes[1]} in net '{other.name}'")
            for mine, source in zip(layer.blobs, blobs, strict=True):
                use_c_order(source)  # now: later it would move to memory of its own
                mine.data = source.data

    @property
    def shared(self) -> set[tuple[str, int]]:
        """The blobs, by layer and number, that an earlier layer owns."""
        owned = {(p.layer, p.index) for p in self.learnable}
        return {(layer.name, i) for layer in self.layer_list for i in range(len(layer.blobs))} - owned

    def save(self, path: PathLike, diffs: bool = False, hdf5: bool | None = None) -> None:
        """Write a .caffemodel, whole or not at all. hdf5: as HDF5 (default: where the name ends in `.h5`). diffs: gradients as well.

        Raises CaffeError where it cannot be written.
        """
        arrays = [[t.detach().cpu().numpy() for t in layer.blobs] for layer in self.layer_list]
        gradients = [[self._gradient(layer, i) for i in range(len(layer.blobs))] for layer in self.layer_list] if diffs else None
        form = str(path).endswith(".h5") if hdf5 is None else hdf5
        write(self.param, arrays, path, hdf5=form, shared=self.shared, diffs=gradients)

    @staticmethod
    def _gradient(layer: Layer, index: int) -> np.ndarray:
        tensor = layer.reshaped.get(index, layer.blobs[index])
        values = np.zeros(tensor.shape) if tensor.grad is None else tensor.grad.cpu().numpy()
        return values.reshape(layer.blobs[index].shape)

    def seek(self, batch: int) -> None:
        """Make the next run that of batch number `batch` (0-based): data and random masks follow."""
        for layer in self.layer_list:
            layer.seek(batch)

    def close(self) -> None:
        """Let go of files and threads."""
        for layer in self.layer_list:
            layer.close()

    def reshape(self) -> None:
        """Give all blobs the shapes that follow from those of the inputs now, as a forward would."""
        for name, shape in walk(self.param, {name: self.blobs[name].shape for name in self.inputs}, self._ask).blobs.items():
            self.blobs[name].reshape(*shape)
