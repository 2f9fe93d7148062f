"""The register of the engine's layers: one class per prototxt layer type, from bottom tensors to top tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules import Facts, Shape
from caffe_ir.rules import facts as ruled
from netrun.runtime.options import DEFAULTS, RunOptions
from ssd_common.errors import LayerError
from ssd_common.suggest import suggest


@dataclass(frozen=True)
class Context:
    """What a layer may know of the net that it is in.

    phase: pb.TRAIN or pb.TEST. device: where tensors live. options: of the run.
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

    param: its prototxt. facts: what its rule says of the bottoms' present shapes; the net keeps it in step before each forward.
    blobs: its parameters, in Caffe's order, put there and filled by the net before the first forward.
    """

    has_backward = True  # False: no top ever carries a gradient (PriorBox, DetectionOutput, data layers, ...)
    keeps_top = False  # True: its tops are the same memory in every forward, and the caller may write them
    owns_top = False  # True: each top is memory of its own that autograd needs no more, so the next layer may overwrite it
    no_gradient_to: frozenset[int] = frozenset()  # bottoms that take no gradient even under force_backward (labels)

    def __init__(self, layer: pb.LayerParameter, facts: Facts, context: Context) -> None:
        self.param = layer
        self.facts = facts
        self.context = context
        self.blobs: list[torch.Tensor] = []
        self.reshaped: dict[int, torch.Tensor] = {}  # those of `blobs` that are another layer's in another shape: that layer's
        self.overwrite = False  # the net grants: forward may compute its top in the memory of bottoms[0], which nobody else reads
        self.scale: Layer | None = None  # BatchNorm: the Scale layer that it does the work of as well

    @property
    def needs_bottom(self) -> bool:
        """Whether Caffe's gradient reads the bottom, which is gone where the layer works in place."""
        return False

    @property
    def name(self) -> str:
        return self.param.name

    @property
    def type(self) -> str:
        return self.param.type

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        """The tops' tensors, one per top. Bottoms stay as they are unless `overwrite` was granted."""
        raise NotImplementedError

    def fit(self, bottoms: list[Shape]) -> Facts:
        """The facts over bottoms of other shapes than before. Raises LayerError where they do not fit."""
        return ruled(self.param, bottoms)

    def initial(self, index: int) -> np.ndarray | None:
        """What parameter `index` starts from, float32, where no filler says it."""
        return None

    def refresh(self) -> None:
        """Make `blobs` follow the parameters that are shared in another shape: views of them, new with every pass."""
        for i, tensor in self.reshaped.items():
            self.blobs[i] = tensor.view(self.blobs[i].shape)

    def seek(self, batch: int) -> None:
        """Data layers: the next forward gives batch number `batch` (0-based) of the run. Others: nothing."""

    def close(self) -> None:
        """Let go of files and threads. Nothing to do but in data layers."""

    def refuse(self, what: str, field: str | None = None) -> LayerError:
        """The error to raise for something that this engine cannot do faithfully."""
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
    """The engine's layer for this prototxt layer. Raises LayerError for a type that netrun does not have."""
    if layer.type not in _LAYERS:
        raise LayerError(layer.name, f"netrun has no layer type '{layer.type}'{suggest(layer.type, _LAYERS)}", "type")
    made = _LAYERS[layer.type](layer, facts, context)
    if made.needs_bottom and context.train and list(layer.bottom[:1]) == list(layer.top[:1]):
        raise made.refuse("Caffe's gradient reads what the layer has overwritten in place; give its top a name of its own", "top")
    return made


def pass_through(value: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """`value`, to the last bit where x is finite, with the gradient of x.

    For gradients that are Caffe's rather than the derivative of what was computed.
    """
    return value.detach() + (x - x.detach())
