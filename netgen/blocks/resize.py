"""Resizing with layers that stock Caffe has."""

from __future__ import annotations

from math import gcd
from typing import Any, NamedTuple

from netgen.graph import Blob, Net
from ssd_common.errors import LayerError

AXES = "hw"  # height, width


class Step(NamedTuple):
    """A layer that resizes one axis. type: "Deconvolution" (repeats) or "Pooling" (averages)."""

    type: str
    axis: int
    kernel: int
    stride: int


def resize(net: Net, name: str, x: Blob, size: tuple[int, int]) -> Blob:
    """Add a bilinear resize with aligned corners, whose last layer is called `name`.

    Target "fssd" has a layer for it, Interp. Stock Caffe has not: there each axis n → m, with
    p/q = (m − 1)/(n − 1) in lowest terms, is a frozen depthwise Deconvolution of ones (kernel p,
    stride p: every value p times) and an average Pooling (kernel p, stride q). Window t covers p of
    the repeated values from t·q on, of which t·q mod p belong to the right-hand neighbour: its mean
    is the linear interpolation at t·q/p, so the result is exact.
    size: (height, width) in cells.
    Raises LayerError where an axis of several cells shrinks to one.
    """
    if net.target == "fssd":
        return net.add("Interp", name, x, height=size[0], width=size[1])
    steps: list[Step] = []
    # Growing an axis makes the other one's work larger: the axis that shrinks, or grows least, goes
    # first.
    for axis in sorted((0, 1), key=lambda axis: size[axis] / x.size[axis]):
        steps += _axis_steps(name, axis, x.size[axis], size[axis])
    for step in steps[:-1]:
        word = "repeat" if step.type == "Deconvolution" else "mean"
        x = _resize_axis(net, f"{name}_{word}_{AXES[step.axis]}", x, step)
    return _resize_axis(net, name, x, steps[-1]) if steps else x


def _axis_steps(name: str, axis: int, n: int, m: int) -> list[Step]:
    """The layers that take an axis from n cells to m."""
    if m == 1 < n:
        raise LayerError(name, f"cannot resize {n} cells to 1 with stock layers")
    if n == 1:
        # One value, m times: nothing to average.
        return [Step("Deconvolution", axis, m, m)] if m > 1 else []
    divisor = gcd(m - 1, n - 1)
    p, q = (m - 1) // divisor, (n - 1) // divisor
    steps = []
    if p > 1:
        steps.append(Step("Deconvolution", axis, p, p))
    if (p, q) != (1, 1):
        steps.append(Step("Pooling", axis, p, q))
    return steps


def _resize_axis(net: Net, name: str, x: Blob, step: Step) -> Blob:
    fields: dict[str, Any] = {"kernel_h": 1, "kernel_w": 1, "stride_h": 1, "stride_w": 1}
    fields[f"kernel_{AXES[step.axis]}"] = step.kernel
    fields[f"stride_{AXES[step.axis]}"] = step.stride
    if step.type == "Deconvolution":
        return _ones(net, step.type, name, x, **fields)
    return net.add(step.type, name, x, pool="AVE", **fields)


def upsample_nearest(net: Net, name: str, x: Blob, like: Blob) -> Blob:
    """Add a nearest-neighbour resize to the size of `like`, whose last layer is called `name`.

    Of n cells on m, cell t shows cell ⌊t·n/m⌋. Stock Caffe has no layer for it. Where every cell is
    shown s times, the last one perhaps less (5 → 10, 7 → 13), that is a frozen depthwise
    Deconvolution of ones with kernel and stride s, and a Crop to `like`. Otherwise, with p/q = m/n
    in lowest terms (5 → 7), every cell is shown p times, and a frozen 1×1 Convolution of ones with
    stride q takes every q-th. (A Pooling of stride q would not: Caffe rounds its output up, to
    m + 1 cells.) Returns x itself where the sizes are the same.
    """
    axes = list(zip(x.size, like.size, strict=True))
    if all(_repeats(n, m) for n, m in axes):
        times = [-(-m // n) for n, m in axes]
        if all(n * s == m for (n, m), s in zip(axes, times, strict=True)):
            return _repeat(net, name, x, times)
        x = _repeat(net, f"{name}_repeat", x, times)
        return net.add("Crop", name, x, like, axis=2)
    times, strides = [], []
    for n, m in axes:
        divisor = gcd(m, n)
        times.append(m // divisor)
        strides.append(n // divisor)
    x = _repeat(net, f"{name}_repeat", x, times)
    fields = {"kernel_size": 1, "stride_h": strides[0], "stride_w": strides[1]}
    return _ones(net, "Convolution", name, x, **fields)


def _repeats(n: int, m: int) -> bool:
    """Whether n cells become m by showing each the same number of times, the last perhaps less."""
    times = -(-m // n)
    return all(t // times == t * n // m for t in range(m))


def _repeat(net: Net, name: str, x: Blob, times: list[int]) -> Blob:
    """Every cell so many times, by axis."""
    if times == [1, 1]:
        return x
    fields = {"kernel_h": times[0], "kernel_w": times[1]}
    fields |= {"stride_h": times[0], "stride_w": times[1]}
    return _ones(net, "Deconvolution", name, x, **fields)


def _ones(net: Net, type: str, name: str, x: Blob, **fields: Any) -> Blob:
    """A frozen depthwise Convolution or Deconvolution of ones."""
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
