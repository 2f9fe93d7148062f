"""ResNet-101 as SSD and DSSD use it.

conv5 keeps stride 16: its first stride is 1 and its 3×3 convolutions have dilation 2 (DSSD paper,
§4 "Base network"). Layer names are those of ResNet-101-model.caffemodel.

Source: He et al. 2016, "Deep Residual Learning for Image Recognition", Table 1.
"""

from __future__ import annotations

from netgen.backbones.registry import Backbone, register
from netgen.blocks.residual import LEARNING, Learning, conv_norm, residual_block
from netgen.graph import Blob, Net

# Channels of the 1×1 and 3×3 convolutions of a stage's blocks, and the blocks' names.
STAGES = (
    (64, ("2a", "2b", "2c")),
    (128, ("3a", *(f"3b{i}" for i in range(1, 4)))),
    (256, ("4a", *(f"4b{i}" for i in range(1, 23)))),
    (512, ("5a", "5b", "5c")),
)


def resnet101(
    net: Net, image: Blob, *, learning: Learning = LEARNING, halving: str = "34"
) -> dict[str, Blob]:
    """Add ResNet-101 up to conv5.

    image: N×3×H×W.
    halving: numbers of the stages that begin with a stride of 2; conv5 is dilated if it does not.

    Returns the last map of each stage by layer name: res2c, res3b3, res4b22, res5c (after ReLU), of
    strides 4, 8, 16, 16.
    """
    normalise = learning.normalisation(("bn_{}", "scale_{}"))
    x = conv_norm(
        net,
        "conv1",
        image,
        64,
        7,
        normalise=normalise,
        pad=3,
        stride=2,
        learning=learning,
    )
    x = net.add("Pooling", "pool1", x, pool="MAX", kernel_size=3, stride=2)
    maps: dict[str, Blob] = {}
    for channels, blocks in STAGES:
        stage = blocks[0][0]
        stride = 1
        dilation = 1
        if stage in halving:
            stride = 2
        elif stage == "5":
            dilation = 2
        for block in blocks:
            x = residual_block(
                net,
                block,
                x,
                channels,
                project=block == blocks[0],
                stride=stride,
                dilation=dilation,
                learning=learning,
            )
            stride = 1
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
