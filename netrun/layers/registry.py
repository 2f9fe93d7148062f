"""The register of the engine's layers: one class per prototxt layer type.

A layer computes top tensors from bottom tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules import Facts, Shape
from caffe_ir.rules import facts as ruled
from caffe_ir.rules.elsewhere import who_has
from netrun.runtime.options import DEFAULTS, RunOptions
from ssd_common.errors import LayerError
from ssd_common.suggest import suggest

Tensors = list[Tensor]  # bottoms or tops of one layer, in the prototxt's order


@dataclass(frozen=True)
class Context:
    """What a layer may know about its net.

    phase: pb.TRAIN or pb.TEST.
    device: where the tensors are.
    options: the run's options.
    """

    phase: int
    device: torch.device
    options: RunOptions = DEFAULTS

    @property
    def train(self) -> bool:
        """Whether the net is in phase TRAIN."""
        return self.phase == pb.TRAIN


class Layer:
    """One layer of a net. Autograd derives the backward pass from `forward`.

    param: the layer's prototxt.
    facts: what follows from the bottoms' shapes by the type's rule; the net updates them before a
    forward.
    blobs: the parameters in Caffe's order; the net puts and fills them before the first forward.
    reshaped: by number, the owner's tensor of each blob that the layer shares in another shape.
    overwrite: whether forward may write its top into the memory of bottoms[0]; the net decides.
    scale: in a BatchNorm, the Scale layer that it computes too.

    has_backward: False where no top ever carries a gradient (PriorBox, data layers, ...).
    keeps_top: whether tops have the same memory in every forward, and the caller may write them.
    owns_top: whether each top has memory of its own that autograd does not need, so that the next
    layer may overwrite it.
    no_gradient_to: bottoms that take no gradient even under force_backward, such as labels.
    """

    has_backward = True
    keeps_top = False
    owns_top = False
    no_gradient_to: frozenset[int] = frozenset()

    def __init__(self, layer: pb.LayerParameter, facts: Facts, context: Context) -> None:
        self.param = layer
        self.facts = facts
        self.context = context
        self.blobs: Tensors = []
        self.reshaped: dict[int, Tensor] = {}
        self.overwrite = False
        self.scale: Layer | None = None
        self.set_up()

    def set_up(self) -> None:
        """Read the layer's options, once, when the net is built.

        Raises LayerError for options that the layer refuses, CaffeError for a file that it needs
        and cannot read.
        """

    @property
    def needs_bottom(self) -> bool:
        """Whether Caffe's gradient reads the bottom, which a layer in place overwrites."""
        return False

    @property
    def name(self) -> str:
        """The layer's name in the prototxt."""
        return self.param.name

    @property
    def type(self) -> str:
        """The layer's type in the prototxt, such as "Convolution"."""
        return self.param.type

    def forward(self, bottoms: Tensors) -> Tensors:
        """Compute the tops, a tensor each.

        Bottoms stay as they are unless the net has set `overwrite`.
        """
        raise NotImplementedError

    def fit(self, bottoms: list[Shape]) -> Facts:
        """Compute the facts again, for bottoms of these new shapes.

        Raises LayerError for shapes that the layer cannot take.
        """
        return ruled(self.param, bottoms)

    def initial(self, index: int) -> np.ndarray | None:
        """The first float32 values of parameter `index`; None: its filler gives them."""
        return None

    def refresh(self) -> None:
        """Renew the views in `blobs` of parameters that are shared in another shape."""
        for i, tensor in self.reshaped.items():
            self.blobs[i] = tensor.view(self.blobs[i].shape)

    def seek(self, batch: int) -> None:
        """Make the next forward the one of batch `batch` (from 0) of the run.

        Only layers that read data, draw at random or keep a state do anything.
        """

    def take_faults(self) -> list[str]:
        """What went wrong since the last call, each a line, and left the tops right."""
        return []

    def close(self) -> None:
        """Close files and stop threads; only data layers have any."""

    def refuse(self, what: str, field: str | None = None) -> LayerError:
        """The error to raise for something that this engine cannot do faithfully.

        field: the prototxt field at fault.
        """
        return LayerError(self.name, what, field)


_LAYERS: dict[str, type[Layer]] = {}
L = TypeVar("L", bound=type[Layer])


def layer(*types: str) -> Callable[[L], L]:
    """Register the decorated class as the engine's layer of these types."""

    def register(cls: L) -> L:
        for type_ in types:
            assert type_ not in _LAYERS, f"two engine layers for {type_}"
            _LAYERS[type_] = cls
        return cls

    return register


def layer_types() -> Sequence[str]:
    """Every layer type that the engine runs, sorted."""
    return sorted(_LAYERS)


def create(layer: pb.LayerParameter, facts: Facts, context: Context) -> Layer:
    """Make the engine's layer for a prototxt layer.

    Raises LayerError for a type that netrun lacks, for parameters that the layer refuses, and in
    TRAIN for a layer in place whose gradient reads its bottom.
    """
    if layer.type not in _LAYERS:
        hint = who_has(layer.type) or suggest(layer.type, _LAYERS)
        what = f"netrun has no layer type '{layer.type}'{hint}"
        raise LayerError(layer.name, what, "type")
    made = _LAYERS[layer.type](layer, facts, context)
    in_place = list(layer.bottom[:1]) == list(layer.top[:1])
    if made.needs_bottom and context.train and in_place:
        what = "Caffe's gradient reads what the layer has overwritten in place"
        raise made.refuse(f"{what}; give its top a name of its own", "top")
    return made


def pass_through(value: Tensor, x: Tensor) -> Tensor:
    """Return `value` with the gradient of x, to give a layer Caffe's own gradient.

    The values are the same to the last bit where x is finite.
    """
    return value.detach() + (x - x.detach())
