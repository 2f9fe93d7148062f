"""The backbones of the SSD fork's caffe.model_libs, in NetSpec: see netrun.pycaffe.model_libs."""

# ruff: noqa: PLR0917 (names and argument order are the fork's)
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netrun.pycaffe.net_blocks import LEARNED, ConvBNLayer, ResBody
from netrun.pycaffe.net_spec import NetSpec
from netrun.pycaffe.net_spec import layers as L
from netrun.pycaffe.net_spec import params as P

FROZEN = {**LEARNED, "param": [{"lr_mult": 0, "decay_mult": 0}] * 2}

# For each stage, how many convolutions, and their outputs.
_VGG_STAGES = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))

# The dilation of VGG's fc6 as a convolution, by dilated and reduced.
_VGG_FC6_DILATION = {
    (True, True): 6,
    (True, False): 2,
    (False, True): 3,
    (False, False): 1,
}

# Each convolution's outputs, kernel size, pad and stride.
_ZF_CONVOLUTIONS = (
    (96, 7, 3, 2),
    (256, 5, 2, 2),
    (384, 3, 1, 1),
    (384, 3, 1, 1),
    (256, 3, 1, 1),
)

# Pad, kernel size and dilation of ZFNet's fc6 as a convolution, by dilated and reduced.
_ZF_FC6 = {
    (True, True): (5, 3, 5),
    (True, False): (5, 6, 2),
    (False, True): (2, 3, 2),
    (False, False): (2, 6, 1),
}


def _resnet(
    net: NetSpec,
    from_layer: str,
    blocks: Sequence[Sequence[str]],
    use_pool5: bool,
    holes: bool,
    bn_param: dict,
) -> NetSpec:
    """Add a ResNet.

    blocks: the names of the bottlenecks of conv2 to conv5.
    holes: conv5 keeps its size and is dilated.
    """
    names: dict[str, Any] = {
        "bn_prefix": "bn_",
        "bn_postfix": "",
        "scale_prefix": "scale_",
        "scale_postfix": "",
    }
    ConvBNLayer(net, from_layer, "conv1", True, True, 64, 7, 3, 2, **names, **bn_param)
    net.pool1 = L.Pooling(net.conv1, pool=P.Pooling.MAX, kernel_size=3, stride=2)
    bottom = "pool1"
    for stage, group in enumerate(blocks, start=2):
        width = 64 << (stage - 2)
        dilation = 1
        first_stride = 2
        if stage == 2:
            first_stride = 1
        if holes and stage == 5:
            dilation = 2
            first_stride = 1
        for i, name in enumerate(group):
            stride = 1
            if i == 0:
                stride = first_stride
            ResBody(
                net,
                bottom,
                name,
                width,
                width,
                4 * width,
                stride,
                i == 0,
                dilation=dilation,
                **bn_param,
            )
            bottom = f"res{name}"
    if use_pool5:
        net.pool5 = L.Pooling(net[bottom], pool=P.Pooling.AVE, global_pooling=True)
    return net


def _numbered(stage: int, more: int) -> list[str]:
    return [f"{stage}a", *(f"{stage}b{i}" for i in range(1, more + 1))]


def ResNet101Body(
    net: NetSpec,
    from_layer: str,
    use_pool5: bool = True,
    use_dilation_conv5: bool = False,
    **bn_param: Any,
) -> NetSpec:
    """Add ResNet-101 up to res5c (or pool5)."""
    blocks = [["2a", "2b", "2c"], _numbered(3, 3), _numbered(4, 22), ["5a", "5b", "5c"]]
    return _resnet(net, from_layer, blocks, use_pool5, use_dilation_conv5, bn_param)


def ResNet152Body(
    net: NetSpec,
    from_layer: str,
    use_pool5: bool = True,
    use_dilation_conv5: bool = False,
    **bn_param: Any,
) -> NetSpec:
    """Add ResNet-152 up to res5c (or pool5)."""
    blocks = [["2a", "2b", "2c"], _numbered(3, 7), _numbered(4, 35), ["5a", "5b", "5c"]]
    return _resnet(net, from_layer, blocks, use_pool5, use_dilation_conv5, bn_param)


def _classifier(
    net: NetSpec,
    bottom: str,
    convolution: Mapping[str, int] | None,
    reduced: bool,
    dropout: bool,
) -> None:
    """Add fc6 and fc7.

    convolution: fc6's fields; None: both are InnerProduct.
    """
    outputs = 4096
    if convolution is not None and reduced:
        outputs = 1024
    for number in (6, 7):
        name = f"fc{number}"
        if convolution is None:
            net[name] = L.InnerProduct(net[bottom], num_output=outputs)
        else:
            fields: Mapping[str, int] = {"kernel_size": 1}
            if number == 6:
                fields = convolution
            net[name] = L.Convolution(net[bottom], num_output=outputs, **fields, **LEARNED)
        bottom = f"relu{number}"
        net[bottom] = L.ReLU(net[name], in_place=True)
        if dropout:
            net[f"drop{number}"] = L.Dropout(net[bottom], dropout_ratio=0.5, in_place=True)


def _freeze(net: NetSpec, names: Sequence[str]) -> NetSpec:
    for name in set(names) & set(net.keys()):
        net.update(name, FROZEN)
    return net


def _max(
    net: NetSpec,
    bottom: str,
    kernel_size: int,
    stride: int,
    **fields: int,
) -> Any:
    return L.Pooling(
        net[bottom],
        pool=P.Pooling.MAX,
        kernel_size=kernel_size,
        stride=stride,
        **fields,
    )


def VGGNetBody(
    net: NetSpec,
    from_layer: str,
    need_fc: bool = True,
    fully_conv: bool = False,
    reduced: bool = False,
    dilated: bool = False,
    nopool: bool = False,
    dropout: bool = True,
    freeze_layers: Sequence[str] = (),
    dilate_pool4: bool = False,
) -> NetSpec:
    """Add VGG16; fully_conv with reduced and dilated gives SSD's fc6 and fc7.

    nopool: replace pooling by strided convolutions.
    """
    bottom = from_layer
    dilation = 1
    for stage, (count, width) in enumerate(_VGG_STAGES, start=1):
        holes = {"pad": 1}
        if stage == 5:
            holes = {"pad": dilation, "dilation": dilation}
        bottom = _vgg_stage(net, bottom, stage, holes)
        if stage == 5 and not need_fc:
            return _freeze(net, freeze_layers)
        stride = 2
        if stage == 5 and dilated:
            stride = 1
        name = f"pool{stage}"
        if nopool:
            name = f"conv{stage}_{count + 1}"
            fields = {"kernel_size": 3, "pad": 1, "stride": stride, **LEARNED}
            net[name] = L.Convolution(net[bottom], num_output=width, **fields)
        elif stage == 4 and dilate_pool4:
            dilation = 2
            net[name] = _max(net, bottom, 3, 1, pad=1)
        elif stride == 1:
            net[name] = _max(net, bottom, 3, 1, pad=1)
        else:
            net[name] = _max(net, bottom, 2, 2)
        bottom = name
    convolution = None
    if fully_conv:
        dilation *= _VGG_FC6_DILATION[bool(dilated), bool(reduced)]
        convolution = _vgg_fc6(reduced, dilation)
    _classifier(net, bottom, convolution, reduced, dropout)
    return _freeze(net, freeze_layers)


def _vgg_stage(
    net: NetSpec,
    bottom: str,
    stage: int,
    holes: Mapping[str, int],
) -> str:
    """Add a stage's convolutions; return the last blob's name."""
    count, width = _VGG_STAGES[stage - 1]
    for i in range(1, count + 1):
        name = f"{stage}_{i}"
        fields = {"kernel_size": 3, **holes, **LEARNED}
        net[f"conv{name}"] = L.Convolution(net[bottom], num_output=width, **fields)
        bottom = f"relu{name}"
        net[bottom] = L.ReLU(net[f"conv{name}"], in_place=True)
    return bottom


def _vgg_fc6(reduced: bool, dilation: int) -> dict[str, int]:
    """The fields of fc6 as a convolution that keeps its bottom's size."""
    size = 7
    if reduced:
        size = 3
    pad = (size - 1) * dilation // 2
    return {"kernel_size": size, "pad": pad, "dilation": dilation}


def ZFNetBody(
    net: NetSpec,
    from_layer: str,
    need_fc: bool = True,
    fully_conv: bool = False,
    reduced: bool = False,
    dilated: bool = False,
    dropout: bool = True,
    need_fc8: bool = False,
    freeze_layers: Sequence[str] = (),
) -> NetSpec:
    """Add ZFNet; its options are VGGNetBody's.

    need_fc8: add the classifier of ImageNet's 1,000 classes.
    """
    bottom = _zf_convolutions(net, from_layer)
    if need_fc:
        stride = 2
        if dilated:
            stride = 1
        net.pool5 = _max(net, bottom, 3, stride, pad=1)
        convolution = None
        if fully_conv:
            convolution = _zf_fc6(dilated, reduced)
        _classifier(net, "pool5", convolution, reduced, dropout)
    if need_fc8:
        last = net[net.keys()[-1]]
        if fully_conv:
            net.fc8 = L.Convolution(last, num_output=1000, kernel_size=1, **LEARNED)
        else:
            net.fc8 = L.InnerProduct(last, num_output=1000)
        net.prob = L.Softmax(net.fc8)
    return _freeze(net, freeze_layers)


def _zf_convolutions(net: NetSpec, bottom: str) -> str:
    """Add ZFNet's five convolutions; return the last blob's name."""
    region = {
        "local_size": 3,
        "alpha": 0.00005,
        "beta": 0.75,
        "norm_region": P.LRN.WITHIN_CHANNEL,
        "engine": P.LRN.CAFFE,
    }
    for i, (width, size, pad, stride) in enumerate(_ZF_CONVOLUTIONS, start=1):
        fields: dict[str, Any] = {"kernel_size": size, "pad": pad, **LEARNED}
        if stride > 1:
            fields["stride"] = stride
        net[f"conv{i}"] = L.Convolution(net[bottom], num_output=width, **fields)
        bottom = f"relu{i}"
        net[bottom] = L.ReLU(net[f"conv{i}"], in_place=True)
        if i <= 2:
            net[f"norm{i}"] = L.LRN(net[bottom], **region)
            bottom = f"pool{i}"
            net[bottom] = _max(net, f"norm{i}", 3, 2, pad=1)
    return bottom


def _zf_fc6(dilated: bool, reduced: bool) -> dict[str, int]:
    """The fields of fc6 as a convolution."""
    pad, size, dilation = _ZF_FC6[bool(dilated), bool(reduced)]
    fields = {"pad": pad, "kernel_size": size}
    if dilation > 1:
        fields["dilation"] = dilation
    return fields
