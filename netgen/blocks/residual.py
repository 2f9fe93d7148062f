"""Residual blocks with bottlenecks (He et al. 2016), as ResNet-101 and what DSSD adds have them.

BatchNorm and Scale are written as in python/caffe/model_libs.py of chengyangfu/caffe (branch dssd).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from netgen.blocks.convolution import ZERO, Axes, conv_norm_relu, relu_behind, window
from netgen.blocks.normalisation import FIXED_STATISTICS, ONE, BatchNormScale
from netgen.graph import Blob, Net

WIDENING = 4  # of a block's output over its inner convolutions
# Of every BatchNorm, as released; the DSSD paper prints 1e-5 (§4, "Inference Time"), Caffe's own
# default.
EPSILON = 0.001
GAUSSIAN = {"type": "gaussian", "std": 0.01}
BEHIND = ("{}_bn", "{}_scale")  # names of BatchNorm and Scale


@dataclass(frozen=True)
class Learning:
    """How layers learn.

    lr_mult: of convolutions; 0 freezes them, weight decay included.
    global_statistics: BatchNorm normalises in training, too, with the statistics that it was given,
        and Scale stays as it is.
    """

    lr_mult: float = 1
    global_statistics: bool = False

    def normalisation(self, names: tuple[str, str] = BEHIND) -> BatchNormScale:
        """Return BatchNorm and Scale that learn so. names: see `BatchNormScale`."""
        if self.global_statistics:
            kind: dict[str, Any] = {"use_global_stats": True}
            lr_mult: float = 0
        else:
            kind = {"moving_average_fraction": 0.999}
            lr_mult = self.lr_mult
        return BatchNormScale(
            statistics=FIXED_STATISTICS | kind | {"eps": EPSILON},
            factors={
                "param": [{"lr_mult": lr_mult, "decay_mult": 0}] * 2,
                "filler": ONE,
                "bias_filler": ZERO,
            },
            names=names,
        )


LEARNING = Learning()
FROZEN = Learning(lr_mult=0, global_statistics=True)
GIVEN_STATISTICS = Learning(global_statistics=True)


def conv_norm(
    net: Net,
    name: str,
    x: Blob,
    num_output: int,
    kernel_size: Axes = 1,
    *,
    normalise: BatchNormScale | None = None,
    relu: bool = True,
    pad: int = 0,
    stride: Axes = 1,
    learning: Learning = LEARNING,
    **fields: Any,
) -> Blob:
    """Add a convolution without biases, BatchNorm, Scale and, where `relu`, ReLU.

    normalise: with other names than `<name>_bn` and `<name>_scale`.
    fields: more of the convolution's.
    """
    decay_mult = 1 if learning.lr_mult else 0
    return conv_norm_relu(
        net,
        name,
        x,
        num_output,
        normalise=normalise or learning.normalisation(),
        activate=relu_behind if relu else None,
        param={"lr_mult": learning.lr_mult, "decay_mult": decay_mult},
        weight_filler=GAUSSIAN,
        **window(kernel_size, pad, stride),
        **fields,
    )


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
    """Add a bottleneck block, `res<block>`, onto x.

    1×1 and 3×3 convolutions of `channels` are followed by a 1×1 one of `output`.
    output: channels; four times `channels` where left out.
    project: bring x to the output's channels and size by a convolution of its own ("branch1"), or
        add x as it is.
    kernel_size, stride: of branch1 and of the first convolution.
    dilation: of the 3×3 one.
    """

    def branch(name: str, y: Blob, count: int, kernel: Axes = 1, **fields: Any) -> Blob:
        names = f"bn{block}_{name}", f"scale{block}_{name}"
        normalise = learning.normalisation(names)
        layer = f"res{block}_{name}"
        return conv_norm(
            net, layer, y, count, kernel, normalise=normalise, learning=learning, **fields
        )

    output = output or WIDENING * channels
    shortcut = x
    if project:
        shortcut = branch("branch1", x, output, kernel_size, relu=False, stride=stride)
    y = branch("branch2a", x, channels, kernel_size, stride=stride)
    dilated = {"dilation": dilation} if dilation > 1 else {}  # not written where it is 1
    y = branch("branch2b", y, channels, 3, pad=dilation, **dilated)
    y = branch("branch2c", y, output, relu=False)
    y = net.add("Eltwise", f"res{block}", shortcut, y)
    return relu_behind(net, f"res{block}", y)
