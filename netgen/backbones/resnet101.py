"""ResNet-101 (He et al. 2016, "Deep Residual Learning for Image Recognition", Table 1) as SSD and DSSD use it.

conv5 keeps stride 16: its first stride is 1 and its 3×3 convolutions have dilation 2 (DSSD paper, §4 "Base network"). Layer names are those
of ResNet-101-model.caffemodel; BatchNorm and Scale are written as in python/caffe/model_libs.py of chengyangfu/caffe (branch dssd).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from netgen.backbones.registry import Backbone, register
from netgen.graph import Blob, Net

# Channels of the 1×1 and 3×3 convolutions of a stage's blocks, and the blocks' names; a block's output is four times as wide.
STAGES = (
    (64, ("2a", "2b", "2c")),
    (128, ("3a", *(f"3b{i}" for i in range(1, 4)))),
    (256, ("4a", *(f"4b{i}" for i in range(1, 23)))),
    (512, ("5a", "5b", "5c")),
)
WIDENING = 4  # of a block's output over its inner convolutions
EPSILON = 0.001  # of every BatchNorm, as released; the DSSD paper prints 1e-5 (§4, "Inference Time"), Caffe's own default
Axes = int | tuple[int, int]  # of both axes, or of (height, width)


@dataclass(frozen=True)
class Learning:
    """How layers learn. lr_mult: 0 freezes convolutions, weight decay included. global_statistics: BatchNorm normalises in training too
    with the statistics that it was given, and Scale stays as it is."""

    lr_mult: float = 1
    global_statistics: bool = False


LEARNING = Learning()
FROZEN = Learning(lr_mult=0, global_statistics=True)
FIXED_STATISTICS = Learning(global_statistics=True)


def window(kernel_size: Axes, pad: int = 0, stride: Axes = 1) -> dict[str, Any]:
    """A convolution's fields for a kernel and a stride that may differ between the axes."""
    if isinstance(kernel_size, int) and isinstance(stride, int):
        return {"kernel_size": kernel_size, "pad": pad, "stride": stride}
    kernel = kernel_size if isinstance(kernel_size, tuple) else (kernel_size,) * 2
    stride = stride if isinstance(stride, tuple) else (stride,) * 2
    return {"kernel_h": kernel[0], "kernel_w": kernel[1], "pad": pad, "stride_h": stride[0], "stride_w": stride[1]}


def norm(net: Net, bn: str, scale: str, x: Blob, learning: Learning = LEARNING) -> Blob:
    """BatchNorm and a learned Scale, both in place, named `bn` and `scale`."""
    statistics = {"use_global_stats": True} if learning.global_statistics else {"moving_average_fraction": 0.999}
    x = net.add("BatchNorm", bn, x, in_place=True, param=[{"lr_mult": 0, "decay_mult": 0}] * 3, eps=EPSILON, **statistics)
    lr_mult = 0 if learning.global_statistics else learning.lr_mult
    return net.add(
        "Scale",
        scale,
        x,
        in_place=True,
        param=[{"lr_mult": lr_mult, "decay_mult": 0}] * 2,
        filler={"type": "constant", "value": 1},
        bias_term=True,
        bias_filler={"type": "constant", "value": 0},
    )


def conv_norm(
    net: Net,
    name: str,
    x: Blob,
    num_output: int,
    kernel_size: Axes = 1,
    *,
    norms: tuple[str, str] | None = None,
    relu: bool = True,
    pad: int = 0,
    stride: Axes = 1,
    learning: Learning = LEARNING,
    **fields,
) -> Blob:
    """Convolution without bias, BatchNorm, Scale and, where `relu`, ReLU. norms: BatchNorm's and Scale's names, `<name>_bn` and
    `<name>_scale` where left out. fields: more of the convolution's."""
    x = net.add(
        "Convolution",
        name,
        x,
        param={"lr_mult": learning.lr_mult, "decay_mult": 1 if learning.lr_mult else 0},
        num_output=num_output,
        bias_term=False,
        weight_filler={"type": "gaussian", "std": 0.01},
        **window(kernel_size, pad, stride),
        **fields,
    )
    x = norm(net, *(norms or (f"{name}_bn", f"{name}_scale")), x, learning)
    return net.add("ReLU", f"{name}_relu", x, in_place=True) if relu else x


def residual_block(
    net: Net,
    block: str,
    x: Blob,
    channels: int,
    *,
    output: int = 0,
    project: bool = True,
    kernel_size: Axes = 1,
    stride: Axes = 1,
    dilation: int = 1,
    learning: Learning = LEARNING,
) -> Blob:
    """A bottleneck block, `res<block>`: 1×1 and 3×3 convolutions of `channels` and a 1×1 one of `output` (four times `channels`), onto x.

    project: bring x to the output's channels and size by a convolution of its own ("branch1"), or add x as it is. kernel_size, stride:
    of branch1 and of the first convolution. dilation: of the 3×3 one.
    """

    def branch(name: str, y: Blob, count: int, kernel_size: Axes = 1, *, relu: bool = True, **fields: Any) -> Blob:
        norms = f"bn{block}_{name}", f"scale{block}_{name}"
        return conv_norm(net, f"res{block}_{name}", y, count, kernel_size, norms=norms, relu=relu, learning=learning, **fields)

    output = output or WIDENING * channels
    shortcut = branch("branch1", x, output, kernel_size, relu=False, stride=stride) if project else x
    y = branch("branch2a", x, channels, kernel_size, stride=stride)
    dilated: dict[str, Any] = {"dilation": dilation} if dilation > 1 else {}  # not written where it is 1
    y = branch("branch2b", y, channels, 3, pad=dilation, **dilated)
    y = branch("branch2c", y, output, relu=False)
    y = net.add("Eltwise", f"res{block}", shortcut, y)
    return net.add("ReLU", f"res{block}_relu", y, in_place=True)


def resnet101(net: Net, image: Blob, *, width: float = 1, learning: Learning = LEARNING, halving: str = "34") -> dict[str, Blob]:
    """ResNet-101 up to conv5. Returns the last map of each stage by layer name: res2c, res3b3, res4b22, res5c (after ReLU), of strides
    4, 8, 16, 16. width: factor on every number of channels. halving: the stages that begin with a stride of 2; conv5 is dilated where
    it does not.
    """

    def channels(count: int) -> int:
        return max(1, round(count * width))

    x = conv_norm(net, "conv1", image, channels(64), 7, norms=("bn_conv1", "scale_conv1"), pad=3, stride=2, learning=learning)
    x = net.add("Pooling", "pool1", x, pool="MAX", kernel_size=3, stride=2)
    maps: dict[str, Blob] = {}
    for count, blocks in STAGES:
        stage = blocks[0][0]
        dilation = 2 if stage == "5" and stage not in halving else 1
        for block in blocks:
            first = block == blocks[0]
            stride = 2 if first and stage in halving else 1
            x = residual_block(net, block, x, channels(count), project=first, stride=stride, dilation=dilation, learning=learning)
        maps[x.name] = x
    return maps


RESNET101 = register(
    Backbone(
        name="resnet101",
        year=2015,
        build=resnet101,
        maps={4: "res2c", 8: "res3b3", 16: "res5c"},
        weights="models/ResNet-101-model.caffemodel",
    )
)
