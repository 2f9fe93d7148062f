"""Convolutions, with normalisation and activation behind them: each block maps a blob to a blob."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from netgen.blocks.normalisation import BATCH_NORM
from netgen.graph import Blob, Net

XAVIER = {"type": "xavier"}
MSRA = {"type": "msra"}  # He et al. 2015: for ReLU nets from scratch
ZERO = {"type": "constant", "value": 0}
Axes = int | tuple[int, int]  # of both axes, or of (height, width)
After = Callable[[Net, str, Blob], Blob]  # what follows a convolution, called with its name


def learning(lr_mult: float, *, bias: bool) -> list[dict]:
    """Return `param` of a layer with weights and, where `bias`, biases.

    Biases learn twice as fast and do not decay.
    """
    weights = {"lr_mult": lr_mult, "decay_mult": 1}
    return [weights, {"lr_mult": 2 * lr_mult, "decay_mult": 0}] if bias else [weights]


def window(kernel_size: Axes, pad: Axes = 0, stride: Axes = 1) -> dict[str, Any]:
    """Return a convolution's fields for a kernel and a stride that may differ between the axes.

    pad is written per axis only where it is given so.
    """
    kernel, stride_hw = _per_axis(kernel_size), _per_axis(stride)
    pad_hw = _per_axis(pad)
    if all(height == width for height, width in (kernel, stride_hw, pad_hw)):
        return {"kernel_size": kernel[0], "pad": pad_hw[0], "stride": stride_hw[0]}
    fields: dict[str, Any] = {"kernel_h": kernel[0], "kernel_w": kernel[1]}
    fields |= {"stride_h": stride_hw[0], "stride_w": stride_hw[1]}
    if isinstance(pad, tuple):
        return fields | {"pad_h": pad[0], "pad_w": pad[1]}
    return fields | {"pad": pad}


def _per_axis(value: Axes) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)


def conv(
    net: Net,
    name: str,
    x: Blob,
    num_output: int,
    kernel_size: int | None = None,
    *,
    lr_mult: float = 1,
    bias: bool = True,
    **fields: Any,
) -> Blob:
    """Add a convolution: Xavier weights where no weight_filler is given, zero biases.

    bias: whether it has any.
    fields: pad, stride, … as Caffe calls them; kernel_h and kernel_w where there is no kernel_size.
    """
    if kernel_size is not None:
        fields["kernel_size"] = kernel_size
    fields.setdefault("weight_filler", XAVIER)
    fields.setdefault("param", learning(lr_mult, bias=bias))
    if bias:
        fields["bias_filler"] = ZERO
    else:
        fields["bias_term"] = False
    return net.add("Convolution", name, x, num_output=num_output, **fields)


def relu(net: Net, name: str, x: Blob) -> Blob:
    """Add ReLU in place."""
    return net.add("ReLU", name, x, in_place=True)


def relu_behind(net: Net, name: str, x: Blob) -> Blob:
    """Add ReLU in place, `<name>_relu`."""
    return relu(net, f"{name}_relu", x)


def relu_of_number(net: Net, name: str, x: Blob) -> Blob:
    """Add ReLU in place, named by the layer's number: relu1_1 behind conv1_1, relu6 behind fc6."""
    return relu(net, re.sub("^(conv|fc)", "relu", name), x)


def conv_norm_relu(
    net: Net,
    name: str,
    x: Blob,
    num_output: int,
    kernel_size: int | None = None,
    *,
    normalise: After | None = None,
    activate: After | None = relu_behind,
    **fields: Any,
) -> Blob:
    """Add a convolution, its normalisation and its activation: the unit that nets are made of.

    normalise: called with the convolution's name; the convolution has no biases then.
    activate: likewise.
    fields: of `conv`.
    """
    x = conv(net, name, x, num_output, kernel_size, bias=normalise is None, **fields)
    if normalise is not None:
        x = normalise(net, name, x)
    return x if activate is None else activate(net, name, x)


def conv_relu(
    net: Net,
    name: str,
    x: Blob,
    num_output: int,
    kernel_size: int | None = None,
    *,
    normalise: bool = False,
    **fields: Any,
) -> Blob:
    """Add a convolution and ReLU, named as the SSD fork's added layers.

    normalise: with BatchNorm and Scale between them, and MSRA weights.
    fields: of `conv`.
    """
    if kernel_size is not None:
        fields = {"pad": 0, "stride": 1} | fields
    if not normalise:
        return conv_norm_relu(net, name, x, num_output, kernel_size, **fields)
    fields = {"weight_filler": MSRA} | fields
    return conv_norm_relu(net, name, x, num_output, kernel_size, normalise=BATCH_NORM, **fields)


def shrinking(cells: int) -> tuple[int, int, int]:
    """Return kernel_size, pad and stride that take an SSD pyramid to its next smaller map.

    Large maps are halved (38 → 19 → 10 → 5, 64 → … → 2); maps of 5 and 3 cells lose their border
    instead (5 → 3 → 1), and a map of 2 is covered by one padded 4×4 kernel (2 → 1). One cell stays
    one.
    Source: examples/ssd/ssd_pascal.py of weiliu89/caffe, where SSD300 ends in the first way and
    SSD512 in the second.
    """
    return {1: (1, 0, 1), 2: (4, 1, 1), 3: (3, 0, 1), 5: (3, 0, 1)}.get(cells, (3, 1, 2))


def shrink(net: Net, name: str, x: Blob, num_output: int, **fields: Any) -> Blob:
    """Add the next smaller map of an SSD pyramid, after ReLU: see `shrinking`, of each axis.

    fields: of `conv_relu`.
    """
    rows, columns = (shrinking(cells) for cells in x.size)
    kernel, pad, stride = zip(rows, columns, strict=True)
    return conv_relu(net, name, x, num_output, **window(kernel, pad, stride), **fields)
