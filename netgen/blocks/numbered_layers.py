"""Layers that their author gave no name: pycaffe's NetSpec numbers them by type, Convolution1, Convolution2, BatchNorm1, …"""

from __future__ import annotations

from collections import Counter
from typing import Any

from netgen.graph import Blob, Net

FROZEN = {"lr_mult": 0, "decay_mult": 0}
Axes = int | tuple[int, int]  # of both axes, or of (height, width)


class NumberedLayers:
    """Adds layers to a net under the numbers of their types, in the order in which they are added (python/caffe/net_spec.py of Caffe).

    A released .caffemodel finds its layers by these names, so a variant's layers keep the names of the released net up to the first
    layer that it has more or fewer.
    """

    def __init__(self, net: Net) -> None:
        self.net = net
        self._counts: Counter[str] = Counter()

    def add(self, type: str, *bottoms: Blob, name: str = "", in_place: bool = False, **fields: Any) -> Blob:
        """`Net.add` of a layer with one top. A layer with a name of its own is not counted."""
        if not name:
            self._counts[type] += 1
            name = f"{type}{self._counts[type]}"
        return self.net.add(type, name, *bottoms, in_place=in_place, **fields)

    def conv(self, x: Blob, num_output: int, kernel_size: int, *, stride: int = 1, pad: Axes = 0, name: str = "") -> Blob:
        """Convolution without biases, Xavier weights."""
        return self.add(
            "Convolution",
            x,
            name=name,
            num_output=num_output,
            kernel_size=kernel_size,
            stride=stride,
            bias_term=False,
            weight_filler={"type": "xavier"},
            bias_filler={"type": "constant"},  # without effect, but written in the released files
            **_axes("pad", pad),
        )

    def batch_norm(self, x: Blob, *, in_place: bool = False, **fields: Any) -> Blob:
        """BatchNorm and a learned Scale. in_place: the map before is not kept. fields: BatchNorm's, eps for example."""
        x = self.add("BatchNorm", x, in_place=in_place, param=[FROZEN] * 3, **fields)
        return self.add("Scale", x, in_place=True, bias_term=True, filler={"value": 1}, bias_filler={"value": 0})

    def relu(self, x: Blob, *, in_place: bool = True) -> Blob:
        return self.add("ReLU", x, in_place=in_place)

    def max_pool(self, x: Blob, kernel_size: Axes = 2, stride: int = 2) -> Blob:
        return self.add("Pooling", x, pool="MAX", stride=stride, **_axes("kernel", kernel_size))

    def concat(self, *bottoms: Blob, name: str = "") -> Blob:
        """Concatenation of channels."""
        return self.add("Concat", *bottoms, name=name, axis=1)


def _axes(field: str, value: Axes) -> dict[str, Any]:
    """A field of both axes, or its two where height and width differ."""
    height, width = value if isinstance(value, tuple) else (value, value)
    if height == width:
        return {"kernel_size" if field == "kernel" else field: height}
    return {f"{field}_h": height, f"{field}_w": width}
