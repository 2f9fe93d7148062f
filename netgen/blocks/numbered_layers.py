"""Layers without names of their own: numbered by type, as pycaffe's NetSpec numbers them.

Convolution1, Convolution2, BatchNorm1, …
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from netgen.blocks.convolution import XAVIER, Axes, per_axis
from netgen.blocks.normalisation import FIXED_STATISTICS, BatchNormScale
from netgen.graph import Blob, Net

FACTORS = {"filler": {"value": 1}, "bias_filler": {"value": 0}}  # of Scale
# Beginning of the fields per axis (kernel_h) → the field for both axes, where the two differ.
_BOTH_AXES = {"kernel": "kernel_size"}


class NumberedLayers:
    """Adds layers to a net and numbers them by type, in the order of the calls.

    A released .caffemodel finds its layers by these names. A variant keeps the released
    names up to the first layer that only one of the two nets has.

    Source: python/caffe/net_spec.py of Caffe.
    """

    def __init__(self, net: Net) -> None:
        self.net = net
        self._counts: Counter[str] = Counter()

    def _number(self, type: str) -> str:
        self._counts[type] += 1
        return f"{type}{self._counts[type]}"

    def add(
        self,
        type: str,
        *bottoms: Blob,
        name: str = "",
        in_place: bool = False,
        **fields: Any,
    ) -> Blob:
        """Add a layer with one top, see `Net.add`. A layer with a given name takes no number."""
        name = name or self._number(type)
        return self.net.add(type, name, *bottoms, in_place=in_place, **fields)

    def conv(
        self,
        x: Blob,
        num_output: int,
        kernel_size: int,
        *,
        stride: int = 1,
        pad: Axes = 0,
        name: str = "",
    ) -> Blob:
        """Add a convolution without biases that starts from Xavier weights."""
        return self.add(
            "Convolution",
            x,
            name=name,
            num_output=num_output,
            kernel_size=kernel_size,
            stride=stride,
            bias_term=False,
            weight_filler=XAVIER,
            bias_filler={"type": "constant"},  # has no effect, but the released files write it
            **_axes("pad", pad),
        )

    def batch_norm(self, x: Blob, *, in_place: bool = False, eps: float | None = None) -> Blob:
        """Add BatchNorm and a learned Scale.

        in_place: BatchNorm overwrites x.
        eps: BatchNorm's ε; None for Caffe's own.
        """
        statistics: dict[str, Any] = dict(FIXED_STATISTICS)
        if eps is not None:
            statistics["eps"] = eps
        block = BatchNormScale(statistics, FACTORS)
        names = (self._number("BatchNorm"), self._number("Scale"))
        return block.add(self.net, names, x, in_place=in_place)

    def relu(self, x: Blob, *, in_place: bool = True) -> Blob:
        """Add ReLU."""
        return self.add("ReLU", x, in_place=in_place)

    def max_pool(self, x: Blob, kernel_size: Axes = 2, stride: int = 2) -> Blob:
        """Add max pooling."""
        kernel = _axes("kernel", kernel_size)
        return self.add("Pooling", x, pool="MAX", stride=stride, **kernel)

    def concat(self, *bottoms: Blob, name: str = "") -> Blob:
        """Add a concatenation of channels."""
        return self.add("Concat", *bottoms, name=name, axis=1)


def _axes(field: str, value: Axes) -> dict[str, Any]:
    """Return one field for both axes, or two where height and width differ."""
    height, width = per_axis(value)
    if height != width:
        return {f"{field}_h": height, f"{field}_w": width}
    return {_BOTH_AXES.get(field, field): height}
