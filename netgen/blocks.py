"""The small blocks that every net is made of: each maps blobs to a blob."""

from __future__ import annotations

from math import gcd

from caffe_ir.errors import LayerError
from netgen.graph import Blob, Net

XAVIER = {"type": "xavier"}
ZERO = {"type": "constant", "value": 0}


def learning(lr_mult: float, *, bias: bool) -> list[dict]:
    """`param` of a layer with weights and (where `bias`) biases: biases learn twice as fast and do not decay."""
    weights = {"lr_mult": lr_mult, "decay_mult": 1}
    return [weights, {"lr_mult": 2 * lr_mult, "decay_mult": 0}] if bias else [weights]


def conv(net: Net, name: str, x: Blob, num_output: int, kernel_size: int, *, lr_mult: float = 1, bias: bool = True, **fields) -> Blob:
    """Convolution with Xavier weights and zero biases. fields: pad, stride, dilation, … as Caffe calls them."""
    if bias:
        fields["bias_filler"] = ZERO
    else:
        fields["bias_term"] = False
    return net.add(
        "Convolution",
        name,
        x,
        param=learning(lr_mult, bias=bias),
        num_output=num_output,
        kernel_size=kernel_size,
        weight_filler=XAVIER,
        **fields,
    )


def relu(net: Net, name: str, x: Blob) -> Blob:
    """ReLU in place."""
    return net.add("ReLU", name, x, in_place=True)


def batch_norm(net: Net, name: str, x: Blob) -> Blob:
    """BatchNorm and a learned Scale, both in place: `<name>_bn`, `<name>_scale` (names as in chuanqi305/MobileNet-SSD)."""
    x = net.add("BatchNorm", f"{name}_bn", x, in_place=True)
    param = [{"lr_mult": 1, "decay_mult": 0}] * 2
    return net.add("Scale", f"{name}_scale", x, in_place=True, param=param, filler={"type": "constant", "value": 1}, bias_term=True)


def conv_relu(
    net: Net,
    name: str,
    x: Blob,
    num_output: int,
    kernel_size: int,
    *,
    pad: int = 0,
    stride: int = 1,
    lr_mult: float = 1,
    normalise: bool = False,
) -> Blob:
    """Convolution, BatchNorm and Scale where `normalise`, and ReLU, under the names of the SSD fork's added layers."""
    x = conv(net, name, x, num_output, kernel_size, pad=pad, stride=stride, lr_mult=lr_mult, bias=not normalise)
    if normalise:
        x = batch_norm(net, name, x)
    return relu(net, f"{name}_relu", x)


def shrinking(cells: int) -> tuple[int, int, int]:
    """(kernel_size, pad, stride) of the convolution that takes an SSD pyramid from a map of `cells` × `cells` to the next smaller one.

    Large maps are halved (38 → 19 → 10 → 5, 64 → … → 2); maps of 5 and 3 cells lose their border instead (5 → 3 → 1), and a map of 2
    is covered by one padded 4×4 kernel (2 → 1). Source: examples/ssd/ssd_pascal.py of weiliu89/caffe, where SSD300 ends in the
    first way and SSD512 in the second.
    """
    return (3, 0, 1) if cells in (3, 5) else (4, 1, 1) if cells == 2 else (3, 1, 2)


def shrink(net: Net, name: str, x: Blob, num_output: int, *, lr_mult: float = 1, normalise: bool = False) -> Blob:
    """The next smaller map of an SSD pyramid, after ReLU: see `shrinking`."""
    kernel_size, pad, stride = shrinking(max(x.size))
    return conv_relu(net, name, x, num_output, kernel_size, pad=pad, stride=stride, lr_mult=lr_mult, normalise=normalise)


def resize(net: Net, name: str, x: Blob, size: tuple[int, int]) -> Blob:
    """Bilinear resize with aligned corners to `size` (height, width), the last layer named `name`.

    Target "fssd" has a layer for it, Interp. Stock Caffe has not: there each axis n → m, with p/q = (m − 1)/(n − 1) in lowest
    terms, is a frozen depthwise Deconvolution of ones (kernel p, stride p: every value p times) and an average Pooling (kernel p,
    stride q). Window t covers p of the repeated values from t·q on, of which t·q mod p belong to the right-hand neighbour: its mean
    is the linear interpolation at t·q/p, so the result is exact. Raises LayerError where an axis of several cells shrinks to one.
    """
    if net.target == "fssd":
        return net.add("Interp", name, x, height=size[0], width=size[1])
    layers: list[tuple[str, int, int, int]] = []  # (type, axis, kernel, stride)
    # Growing an axis makes the other one's work larger: the axis that shrinks, or grows least, goes first.
    for axis in sorted((0, 1), key=lambda axis: size[axis] / x.size[axis]):
        n, m = x.size[axis], size[axis]
        if m == 1 < n:
            raise LayerError(name, f"cannot resize {n} cells to 1 with stock layers")
        if n == 1:
            p, q = m, m  # one value, m times: nothing to average
        else:
            p, q = (m - 1) // gcd(m - 1, n - 1), (n - 1) // gcd(m - 1, n - 1)
        if p > 1:
            layers.append(("Deconvolution", axis, p, p))
        if n > 1 and (p, q) != (1, 1):
            layers.append(("Pooling", axis, p, q))
    for index, (type, axis, kernel, stride) in enumerate(layers):
        fields: dict = {"kernel_h": 1, "kernel_w": 1, "stride_h": 1, "stride_w": 1}
        fields["kernel_" + "hw"[axis]], fields["stride_" + "hw"[axis]] = kernel, stride
        last = index == len(layers) - 1
        step = name if last else f"{name}_{'repeat' if type == 'Deconvolution' else 'mean'}_{'hw'[axis]}"
        if type == "Deconvolution":
            x = net.add(
                type,
                step,
                x,
                param={"lr_mult": 0, "decay_mult": 0},
                num_output=x.channels,
                group=x.channels,
                bias_term=False,
                weight_filler={"type": "constant", "value": 1},
                **fields,
            )
        else:
            x = net.add(type, step, x, pool="AVE", **fields)
    return x
