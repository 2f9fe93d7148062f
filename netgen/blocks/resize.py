"""Resizing with stock Caffe's layers."""

from __future__ import annotations

from math import gcd
from typing import Any, NamedTuple

from netgen.graph import Blob, Net
from ssd_common.errors import LayerError

AXES = "hw"  # height, width
WORDS = {"Deconvolution": "repeat", "Pooling": "mean"}  # in the names of layers


class Step(NamedTuple):
    """A layer that resizes one axis.

    type: "Deconvolution", which repeats values, or "Pooling", which averages them.
    axis: 0 for height, 1 for width.
    """

    type: str
    axis: int
    kernel: int
    stride: int


def resize(net: Net, name: str, x: Blob, size: tuple[int, int]) -> Blob:
    """Add a bilinear resize with aligned corners, whose last layer is called `name`.

    Target "fssd" has the layer Interp for this; stock Caffe has none. There each axis n → m, with
    p/q = (m − 1)/(n − 1) in lowest terms, takes a frozen depthwise Deconvolution of ones (kernel p,
    stride p: every value p times) and an average Pooling (kernel p, stride q). Window t covers the
    p repeated values from t·q on; t·q mod p of them belong to the right-hand neighbour. Its mean is
    the linear interpolation at t·q/p, so the result is exact.

    size: (height, width) in cells.

    Raises LayerError where an axis of several cells shrinks to one.
    """
    if net.target == "fssd":
        return net.add("Interp", name, x, height=size[0], width=size[1])
    steps: list[Step] = []
    # The axis that shrinks, or grows less, goes first: the second one's work grows with the map.
    for axis in sorted((0, 1), key=lambda axis: size[axis] / x.size[axis]):
        steps += _axis_steps(name, axis, x.size[axis], size[axis])
    if not steps:
        return x
    for step in steps[:-1]:
        layer = f"{name}_{WORDS[step.type]}_{AXES[step.axis]}"
        x = _resize_axis(net, layer, x, step)
    return _resize_axis(net, name, x, steps[-1])


def _axis_steps(name: str, axis: int, n: int, m: int) -> list[Step]:
    """Return the layers that take an axis from n cells to m."""
    if n == m:
        return []
    if m == 1:
        raise LayerError(name, f"cannot resize {n} cells to 1 with stock layers")
    if n == 1:
        # One value, m times: nothing to average.
        return [Step("Deconvolution", axis, m, m)]
    divisor = gcd(m - 1, n - 1)
    p = (m - 1) // divisor
    q = (n - 1) // divisor
    average = Step("Pooling", axis, p, q)
    if p == 1:
        return [average]
    return [Step("Deconvolution", axis, p, p), average]


def _resize_axis(net: Net, name: str, x: Blob, step: Step) -> Blob:
    fields: dict[str, Any] = {
        "kernel_h": 1,
        "kernel_w": 1,
        "stride_h": 1,
        "stride_w": 1,
    }
    fields[f"kernel_{AXES[step.axis]}"] = step.kernel
    fields[f"stride_{AXES[step.axis]}"] = step.stride
    if step.type == "Deconvolution":
        return _ones(net, step.type, name, x, **fields)
    return net.add(step.type, name, x, pool="AVE", **fields)


def upsample_nearest(net: Net, name: str, x: Blob, like: Blob) -> Blob:
    """Add a nearest-neighbour resize to the size of `like`, whose last layer is called `name`.

    From n cells to m, cell t shows cell ⌊t·n/m⌋. Stock Caffe has no layer for it. Where every cell
    is shown s times, the last one perhaps less (5 → 10, 7 → 13), a frozen depthwise Deconvolution
    of ones with kernel and stride s does it, followed by a Crop to `like`. Otherwise, with
    p/q = m/n in lowest terms (5 → 7), a Deconvolution shows every cell p times, and a frozen 1×1
    Convolution of ones with stride q takes every q-th. (Pooling of stride q would not do: Caffe
    rounds its output up, to m + 1 cells.)

    Returns x itself where the sizes are the same.
    """
    axes = list(zip(x.size, like.size, strict=True))
    if all(_repeats(n, m) for n, m in axes):
        times = [-(-m // n) for n, m in axes]
        if all(n * s == m for (n, m), s in zip(axes, times, strict=True)):
            return _repeat(net, name, x, times)
        x = _repeat(net, f"{name}_repeat", x, times)
        return net.add("Crop", name, x, like, axis=2)
    times = []
    strides = []
    for n, m in axes:
        divisor = gcd(m, n)
        times.append(m // divisor)
        strides.append(n // divisor)
    x = _repeat(net, f"{name}_repeat", x, times)
    return _ones(
        net,
        "Convolution",
        name,
        x,
        kernel_size=1,
        stride_h=strides[0],
        stride_w=strides[1],
    )


def _repeats(n: int, m: int) -> bool:
    """Return whether m cells show each of n the same number of times, the last perhaps less."""
    times = -(-m // n)
    return all(t // times == t * n // m for t in range(m))


def _repeat(net: Net, name: str, x: Blob, times: list[int]) -> Blob:
    """Show every cell `times` (down, across)."""
    if times == [1, 1]:
        return x
    return _ones(
        net,
        "Deconvolution",
        name,
        x,
        kernel_h=times[0],
        kernel_w=times[1],
        stride_h=times[0],
        stride_w=times[1],
    )


def _ones(net: Net, type: str, name: str, x: Blob, **fields: Any) -> Blob:
    """Add a frozen depthwise Convolution or Deconvolution of ones."""
    return net.add(
        type,
        name,
        x,
        param={"lr_mult": 0, "decay_mult": 0},
        num_output=x.channels,
        group=x.channels,
        bias_term=False,
        weight_filler={"type": "constant", "value": 1},
        **fields,
    )
