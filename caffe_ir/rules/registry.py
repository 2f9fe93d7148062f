"""The register of layer rules: one function per layer type, from bottom shapes to their facts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules.elsewhere import who_has
from ssd_common.errors import LayerError
from ssd_common.suggest import suggest

Layer = pb.LayerParameter
Shape = tuple[int, ...]
Shapes = Sequence[Shape]  # of a layer's bottoms, in order
VALUE_BYTES = 4  # a blob's values are float32


def shape_text(shape: Sequence[int]) -> str:
    """Write a shape as `2x3x300x300`, and the shape () as `scalar`."""
    return "x".join(map(str, shape)) or "scalar"


def blob_shape_text(shape: Iterable[int]) -> str:
    """Write a shape as `(2 3 300 300)`, for messages about stored blobs."""
    return "(" + " ".join(map(str, shape)) + ")"


@dataclass(frozen=True)
class Param:
    """One parameter blob of a layer.

    shape: the shape that Caffe allocates.
    filler: what fills a new blob; None for zeros.
    learnable: False for statistics that the solver never touches (BatchNorm's three blobs).
    """

    shape: Shape
    filler: pb.FillerParameter | None = None
    learnable: bool = True


@dataclass(frozen=True)
class Facts:
    """The facts that a layer's bottoms and fields determine.

    tops: the shape of each top.
    params: its parameter blobs.
    macs: multiply-adds of one forward pass, bias excluded.
    """

    tops: list[Shape]
    params: list[Param] = field(default_factory=list)
    macs: int = 0


Rule = Callable[[Layer, Shapes], Facts]
_RULES: dict[str, Rule] = {}


def rule(*types: str) -> Callable[[Rule], Rule]:
    """Register the decorated function as the rule of these layer types."""

    def register(function: Rule) -> Rule:
        for type_ in types:
            assert type_ not in _RULES, f"two rules for {type_}"
            _RULES[type_] = function
        return function

    return register


def layer_types() -> list[str]:
    """List every layer type that has a rule, sorted."""
    return sorted(_RULES)


def facts(layer: Layer, bottoms: Shapes) -> Facts:
    """Return the facts of a layer over bottoms of these shapes.

    Raises LayerError with layer and field where Caffe's own SetUp or Reshape would stop, and for an
    unknown type.
    """
    if layer.type not in _RULES:
        hint = who_has(layer.type) or suggest(layer.type, _RULES)
        message = f"unknown layer type '{layer.type}'{hint}"
        raise LayerError(layer.name, message, "type")
    return _RULES[layer.type](layer, bottoms)
