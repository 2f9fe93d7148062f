"""The small blocks that every net is made of: each maps blobs to a blob."""

from __future__ import annotations

from math import gcd

from netgen.graph import Blob, Net
from ssd_common.errors import LayerError

XAVIER = {"type": "xavier"}
MSRA = {"type": "msra"}  # He et al. 2015: for ReLU nets from scratch
ZERO = {"type": "constant", "value": 0}


def learning(lr_mult: float, *, bias: bool) -> list[dict]:
    """`param` of a layer with weights and (where `bias`) biases: biases learn twice as fast and do not decay."""
    weights = {"lr_mult": lr_mult, "decay_mult": 1}
    return [weights, {"lr_mult": 2 * lr_mult, "decay_mult": 0}] if bias else [weights]


def conv(
    net: Net, name: str, x: Blob, num_output: int, kernel_size: int | None = None, *, lr_mult: float = 1, bias: bool = True, **fields
) -> Blob:
    """Convolution with Xavier weights, where no weight_filler is given, and zero biases. fields: pad, stride, … as Caffe calls them;
    kernel_h and kernel_w where there is no kernel_size."""
    if kernel_size is not None:
        fields["kernel_size"] = kernel_size
    fields.setdefault("weight_filler", XAVIER)
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
        **fields,
    )


def relu(net: Net, name: str, x: Blob) -> Blob:
    """ReLU in place."""
    return net.add("ReLU", name, x, in_place=True)


def batch_norm(net: Net, name: str, x: Blob, **fields) -> Blob:
    """BatchNorm and a learned Scale, both in place: `<name>_bn`, `<name>_scale` (names as in chuanqi305/MobileNet-SSD).

    fields: of BatchNorm.
    """
    x = net.add("BatchNorm", f"{name}_bn", x, in_place=True, **fields)
    param = [{"lr_mult": 1, "decay_mult": 0}] * 2
    return net.add("Scale", f"{name}_scale", x, in_place=True, param=param, filler={"type": "constant", "value": 1}, bias_term=True)


def l2_norm(net: Net, name: str, x: Blob, scale: float) -> Blob:
    """Each cell's values divided by their L2 norm and multiplied by a learned factor per channel that starts at `scale` (ParseNet)."""
    filler = {"type": "constant", "value": scale}
    return net.add("Normalize", name, x, across_spatial=False, scale_filler=filler, channel_shared=False)


def conv_relu(
    net: Net,
    name: str,
    x: Blob,
    num_output: int,
    kernel_size: int | None = None,
    *,
    lr_mult: float = 1,
    normalise: bool = False,
    **fields,
) -> Blob:
    """Convolution, BatchNorm and Scale where `normalise` (with MSRA weights), and ReLU, named as the SSD fork's added layers."""
    if kernel_size is not None:
        fields = {"pad": 0, "stride": 1} | fields
    if normalise:
        fields.setdefault("weight_filler", MSRA)
    x = conv(net, name, x, num_output, kernel_size, lr_mult=lr_mult, bias=not normalise, **fields)
    if normalise:
        x = batch_norm(net, name, x)
    return relu(net, f"{name}_relu", x)


def shrinking(cells: int) -> tuple[int, int, int]:
    """(kernel_size, pad, stride) of the convolution that takes an SSD pyramid from `cells` × `cells` to the next smaller map.

    Large maps are halved (38 → 19 → 10 → 5, 64 → … → 2); maps of 5 and 3 cells lose their border instead (5 → 3 → 1), and a map of 2
    is covered by one padded 4×4 kernel (2 → 1). One cell stays one. Source: examples/ssd/ssd_pascal.py of weiliu89/caffe, where SSD300
    ends in the first way and SSD512 in the second.
    """
    return {1: (1, 0, 1), 2: (4, 1, 1), 3: (3, 0, 1), 5: (3, 0, 1)}.get(cells, (3, 1, 2))


def shrink(net: Net, name: str, x: Blob, num_output: int, *, lr_mult: float = 1, normalise: bool = False) -> Blob:
    """The next smaller map of an SSD pyramid, after ReLU: see `shrinking`, of each axis."""
    rows, columns = (shrinking(cells) for cells in x.size)
    names = ("kernel_size", "pad", "stride")
    if rows == columns:
        fields = dict(zip(names, rows, strict=True))
    else:
        fields = {
            f"{n.removesuffix('_size')}_{axis}": v for axis, hw in (("h", rows), ("w", columns)) for n, v in zip(names, hw, strict=True)
        }
    return conv_relu(net, name, x, num_output, lr_mult=lr_mult, normalise=normalise, **fields)


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
        x = _ones(net, type, step, x, **fields) if type == "Deconvolution" else net.add(type, step, x, pool="AVE", **fields)
    return x


def upsample_nearest(net: Net, name: str, x: Blob, like: Blob) -> Blob:
    """Nearest-neighbour resize to the size of `like`, the last layer named `name`: of n cells on m, cell t shows cell ⌊t·n/m⌋.

    Stock Caffe has no layer for it. Where every cell is to be shown s times, the last one perhaps less (5 → 10, 7 → 13), that is a frozen
    depthwise Deconvolution of ones with kernel and stride s, and a Crop to `like`. Otherwise, with p/q = m/n in lowest terms
    (5 → 7), every cell is shown p times, and a frozen 1×1 Convolution of ones with stride q takes every q-th. (A Pooling of stride q
    would not: Caffe rounds its output up, to m + 1 cells.) Returns x itself where nothing is to be done.
    """
    axes = list(zip(x.size, like.size, strict=True))
    times = [-(-m // n) for n, m in axes]
    if all(t // s == t * n // m for (n, m), s in zip(axes, times, strict=True) for t in range(m)):
        strides, whole = [1, 1], all(n * s == m for (n, m), s in zip(axes, times, strict=True))
    else:
        times, strides, whole = [m // gcd(m, n) for n, m in axes], [n // gcd(m, n) for n, m in axes], False
    if times != [1, 1]:
        step = name if whole else f"{name}_repeat"
        x = _ones(net, "Deconvolution", step, x, kernel_h=times[0], kernel_w=times[1], stride_h=times[0], stride_w=times[1])
    if strides != [1, 1]:
        return _ones(net, "Convolution", name, x, kernel_size=1, stride_h=strides[0], stride_w=strides[1])
    return x if whole else net.add("Crop", name, x, like, axis=2)


def _ones(net: Net, type: str, name: str, x: Blob, **fields) -> Blob:
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
