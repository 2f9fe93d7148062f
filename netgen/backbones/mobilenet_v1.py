"""MobileNet v1 (Howard et al. 2017, "MobileNets", arXiv 1704.04861, Table 1).

Layer names are those of chuanqi305/MobileNet-SSD. conv0 is a 3×3 convolution of stride 2; conv1 …
conv13 are a depthwise 3×3 convolution, `<name>/dw`, and a 1×1 one each. BatchNorm, Scale and ReLU
follow every convolution. The classifier's layers are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from netgen.backbones.registry import Backbone, register
from netgen.blocks.convolution import conv_norm_relu
from netgen.blocks.normalisation import FIXED_STATISTICS, BatchNormScale
from netgen.data_layer import Pixels
from netgen.graph import Blob, Net

FIRST_CHANNELS = 32
# Channels and stride of conv1 … conv13.
STAGES = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *[(512, 1)] * 5,
    (1024, 2),
    (1024, 1),
)
RELU6_LIMIT = 6


@dataclass(frozen=True)
class Style:
    """How MobileNet's convolutions are written.

    The defaults are those of chuanqi305/MobileNet-SSD's test template.

    lr_mult: learning rate and decay of weights, as a multiple of the solver's.
    caffe_engine: Caffe's own code runs depthwise convolutions; cuDNN had none for groups.
    folded: convolutions have biases, into which BatchNorm and Scale are folded (that repository's
        merge_bn.py).
    relu6: min(max(x, 0), 6), TensorFlow's activation, instead of max(x, 0).
    weight_filler: filler of the convolutions.
    batch_norm: further fields of BatchNorm.
    """

    lr_mult: float = 1
    caffe_engine: bool = True
    folded: bool = False
    relu6: bool = False
    weight_filler: Mapping[str, Any] = field(default_factory=lambda: {"type": "msra"})
    batch_norm: Mapping[str, Any] = field(default_factory=dict)

    @property
    def normalisation(self) -> BatchNormScale:
        """BatchNorm, `<name>/bn`, and Scale, `<name>/scale`."""
        return BatchNormScale(
            statistics={**FIXED_STATISTICS, **self.batch_norm},
            factors={
                "param": [
                    {"lr_mult": self.lr_mult, "decay_mult": 0},
                    {"lr_mult": 2 * self.lr_mult, "decay_mult": 0},
                ],
                "filler": {"value": 1},
                "bias_filler": {"value": 0},
            },
            names=("{}/bn", "{}/scale"),
        )


DEFAULT = Style()


def learning(lr_mult: float, *, bias: bool) -> list[dict]:
    """Return `param` of weights, whose decay falls with their rate, and, where `bias`, of biases.

    Biases learn at twice the rate and do not decay.
    """
    params = [{"lr_mult": lr_mult, "decay_mult": lr_mult}]
    if bias:
        params.append({"lr_mult": 2 * lr_mult, "decay_mult": 0})
    return params


def activation(net: Net, name: str, x: Blob, style: Style) -> Blob:
    """Add ReLU in place, `<name>/relu`, and with `style.relu6` cut it at 6.

    Stock Caffe has no ReLU6: min(x, 6) = x - max(x - 6, 0) is a Power, a ReLU and an Eltwise, which
    are exact in float32 up to 12.
    """
    x = net.add("ReLU", f"{name}/relu", x, in_place=True)
    if not style.relu6:
        return x
    over = net.add("Power", f"{name}/over6", x, shift=-RELU6_LIMIT)
    over = net.add("ReLU", f"{name}/over6/relu", over, in_place=True)
    return net.add("Eltwise", f"{name}/relu6", x, over, operation="SUM", coeff=[1, -1])


def normalised(net: Net, name: str, x: Blob, style: Style) -> Blob:
    """Add BatchNorm and Scale, unless they are folded, and the activation."""
    if not style.folded:
        x = style.normalisation(net, name, x)
    return activation(net, name, x, style)


def conv_bn(
    net: Net,
    name: str,
    x: Blob,
    num_output: int,
    kernel_size: int,
    *,
    style: Style = DEFAULT,
    stride: int = 1,
    pad: int | None = None,
    depthwise: bool = False,
) -> Blob:
    """Add a convolution, its normalisation and its activation.

    pad: None for half the kernel.
    depthwise: convolve each channel by itself; num_output is x's number of channels.
    """
    fields: dict[str, Any] = {}  # the released files omit Caffe's defaults
    if pad is None:
        pad = kernel_size // 2
    if pad:
        fields["pad"] = pad
    if stride > 1:
        fields["stride"] = stride
    if depthwise:
        fields["group"] = x.channels
        if style.caffe_engine:
            fields["engine"] = "CAFFE"
    normalise = None
    if not style.folded:
        normalise = style.normalisation
    return conv_norm_relu(
        net,
        name,
        x,
        num_output,
        kernel_size,
        normalise=normalise,
        activate=partial(activation, style=style),
        param=learning(style.lr_mult, bias=style.folded),
        weight_filler=style.weight_filler,
        **fields,
    )


def separable(
    net: Net,
    name: str,
    x: Blob,
    num_output: int,
    *,
    style: Style = DEFAULT,
    stride: int = 1,
    pad: int = 1,
) -> Blob:
    """Add a depthwise 3×3 convolution, `<name>/dw`, and a 1×1 one, `<name>` (§3.1)."""
    x = conv_bn(
        net,
        f"{name}/dw",
        x,
        x.channels,
        3,
        style=style,
        stride=stride,
        pad=pad,
        depthwise=True,
    )
    return conv_bn(net, name, x, num_output, 1, style=style)


def mobilenet_v1(
    net: Net, image: Blob, *, style: Style = DEFAULT, layers: int = len(STAGES)
) -> dict[str, Blob]:
    """Add MobileNet v1 up to conv<layers>.

    image: N×3×H×W.

    Returns the maps by layer name, after ReLU: conv0 … conv13. At 300×300: conv5 38×38×256, conv11
    19×19×512, conv13 10×10×1024.
    """
    x = conv_bn(net, "conv0", image, FIRST_CHANNELS, 3, style=style, stride=2)
    maps = {"conv0": x}
    for number, (channels, stride) in enumerate(STAGES[:layers], 1):
        x = separable(net, f"conv{number}", x, channels, style=style, stride=stride)
        maps[f"conv{number}"] = x
    return maps


MOBILENET = register(
    Backbone(
        name="mobilenet",
        year=2017,
        build=partial(mobilenet_v1, layers=11),
        maps={4: "conv3", 8: "conv5", 16: "conv11"},
        weights="models/mobilenet.caffemodel",
        pixels=Pixels((127.5, 127.5, 127.5), 0.007843),  # −1 … 1
    )
)
