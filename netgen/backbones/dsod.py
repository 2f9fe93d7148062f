"""DSOD's backbone DS/A-B-k-θ, a DenseNet trained from scratch, and GRP-DSOD's.

Layers are BatchNorm, Scale, ReLU and convolution, in this order; GRP-DSOD has the convolution
first. Convolutions start from Xavier weights and have no biases. Layer names are the released ones.

Source: Shen et al. 2017, §3.1, Table 1; szq0214/DSOD, python/caffe/model_libs.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from netgen.blocks.numbered_layers import Axes, NumberedLayers
from netgen.graph import Blob

Unit = Callable[..., Blob]  # `bn_relu_conv` or `conv_bn_relu`
POST_EPS = 1e-4  # ε of BatchNorm in GRP-DSOD's body


@dataclass(frozen=True)
class Structure:
    """DS/A-B-k-θ (Table 3): the letters, and the parts that the paper's ablation leaves out.

    first: A, channels of the first convolution.
    bottleneck: B, channels of each 1×1 convolution.
    growth: k, channels that each layer adds.
    compression: θ, a transition's channels over those of its input.
    stem: begin with three 3×3 convolutions, the last one with 2·A channels, and 2×2 pooling;
        otherwise with DenseNet's 7×7 convolution and 3×3 pooling (§3.1, principle 3).
    blocks: number of layers in each dense block. Pooling follows the first and the second block;
        the later ones follow each other without it.
    """

    first: int = 64
    bottleneck: int = 192
    growth: int = 48
    compression: float = 1
    stem: bool = True
    blocks: tuple[int, ...] = (6, 8, 8, 8)

    def __str__(self) -> str:
        return f"DS/{self.first}-{self.bottleneck}-{self.growth}-{self.compression:g}"

    def compressed(self, channels: int) -> int:
        """Return the channels of a transition after a map of `channels`."""
        return int(channels * self.compression)


def bn_relu_conv(
    layers: NumberedLayers,
    x: Blob,
    num_output: int,
    kernel_size: int,
    *,
    stride: int = 1,
    pad: Axes = 0,
    keep: bool = False,
    name: str = "",
) -> Blob:
    """Add BatchNorm, Scale, ReLU and a convolution.

    keep: ReLU does not work in place, as in the released transitions.
    name: name of the convolution; numbered where left out.
    """
    x = layers.relu(layers.batch_norm(x), in_place=not keep)
    return layers.conv(x, num_output, kernel_size, stride=stride, pad=pad, name=name)


def conv_bn_relu(
    layers: NumberedLayers,
    x: Blob,
    num_output: int,
    kernel_size: int,
    *,
    stride: int = 1,
    pad: Axes = 0,
    keep: bool = False,
) -> Blob:
    """Add a convolution, BatchNorm, Scale and ReLU, all in place.

    keep: no effect; `bn_relu_conv` has the same argument.
    """
    x = layers.conv(x, num_output, kernel_size, stride=stride, pad=pad)
    return layers.relu(layers.batch_norm(x, in_place=True, eps=POST_EPS))


def stem(layers: NumberedLayers, x: Blob, first: int, *, post: bool = False) -> Blob:
    """Add the stem before its pooling: 3×3 convolutions to A (stride 2), A and 2·A channels.

    post: GRP-DSOD's order of layers, see `conv_bn_relu`.
    """
    for channels, stride in ((first, 2), (first, 1), (2 * first, 1)):
        if post:
            x = conv_bn_relu(layers, x, channels, 3, stride=stride, pad=1)
        else:
            x = layers.conv(x, channels, 3, stride=stride, pad=1)
            x = layers.relu(layers.batch_norm(x))
    return x


def dense_block(
    layers: NumberedLayers,
    x: Blob,
    count: int,
    structure: Structure,
    *,
    unit: Unit = bn_relu_conv,
) -> Blob:
    """Add `count` layers, each concatenated with all before it.

    A layer is a 1×1 convolution to B channels and a 3×3 one to k channels.
    """
    for _ in range(count):
        y = unit(layers, x, structure.bottleneck, 1)
        y = unit(layers, y, structure.growth, 3, pad=1)
        x = layers.concat(x, y)
    return x


def dsod(layers: NumberedLayers, image: Blob, structure: Structure) -> tuple[Blob, Blob]:
    """Add DSOD's backbone.

    image: N×3×H×W.

    Returns the maps of stride 8 ("First", after its transition) and 16 (the last dense block,
    before its transition).
    """

    def transition(x: Blob, name: str = "") -> Blob:
        channels = structure.compressed(x.channels)
        return bn_relu_conv(layers, x, channels, 1, keep=True, name=name)

    if structure.stem:
        x = layers.max_pool(stem(layers, image, structure.first))
    else:
        x = layers.conv(image, structure.first, 7, stride=2, pad=3)
        x = layers.max_pool(layers.relu(layers.batch_norm(x)), 3)
    x = dense_block(layers, x, structure.blocks[0], structure)
    x = layers.max_pool(transition(x))
    x = dense_block(layers, x, structure.blocks[1], structure)
    first = transition(x, name="First")
    x = layers.max_pool(first)
    x = dense_block(layers, x, structure.blocks[2], structure)
    for count in structure.blocks[3:]:
        x = dense_block(layers, transition(x), count, structure)
    return first, x


def grp_dsod(layers: NumberedLayers, image: Blob, structure: Structure) -> tuple[Blob, Blob]:
    """Add GRP-DSOD's backbone, whose "First" also holds the maps of the stem and of stride 4.

    Each contributes 128 channels.

    Returns the same maps as `dsod`.
    """

    def block(x: Blob, count: int) -> Blob:
        return dense_block(layers, x, count, structure, unit=conv_bn_relu)

    finest = stem(layers, image, structure.first, post=True)
    x = block(layers.max_pool(finest), structure.blocks[0])
    fine = conv_bn_relu(layers, x, x.channels, 1)
    x = block(layers.max_pool(fine), structure.blocks[1])
    x = conv_bn_relu(layers, x, x.channels, 1)
    finest = layers.max_pool(finest, 4, 4)
    finest = conv_bn_relu(layers, finest, 128, 1)
    fine = layers.max_pool(fine)
    fine = conv_bn_relu(layers, fine, 128, 1)
    first = layers.concat(x, finest, fine, name="First")
    x = block(layers.max_pool(x), structure.blocks[2])
    x = conv_bn_relu(layers, x, x.channels, 1)
    return first, block(x, structure.blocks[3])
