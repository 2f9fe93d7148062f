"""The passes of a net: from its blobs' tensors through its layers to its blobs' tensors."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules import Shape, blob_shape_text
from netrun.engine import debug_info
from netrun.engine.assembly import Assembly
from netrun.engine.blob import Blob
from netrun.layers import Layer
from netrun.layers.bfloat16 import arithmetic, bottoms_for
from netrun.layers.registry import Context
from netrun.runtime.memory import exhausted
from netrun.runtime.precision import wide
from ssd_common.errors import CaffeError


class Runner:
    """Computes the layers of one net.

    param: the net's prototxt. parts: the net, put together.
    blobs: by name, whose tensors a pass replaces.

    tops: every version of every blob by its layer and top, where a pass has recorded them.
    has_graph: whether backward can go through the latest pass.
    debug_info: whether passes log what layers compute; the latest pass that said so decides.
    """

    def __init__(
        self, param: pb.NetParameter, parts: Assembly, blobs: Mapping[str, Blob], context: Context
    ) -> None:
        self.tops: dict[tuple[int, int], torch.Tensor] = {}
        self.has_graph = False
        self.debug_info = param.debug_info
        self.plan = parts.plan
        self._forced = param.force_backward
        self._layers = parts.layers
        self._shapes = list(parts.bottoms)
        self._released = parts.plan.released
        self._blobs = blobs
        self._context = context

    def keep(self, names: Collection[str]) -> None:
        """Have no pass release these blobs."""
        self._released = {
            position: [name for name in released if name not in names]
            for position, released in self._released.items()
        }

    def refresh(self) -> None:
        """Bring parameters that are shared in another shape in step with their owners."""
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

        gradients: so that autograd can go back through what they compute.
        record: keep every version of every blob in `tops`.
        release: let go of blobs that no later layer reads.
        show: log every layer's tops and parameters, which records them too; None: as before.
        """
        if show is not None:
            self.debug_info = show
        record = record or self.debug_info
        self.refresh()
        self.tops = self._recorded_elsewhere(positions) if record else {}
        self.has_graph = gradients
        scales = {} if record else self._scales_among(positions)
        done_before = set(scales.values())
        for position in positions:
            if position in done_before:
                continue
            layer = self._layers[position]
            layer.overwrite = self.plan.overwrite[position] and not record
            layer.scale = self._layers[scales[position]] if position in scales else None
            self._put(position, self._tops_of(position, gradients, record), record)
            if release and not record:
                self._release_behind(position)
        if self.debug_info:
            debug_info.show_forward(self._layers, self.tops, positions)

    def _recorded_elsewhere(
        self, positions: Sequence[int]
    ) -> dict[tuple[int, int], torch.Tensor]:
        return {key: top for key, top in self.tops.items() if key[0] not in positions}

    def _scales_among(self, positions: Sequence[int]) -> dict[int, int]:
        """The pairs of BatchNorm and Scale of which the pass computes both."""
        pairs = self.plan.scales.items()
        return {norm: scale for norm, scale in pairs if norm in positions and scale in positions}

    def _tops_of(self, position: int, gradients: bool, record: bool) -> list[torch.Tensor]:
        layer = self._layers[position]
        with torch.set_grad_enabled(gradients and layer.has_backward):
            tops = self._forward(position, layer)
            tops = [wide(top) for top in tops] if record else tops
        if not gradients or layer.param.bottom:
            return tops
        return [self._leaf(name, top) for name, top in zip(layer.param.top, tops, strict=True)]

    def _leaf(self, name: str, top: torch.Tensor) -> torch.Tensor:
        """A data layer's top as the start of a graph, where a gradient of it is wanted."""
        if name in self.plan.wanted and not top.requires_grad:
            return top.detach().requires_grad_()
        return top

    def _put(self, position: int, tops: Sequence[torch.Tensor], record: bool) -> None:
        """Give blobs the tensors that a layer has computed."""
        layer = self._layers[position]
        for number, (name, tensor) in enumerate(zip(layer.param.top, tops, strict=True)):
            if layer.type != "Input":
                self._blobs[name].tensor = tensor
            if record:
                self.tops[position, number] = tensor

    def _release_behind(self, position: int) -> None:
        for name in self._released.get(position, ()):
            self._blobs[name].release()

    def _forward(self, position: int, layer: Layer) -> list[torch.Tensor]:
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
            said = (str(error).splitlines() or [type(error).__name__])[0]
            what = f"{layer.type} failed over bottoms of shapes {shapes}: {said}"
            raise layer.refuse(what) from error

    def _input(self, name: str) -> torch.Tensor:
        wanted = torch.is_grad_enabled() and name in self.plan.wanted
        return self._blobs[name].leaf(wanted)

    def _takes_no_gradient(self, layer: Layer, bottom: int) -> bool:
        flags = layer.param.propagate_down
        stopped = flags and not flags[bottom] and not self._forced
        return bool(stopped) or bottom in layer.no_gradient_to

    def _call(self, layer: Layer, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        if self._context.options.precision != "bf16":
            return layer.forward(bottoms)
        with arithmetic(layer.param, self._context.device):
            return layer.forward(bottoms_for(layer.param, bottoms))

    def _refit(self, position: int, layer: Layer, shapes: list[Shape]) -> None:
        """Bring a layer's facts in step with bottoms of other shapes.

        Raises LayerError where they no longer fit.
        """
        layer.facts = layer.fit(shapes)
        for i, (wanted, blob) in enumerate(zip(layer.facts.params, layer.blobs, strict=True)):
            if tuple(wanted.shape) != tuple(blob.shape):
                found, needed = blob_shape_text(blob.shape), blob_shape_text(wanted.shape)
                what = f"bottoms of shapes {shapes} would need {needed}"
                raise layer.refuse(f"parameter {i} has shape {found}; {what}", "bottom")
        self._shapes[position] = shapes
