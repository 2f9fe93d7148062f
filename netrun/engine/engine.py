"""Engine: runs a prototxt on PyTorch, with tensors in and out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import ClassVar

import torch

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules import Shape
from caffe_ir.walk import walk
from netrun.engine import debug_info, layer_weights
from netrun.engine.assembly import assemble, sources_of_facts
from netrun.engine.blob import Blob, ParamBlob
from netrun.engine.preparation import prepared_net, without_automatic_tops
from netrun.engine.runner import Forward, Runner
from netrun.layers import Context, Layer
from netrun.runtime import log
from netrun.runtime.options import DEFAULTS, RunOptions
from netrun.runtime.precision import prepare
from netrun.weights.files import Copied, write
from ssd_common.errors import CaffeError
from ssd_common.files import PathLike


class Engine:
    """A net that computes on tensors: call `run`, then `loss`.

    prototxt: a path or a NetParameter.
    phase: pb.TRAIN or pb.TEST.
    weights: a .caffemodel to start from.
    level, stages: select layers by include and exclude rules.
    device: where the tensors are (default: the CPU).
    inputs: shapes to give Input layers in place of the prototxt's.
    options: how the run computes.

    param: the net as Caffe's Net::Init sees it.
    layer_list: the net's layers.
    graph: which layer makes and which layers read each blob.
    blobs: the net's blobs, by name.
    params: each layer's parameters, in Caffe's order, by the layer's name.
    learnable: the parameters that some layer owns.
    loss_weights: the weight of every top in the net's loss, by the top's name.

    Raises ParseError, LayerError or CaffeError, one line that names the file or layer and the
    field at fault.
    """

    blob_class: ClassVar[type[Blob]] = Blob
    param_blob_class: ClassVar[type[Blob]] = ParamBlob

    def __init__(
        self,
        prototxt: PathLike | pb.NetParameter,
        phase: int,
        weights: PathLike | None = None,
        *,
        level: int = 0,
        stages: Iterable[str] | None = None,
        device: torch.device | str | None = None,
        inputs: Mapping[str, Shape] | None = None,
        options: RunOptions = DEFAULTS,
    ) -> None:
        if phase not in (pb.TRAIN, pb.TEST):
            raise CaffeError(f"phase must be netrun.TRAIN or netrun.TEST, not {phase!r}")
        self.param = prepared_net(prototxt, phase, level, stages or ())
        self.device = torch.device(device or "cpu")
        self.options = options
        prepare(options.precision, self.device)
        context = Context(phase, self.device, options)
        given = dict(inputs or {})
        self._facts = sources_of_facts(context, given)
        parts = assemble(self.param, context, given, self._facts)
        self.layer_list = parts.layers
        self.learnable = parts.learnable
        self.graph = parts.graph
        self.loss_weights = parts.loss_weights
        self.blobs = self._blobs_by_name(parts.shapes)
        self._param_blobs = [self._blobs_of(layer) for layer in self.layer_list]
        pairs = zip(self.layer_list, self._param_blobs, strict=True)
        self.params = {layer.name: blobs for layer, blobs in pairs if blobs}
        self.runner = Runner(self.param, parts, self.blobs, context)
        self._records_backward = False
        self._taken: set[str] = set()  # the layers that files of weights have given
        if weights is not None:
            self.copy_from(weights)

    def _blobs_by_name(self, shapes: Mapping[str, Shape]) -> dict[str, Blob]:
        weights = self.loss_weights
        return {
            name: self.blob_class(shape, self.device, weights.get(name, 0.0))
            for name, shape in shapes.items()
        }

    def _blobs_of(self, layer: Layer) -> list[Blob]:
        """A layer's parameters; one shared in another shape has its owner's tensor."""
        blobs: list[Blob] = []
        for i, tensor in enumerate(layer.blobs):
            shape = tuple(tensor.shape)
            owner = layer.reshaped.get(i, tensor)
            blobs.append(self.param_blob_class(shape, self.device, tensor=owner))
        return blobs

    # ---- names and facts of the net

    @property
    def name(self) -> str:
        """The net's name in its prototxt."""
        return self.param.name

    @property
    def phase(self) -> int:
        """pb.TRAIN or pb.TEST."""
        return self.param.state.phase

    @property
    def inputs(self) -> list[str]:
        """The tops of Input layers."""
        found = [layer for layer in self.layer_list if layer.type == "Input"]
        return [top for layer in found for top in layer.param.top]

    @property
    def outputs(self) -> list[str]:
        """The blobs that no layer reads."""
        return self.graph.outputs

    # ---- passes

    def run(
        self, start: int = 0, end: int | None = None, *, show: bool | None = None
    ) -> dict[str, torch.Tensor]:
        """Compute the layers at positions start to end - 1; return the outputs' tensors.

        Then `loss` is the net's loss. In TRAIN, autograd can go back from it.
        show: whether to log what layers compute, as debug_info does; None: as in the last pass, or
        in the first pass as the net's own debug_info says.
        """
        if end is None:
            end = len(self.layer_list)
        positions = range(start, end)
        release = not self.options.keep_blobs
        self._compute(positions, self._trains, release=release, show=show)
        return {name: self.blobs[name].tensor for name in self.outputs}

    def run_and_show_both(self) -> dict[str, torch.Tensor]:
        """Do `run` and the backward pass of its loss, and log both as debug_info does.

        Returns the outputs' tensors.
        """
        debug_info.pass_and_show(
            self.layer_list,
            self.graph,
            [p.tensor for p in self.learnable],
            self._run_recorded,
            self.param.force_backward,
        )
        return {name: self.blobs[name].tensor for name in self.outputs}

    def _run_recorded(self) -> tuple[torch.Tensor, debug_info.Tops]:
        self.run(show=True)
        return self.loss, self.runner.tops

    @property
    def loss(self) -> torch.Tensor:
        """The sum over all tops of loss_weight times their values in the last run; shape ()."""
        total = torch.zeros((), device=self.device)
        for name, weight in self.loss_weights.items():
            if weight:
                total = total + weight * self.blobs[name].tensor.sum()
        return total

    @property
    def _trains(self) -> bool:
        return self.phase == pb.TRAIN or self.param.force_backward or self._records_backward

    def record_backward(self) -> None:
        """Have passes in TEST, too, record what autograd needs to go back from `loss`."""
        self._records_backward = True

    def keep(self, *names: str) -> None:
        """Keep these blobs after every run, even where `options.keep_blobs` is False."""
        self.runner.keep(names)

    def watch(self, forward: Forward | None) -> None:
        """Have passes compute layers by `forward`, to time them or to look at their tops.

        forward: takes a layer and its bottoms, calls the layer's own forward and returns the tops;
        None: the layers' own again.
        """
        self.runner.watch(forward)

    def recompute(self) -> None:
        """Fill blobs that a run has released: compute all layers except data layers again."""
        self._compute(self._behind_data(), gradients=False)

    def _behind_data(self) -> list[int]:
        """Positions of the layers that can be computed again from the same data."""
        positions = []
        for i, layer in enumerate(self.layer_list):
            if layer.param.bottom or layer.type == "Input":
                positions.append(i)
        return positions

    def _compute(
        self,
        positions: Sequence[int],
        gradients: bool,
        *,
        record: bool = False,
        release: bool = False,
        show: bool | None = None,
    ) -> None:
        """Call Runner.compute. pycaffe's Net first copies in what its caller wrote to arrays."""
        self.runner.compute(
            positions,
            gradients,
            record=record,
            release=release,
            show=show,
        )

    def reshape(self) -> None:
        """Give all blobs the shapes that a forward from the present inputs gives them."""
        inputs = {name: self.blobs[name].shape for name in self.inputs}
        walked = walk(self.param, inputs, self._facts)
        for name, shape in walked.blobs.items():
            self.blobs[name].reshape(*shape)

    def seek(self, batch: int) -> None:
        """Make the next run compute batch `batch` (from 0), with its data and random masks."""
        for layer in self.layer_list:
            layer.seek(batch)

    def log_faults(self) -> bool:
        """Log as errors what went wrong in passes and left all blobs right.

        Such is a result file that cannot be written.
        Returns whether there was anything.
        """
        faults = [fault for layer in self.layer_list for fault in layer.take_faults()]
        for fault in faults:
            log.error(fault)
        return bool(faults)

    def close(self) -> None:
        """Close files and stop threads."""
        for layer in self.layer_list:
            layer.close()

    # ---- weights

    def copy_from(self, *paths: PathLike) -> list[str]:
        """Copy weights out of .caffemodel or .caffemodel.h5 files into the layers of their names.

        Logs the files' other layers, and warns of the net's that no file has given so far.
        Returns the names of the files' other layers.
        Raises ParseError for any other file, CaffeError where counts or shapes of blobs differ,
        and where none of the net's parameters is in the files.
        """
        copied = [self.copy_layers(path) for path in paths]
        self.check_copied(copied, paths)
        return [name for found in copied for name in found.ignored]

    def copy_layers(self, path: PathLike) -> Copied:
        """Do copy_from for one file, and leave it to the caller to ask check_copied.

        Returns what became of the file's layers.
        """
        copied = layer_weights.load(self.layer_list, path, self.shared)
        self._taken.update(copied.taken)
        return copied

    def check_copied(self, copied: Sequence[Copied], paths: Sequence[PathLike]) -> None:
        """Refuse files that hold none of the net's parameters, and warn of those that they lack.

        copied: what copy_layers returned for each of the files.
        Raises CaffeError.
        """
        layer_weights.check_belongs(self.layer_list, copied, ", ".join(map(str, paths)))
        self.warn_of_missing(paths)

    def warn_of_missing(
        self,
        paths: Sequence[PathLike],
        besides: Collection[str] = (),
    ) -> None:
        """Warn of the layers whose parameters no file has given.

        besides: names of layers that have theirs from elsewhere.
        """
        layers = [layer for layer in self.layer_list if layer.name not in besides]
        layer_weights.warn_of_missing(layers, self._taken, ", ".join(map(str, paths)))

    def share_from(self, other: Engine) -> None:
        """Use another net's parameters, in its memory, in layers of the same names.

        Raises LayerError where shapes differ.
        """
        layer_weights.share(
            self.layer_list,
            other.layer_list,
            other.name,
            self._take_memory,
        )

    def _take_memory(self, mine: torch.Tensor, source: torch.Tensor) -> None:
        mine.data = source.data

    @property
    def shared(self) -> set[tuple[str, int]]:
        """The blobs, by layer and number, that an earlier layer owns."""
        every = set()
        for layer in self.layer_list:
            every |= {(layer.name, i) for i in range(len(layer.blobs))}
        return every - {(p.layer, p.index) for p in self.learnable}

    def save(self, path: PathLike, diffs: bool = False, hdf5: bool | None = None) -> None:
        """Write a .caffemodel atomically.

        diffs: whether to write gradients as well.
        hdf5: whether to write HDF5 (default: if the name ends in `.h5`).
        Raises CaffeError where the file cannot be written.
        """
        layers = self.layer_list
        gradients = None
        if diffs:
            gradients = [layer_weights.gradients_of(layer) for layer in layers]
        if hdf5 is None:
            hdf5 = str(path).endswith(".h5")
        write(
            without_automatic_tops(self.param),
            [layer_weights.arrays_of(layer) for layer in layers],
            path,
            hdf5=hdf5,
            shared=self.shared,
            diffs=gradients,
        )
