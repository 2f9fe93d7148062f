"""Runs the passes of a net: layers read tensors from its blobs and put new tensors there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import torch
from torch import Tensor

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules import Shape, blob_shape_text
from netrun.engine import debug_info
from netrun.engine.assembly import Assembly
from netrun.engine.blob import Blob
from netrun.layers import Layer
from netrun.layers.bfloat16 import arithmetic, bottoms_for
from netrun.layers.registry import Context, Tensors
from netrun.runtime.memory import exhausted
from netrun.runtime.precision import wide
from ssd_common.errors import CaffeError

# Computes a layer's tops from its bottoms.
Forward = Callable[[Layer, Tensors], Tensors]


def _own_forward(layer: Layer, bottoms: Tensors) -> Tensors:
    return layer.forward(bottoms)


class Runner:
    """Computes the layers of one net.

    param: the net's prototxt.
    parts: the assembled net.
    blobs: the net's blobs by name; a pass replaces their tensors.

    tops: every version of every blob that the latest pass recorded, by layer and top number.
    has_graph: whether backward can go through the latest pass.
    debug_info: whether passes log what layers compute; a pass given `show` sets it.
    """

    def __init__(
        self,
        param: pb.NetParameter,
        parts: Assembly,
        blobs: Mapping[str, Blob],
        context: Context,
    ) -> None:
        self.tops: dict[tuple[int, int], Tensor] = {}
        self.has_graph = False
        self.debug_info = param.debug_info
        self.plan = parts.plan
        self._forced = param.force_backward
        self._layers = parts.layers
        self._shapes = list(parts.bottoms)
        self._released = parts.plan.released
        self._blobs = blobs
        self._context = context
        self._layer_forward: Forward = _own_forward

    def keep(self, names: Collection[str]) -> None:
        """Keep these blobs: no pass releases them."""
        released = {}
        for position, candidates in self._released.items():
            released[position] = [name for name in candidates if name not in names]
        self._released = released

    def watch(self, forward: Forward | None) -> None:
        """Have passes compute layers by `forward`, which calls the layer's own; None ends that."""
        self._layer_forward = forward or _own_forward

    def refresh(self) -> None:
        """Renew layers' views of parameters that they share in another shape."""
        for layer in self._layers:
            layer.refresh()

    def compute(
        self,
        positions: Sequence[int],
        gradients: bool,
        *,
        record: bool = False,
        release: bool = False,
        show: bool | None = None,
    ) -> None:
        """Run the layers at these positions.

        gradients: whether autograd can go back through the layers.
        record: whether to keep every version of every blob in `tops`.
        release: whether to release blobs that no later layer reads.
        show: whether to log every layer's tops and parameters, which also records tops; None: as
        before.
        """
        if show is not None:
            self.debug_info = show
        record = record or self.debug_info
        self.refresh()
        self._forget(positions, record)
        self.has_graph = gradients
        scales = {}
        if not record:
            scales = self._scales_among(positions)
        done_before = set(scales.values())
        for position in positions:
            if position in done_before:
                continue
            self._grant(position, record, scales)
            tops = self._tops_of(position, gradients, record)
            self._put(position, tops, record)
            if release and not record:
                self._release_behind(position)
        if self.debug_info:
            debug_info.show_forward(self._layers, self.tops, positions)

    def _forget(self, positions: Sequence[int], record: bool) -> None:
        """Forget all recorded tops, or, in a pass that records, those of its layers."""
        kept = {}
        for key, top in self.tops.items():
            if record and key[0] not in positions:
                kept[key] = top
        self.tops = kept

    def _grant(self, position: int, record: bool, scales: Mapping[int, int]) -> None:
        """Tell a layer whether it may overwrite its bottom, and which Scale layer it replaces.

        scales: the positions of Scale layers, by the positions of their BatchNorm layers.
        """
        layer = self._layers[position]
        layer.overwrite = self.plan.overwrite[position] and not record
        layer.scale = None
        if position in scales:
            layer.scale = self._layers[scales[position]]

    def _scales_among(self, positions: Sequence[int]) -> dict[int, int]:
        """The pairs of BatchNorm and Scale where the pass computes both layers."""
        pairs = {}
        for norm, scale in self.plan.scales.items():
            if norm in positions and scale in positions:
                pairs[norm] = scale
        return pairs

    def _tops_of(self, position: int, gradients: bool, record: bool) -> Tensors:
        layer = self._layers[position]
        with torch.set_grad_enabled(gradients and layer.has_backward):
            tops = self._forward(position, layer)
            if record:
                tops = [wide(top) for top in tops]
        if not gradients or layer.param.bottom:
            return tops
        pairs = zip(layer.param.top, tops, strict=True)
        return [self._leaf(name, top) for name, top in pairs]

    def _leaf(self, name: str, top: Tensor) -> Tensor:
        """A data layer's top, as the start of a graph if some layer wants its gradient."""
        if name in self.plan.wanted and not top.requires_grad:
            return top.detach().requires_grad_()
        return top

    def _put(self, position: int, tops: Tensors, record: bool) -> None:
        """Give blobs the tensors that a layer has computed."""
        layer = self._layers[position]
        names = list(layer.param.top)
        for number, (name, tensor) in enumerate(zip(names, tops, strict=True)):
            if layer.type != "Input":
                self._blobs[name].tensor = tensor
            if record:
                self.tops[position, number] = tensor

    def _release_behind(self, position: int) -> None:
        for name in self._released.get(position, ()):
            self._blobs[name].release()

    def _forward(self, position: int, layer: Layer) -> Tensors:
        """Compute a layer's tops from the blobs that it reads.

        Raises LayerError where the layer fails.
        """
        if layer.type == "Input":
            return [self._input(name) for name in layer.param.top]
        bottoms = [self._blobs[name].tensor for name in layer.param.bottom]
        shapes = [tuple(x.shape) for x in bottoms]
        if shapes != self._shapes[position]:
            self._refit(position, layer, shapes)
        for number in range(len(bottoms)):
            if self._takes_no_gradient(layer, number):
                bottoms[number] = bottoms[number].detach()
        try:
            return self._call(layer, bottoms)
        except (CaffeError, torch.cuda.OutOfMemoryError):
            raise
        except (RuntimeError, IndexError, ValueError, ArithmeticError) as error:
            if exhausted(error):
                raise
            lines = str(error).splitlines() or [type(error).__name__]
            what = f"{layer.type} failed over bottoms of shapes {shapes}"
            raise layer.refuse(f"{what}: {lines[0]}") from error

    def _input(self, name: str) -> Tensor:
        wanted = torch.is_grad_enabled() and name in self.plan.wanted
        return self._blobs[name].leaf(wanted)

    def _takes_no_gradient(self, layer: Layer, bottom: int) -> bool:
        if bottom in layer.no_gradient_to:
            return True
        flags = layer.param.propagate_down
        if not flags or self._forced:
            return False
        return not flags[bottom]

    def _call(self, layer: Layer, bottoms: Tensors) -> Tensors:
        """Call a layer's forward, in the precision of the run."""
        if self._context.options.precision != "bf16":
            return self._layer_forward(layer, bottoms)
        with arithmetic(layer.param, self._context.device):
            rounded = bottoms_for(layer.param, bottoms)
            return self._layer_forward(layer, rounded)

    def _refit(self, position: int, layer: Layer, shapes: list[Shape]) -> None:
        """Update a layer's facts for bottoms of other shapes.

        Raises LayerError where the layer refuses these shapes, or its parameters no longer fit.
        """
        layer.facts = layer.fit(shapes)
        pairs = zip(layer.facts.params, layer.blobs, strict=True)
        for i, (wanted, blob) in enumerate(pairs):
            if tuple(wanted.shape) != tuple(blob.shape):
                found = blob_shape_text(blob.shape)
                needed = blob_shape_text(wanted.shape)
                what = f"bottoms of shapes {shapes} would need {needed}"
                raise layer.refuse(f"parameter {i} has shape {found}; {what}", "bottom")
        self._shapes[position] = shapes
