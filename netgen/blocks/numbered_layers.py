"""Layers that their author gave no name: pycaffe's NetSpec numbers them by type.

Convolution1, Convolution2, BatchNorm1, …
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from netgen.blocks.convolution import XAVIER, Axes
from netgen.blocks.normalisation import FIXED_STATISTICS, BatchNormScale
from netgen.graph import Blob, Net

FACTORS = {"filler": {"value": 1}, "bias_filler": {"value": 0}}  # of Scale


class NumberedLayers:
    """Adds layers to a net under the numbers of their types, in the order of the calls.

    A released .caffemodel finds its layers by these names, so a variant's layers keep the names of
    the released net up to the first layer that it has more or fewer.
    Source: python/caffe/net_spec.py of Caffe.
    """

    def __init__(self, net: Net) -> None:
        self.net = net
        self._counts: Counter[str] = Counter()

    def _number(self, type: str) -> str:
        self._counts[type] += 1
        return f"{type}{self._counts[type]}"

    def add(
        self, type: str, *bottoms: Blob, name: str = "", in_place: bool = False, **fields: Any
    ) -> Blob:
        """`Net.add` of a layer with one top. A layer with a name of its own is not counted."""
        return self.net.add(type, name or self._number(type), *bottoms, in_place=in_place, **fields)

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
        """Add a convolution without biases, Xavier weights."""
        return self.add(
            "Convolution",
            x,
            name=name,
            num_output=num_output,
            kernel_size=kernel_size,
            stride=stride,
            bias_term=False,
            weight_filler=XAVIER,
            bias_filler={"type": "constant"},  # without effect, but written in the released files
            **_axes("pad", pad),
        )

    def batch_norm(self, x: Blob, *, in_place: bool = False, eps: float | None = None) -> Blob:
        """Add BatchNorm and a learned Scale.

        in_place: the map before is not kept.
        eps: BatchNorm's ε; Caffe's own where left out.
        """
        statistics = FIXED_STATISTICS if eps is None else FIXED_STATISTICS | {"eps": eps}
        names = self._number("BatchNorm"), self._number("Scale")
        return BatchNormScale(statistics, FACTORS).add(self.net, names, x, in_place=in_place)

    def relu(self, x: Blob, *, in_place: bool = True) -> Blob:
        """Add ReLU."""
        return self.add("ReLU", x, in_place=in_place)

    def max_pool(self, x: Blob, kernel_size: Axes = 2, stride: int = 2) -> Blob:
        """Add max pooling."""
        return self.add("Pooling", x, pool="MAX", stride=stride, **_axes("kernel", kernel_size))

    def concat(self, *bottoms: Blob, name: str = "") -> Blob:
        """Add a concatenation of channels."""
        return self.add("Concat", *bottoms, name=name, axis=1)


def _axes(field: str, value: Axes) -> dict[str, Any]:
    """A field of both axes, or its two where height and width differ."""
    height, width = value if isinstance(value, tuple) else (value, value)
    if height != width:
        return {f"{field}_h": height, f"{field}_w": width}
    return {"kernel_size" if field == "kernel" else field: height}
