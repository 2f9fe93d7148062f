"""Convolutions with normalisation and activation: each block maps a blob to a blob."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from netgen.blocks.normalisation import BATCH_NORM
from netgen.graph import Blob, Net

XAVIER = {"type": "xavier"}
MSRA = {"type": "msra"}  # He et al. 2015: for ReLU nets from scratch
ZERO = {"type": "constant", "value": 0}
Axes = int | tuple[int, int]  # one number for both axes, or (height, width)
After = Callable[[Net, str, Blob], Blob]  # adds what follows a convolution, given its name


def learning(lr_mult: float, *, bias: bool) -> list[dict]:
    """Return `param` of a layer with weights and, where `bias`, biases.

    Biases learn twice as fast and do not decay.

    lr_mult: learning rate of the weights, as a multiple of the solver's.
    """
    params = [{"lr_mult": lr_mult, "decay_mult": 1}]
    if bias:
        params.append({"lr_mult": 2 * lr_mult, "decay_mult": 0})
    return params


def window(kernel_size: Axes, pad: Axes = 0, stride: Axes = 1) -> dict[str, Any]:
    """Return a convolution's fields for a kernel and a stride that may differ between the axes.

    Fields per axis are written only where the axes differ; pad per axis only where it is a tuple.
    """
    kernels = per_axis(kernel_size)
    strides = per_axis(stride)
    pads = per_axis(pad)
    if all(height == width for height, width in (kernels, strides, pads)):
        return {
            "kernel_size": kernels[0],
            "pad": pads[0],
            "stride": strides[0],
        }
    fields: dict[str, Any] = {
        "kernel_h": kernels[0],
        "kernel_w": kernels[1],
        "stride_h": strides[0],
        "stride_w": strides[1],
    }
    if isinstance(pad, tuple):
        return fields | {"pad_h": pad[0], "pad_w": pad[1]}
    return fields | {"pad": pad}


def per_axis(value: Axes) -> tuple[int, int]:
    """Return (height, width) of a value that may stand for both axes."""
    if isinstance(value, tuple):
        return value
    return value, value


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

    lr_mult: see `learning`.
    bias: whether the convolution has biases.
    fields: pad, stride, … as Caffe calls them; kernel_h and kernel_w in place of kernel_size.
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

    normalise: adds the normalisation, and leaves the convolution without biases; None for none.
    activate: adds the activation; None for none.
    fields: see `conv`.
    """
    x = conv(net, name, x, num_output, kernel_size, bias=normalise is None, **fields)
    if normalise is not None:
        x = normalise(net, name, x)
    if activate is not None:
        x = activate(net, name, x)
    return x


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

    normalise: put BatchNorm and Scale between the two, and start from MSRA weights.
    fields: see `conv`.
    """
    if kernel_size is not None:
        fields = {"pad": 0, "stride": 1} | fields
    if not normalise:
        return conv_norm_relu(net, name, x, num_output, kernel_size, **fields)
    fields = {"weight_filler": MSRA} | fields
    return conv_norm_relu(net, name, x, num_output, kernel_size, normalise=BATCH_NORM, **fields)


def shrinking(cells: int) -> tuple[int, int, int]:
    """Return kernel_size, pad and stride that take an SSD pyramid to its next smaller map.

    The convolution halves large maps (38 → 19 → 10 → 5, 64 → … → 2), cuts the border off maps of 5
    and 3 cells (5 → 3 → 1), and covers a map of 2 cells by one padded 4×4 kernel (2 → 1). One cell
    stays one.

    cells: of the map, along one axis.

    Source: examples/ssd/ssd_pascal.py of weiliu89/caffe, where SSD300 ends in the first way and
    SSD512 in the second.
    """
    windows = {
        1: (1, 0, 1),
        2: (4, 1, 1),
        3: (3, 0, 1),
        5: (3, 0, 1),
    }
    return windows.get(cells, (3, 1, 2))


def shrink(net: Net, name: str, x: Blob, num_output: int, **fields: Any) -> Blob:
    """Add the next smaller map of an SSD pyramid, after ReLU. Each axis follows `shrinking`.

    fields: see `conv_relu`.
    """
    rows = shrinking(x.size[0])
    columns = shrinking(x.size[1])
    kernel, pad, stride = zip(rows, columns, strict=True)
    return conv_relu(net, name, x, num_output, **window(kernel, pad, stride), **fields)
