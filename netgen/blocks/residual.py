"""Residual blocks with bottlenecks (He et al. 2016), for ResNet-101 and the layers of DSSD.

Source of BatchNorm's and Scale's fields: python/caffe/model_libs.py of chengyangfu/caffe (branch
dssd).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from netgen.blocks.convolution import XAVIER, ZERO, Axes, conv_norm_relu, relu_behind, window
from netgen.blocks.normalisation import FIXED_STATISTICS, ONE, BatchNormScale
from netgen.graph import Blob, Net

WIDENING = 4  # channels of a block's output over those of its inner convolutions
# ε of every BatchNorm, as released; the DSSD paper prints Caffe's default, 1e-5 (§4, "Inference
# Time").
EPSILON = 0.001
GAUSSIAN = {"type": "gaussian", "std": 0.01}
BEHIND = ("{}_bn", "{}_scale")  # names of BatchNorm and Scale


@dataclass(frozen=True)
class Learning:
    """How layers learn.

    lr_mult: learning rate of convolutions, as a multiple of the solver's; 0 freezes them and stops
        their weight decay.
    global_statistics: BatchNorm normalises with its loaded statistics in training, too, and Scale
        is frozen.
    xavier: convolutions start as Glorot's do, as SSD's own, and not from `GAUSSIAN`.
    """

    lr_mult: float = 1
    global_statistics: bool = False
    xavier: bool = False

    @property
    def weight_filler(self) -> dict[str, Any]:
        """What fills the convolutions' weights."""
        if self.xavier:
            return XAVIER
        return GAUSSIAN

    def normalisation(self, names: tuple[str, str] = BEHIND) -> BatchNormScale:
        """Return BatchNorm and Scale that learn this way.

        names: see `BatchNormScale`.
        """
        lr_mult = self.lr_mult
        statistics: dict[str, Any] = {"eps": EPSILON}
        if self.global_statistics:
            lr_mult = 0
            statistics["use_global_stats"] = True
        else:
            statistics["moving_average_fraction"] = 0.999
        return BatchNormScale(
            statistics=FIXED_STATISTICS | statistics,
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

    normalise: BatchNorm and Scale with other names than `<name>_bn` and `<name>_scale`.
    fields: further fields of the convolution.
    """
    decay_mult = int(learning.lr_mult != 0)  # frozen weights do not decay
    return conv_norm_relu(
        net,
        name,
        x,
        num_output,
        normalise=normalise or learning.normalisation(),
        activate=relu_behind if relu else None,
        param={"lr_mult": learning.lr_mult, "decay_mult": decay_mult},
        weight_filler=learning.weight_filler,
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
    """Add a bottleneck block, `res<block>`, to x.

    1×1 and 3×3 convolutions of `channels` channels, then a 1×1 convolution of `output`.

    output: channels of the block; 0 for four times `channels`.
    project: a convolution of its own ("branch1") brings x to the output's channels and size;
        otherwise x is added as it is.
    kernel_size, stride: of branch1 and of the first convolution.
    dilation: of the 3×3 convolution.
    """

    def branch(name: str, y: Blob, count: int, kernel: Axes = 1, **fields: Any) -> Blob:
        names = (f"bn{block}_{name}", f"scale{block}_{name}")
        return conv_norm(
            net,
            f"res{block}_{name}",
            y,
            count,
            kernel,
            normalise=learning.normalisation(names),
            learning=learning,
            **fields,
        )

    output = output or WIDENING * channels
    shortcut = x
    if project:
        shortcut = branch("branch1", x, output, kernel_size, relu=False, stride=stride)
    y = branch("branch2a", x, channels, kernel_size, stride=stride)
    dilated = {"pad": dilation}
    if dilation > 1:
        dilated["dilation"] = dilation
    y = branch("branch2b", y, channels, 3, **dilated)
    y = branch("branch2c", y, output, relu=False)
    y = net.add("Eltwise", f"res{block}", shortcut, y)
    return relu_behind(net, f"res{block}", y)
