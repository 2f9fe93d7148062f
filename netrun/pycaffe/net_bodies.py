"""The backbones of the SSD fork's caffe.model_libs, in NetSpec: see netrun.pycaffe.model_libs."""

# ruff: noqa: PLR0917 (names and the order of arguments are the fork's)
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netrun.pycaffe.net_spec import NetSpec
from netrun.pycaffe.net_spec import layers as L
from netrun.pycaffe.net_spec import params as P
from ssd_common.errors import CaffeError

CONSTANT_0 = {"type": "constant", "value": 0.0}
LEARNED = {
    "param": [{"lr_mult": 1, "decay_mult": 1}, {"lr_mult": 2, "decay_mult": 0}],
    "weight_filler": {"type": "xavier"},
    "bias_filler": CONSTANT_0,
}
FROZEN = {**LEARNED, "param": [{"lr_mult": 0, "decay_mult": 0}] * 2}


def UnpackVariable(var: Any, num: int) -> list:
    """A value, or a list of one, num times; a list of num as it is."""
    values = var if isinstance(var, list) else [var]
    if len(values) not in (1, num):
        raise CaffeError(f"give one value or {num}, not {len(values)}")
    return values if len(values) == num else values * num


def ConvBNLayer(
    net: NetSpec,
    from_layer: str,
    out_layer: str,
    use_bn: bool,
    use_relu: bool,
    num_output: int,
    kernel_size: Any,
    pad: Any,
    stride: Any,
    dilation: int = 1,
    use_scale: bool = True,
    lr_mult: float = 1,
    conv_prefix: str = "",
    conv_postfix: str = "",
    bn_prefix: str = "",
    bn_postfix: str = "_bn",
    scale_prefix: str = "",
    scale_postfix: str = "_scale",
    bias_prefix: str = "",
    bias_postfix: str = "_bias",
    **bn_params: Any,
) -> None:
    """Convolution, and where asked for BatchNorm with Scale (or Bias) and ReLU, in place. bn_params: BatchNorm's fields."""
    if use_bn:
        learned: dict[str, Any] = {"param": [{"lr_mult": lr_mult, "decay_mult": 1}], "bias_term": False}
        learned["weight_filler"] = {"type": "gaussian", "std": 0.01}
    else:
        rates = [{"lr_mult": lr_mult, "decay_mult": 1}, {"lr_mult": 2 * lr_mult, "decay_mult": 0}]
        learned = {**LEARNED, "param": rates}
    shape: dict[str, Any] = {}
    for field, plain, value in (("kernel", "kernel_size", kernel_size), ("pad", "pad", pad), ("stride", "stride", stride)):
        high, wide = UnpackVariable(value, 2)
        square = len(set(UnpackVariable(kernel_size, 2))) == 1
        shape.update({plain: high} if square else {f"{field}_h": high, f"{field}_w": wide})
    if dilation > 1:
        shape["dilation"] = dilation
    conv = f"{conv_prefix}{out_layer}{conv_postfix}"
    net[conv] = L.Convolution(net[from_layer], num_output=num_output, **shape, **learned)
    if use_bn:
        frozen = bn_params.get("use_global_stats", False)
        fields = {"param": [{"lr_mult": 0, "decay_mult": 0}] * 3, "eps": bn_params.get("eps", 0.001)}
        if frozen:
            fields["use_global_stats"] = frozen
        else:
            fields["moving_average_fraction"] = bn_params.get("moving_average_fraction", 0.999)
        rate = {"lr_mult": 0 if frozen else lr_mult, "decay_mult": 0}
        bn = f"{bn_prefix}{out_layer}{bn_postfix}"
        net[bn] = L.BatchNorm(net[conv], in_place=True, **fields)
        if use_scale:
            ones = {"filler": {"type": "constant", "value": 1.0}, "bias_filler": CONSTANT_0}
            scale = f"{scale_prefix}{out_layer}{scale_postfix}"
            net[scale] = L.Scale(net[bn], in_place=True, bias_term=True, param=[rate, rate], **ones)
        else:
            net[f"{bias_prefix}{out_layer}{bias_postfix}"] = L.Bias(net[bn], in_place=True, param=[rate], filler=CONSTANT_0)
    if use_relu:
        net[f"{conv}_relu"] = L.ReLU(net[conv], in_place=True)


def ResBody(
    net: NetSpec,
    from_layer: str,
    block_name: str,
    out2a: int,
    out2b: int,
    out2c: int,
    stride: int,
    use_branch1: bool,
    dilation: int = 1,
    **bn_param: Any,
) -> None:
    """A bottleneck of ResNet: 1x1, 3x3, 1x1; use_branch1: with a 1x1 convolution on the shortcut."""
    names: dict[str, Any] = {
        f"{part}_prefix": f"{short}{block_name}_" for part, short in (("conv", "res"), ("bn", "bn"), ("scale", "scale"))
    }
    names |= {"bn_postfix": "", "scale_postfix": ""}

    def branch(name: str, bottom: str, num_output: int, size: int, stride: int, relu: bool) -> str:
        holes: dict[str, Any] = {"dilation": dilation, "pad": dilation} if size == 3 else {"pad": 0}
        ConvBNLayer(net, bottom, name, True, relu, num_output, size, stride=stride, **holes, **names, **bn_param)
        return f"res{block_name}_{name}"

    shortcut = branch("branch1", from_layer, out2c, 1, stride, False) if use_branch1 else from_layer
    top = branch("branch2a", from_layer, out2a, 1, stride, True)
    top = branch("branch2b", top, out2b, 3, 1, True)
    top = branch("branch2c", top, out2c, 1, 1, False)
    name = f"res{block_name}"
    net[name] = L.Eltwise(net[shortcut], net[top])
    net[f"{name}_relu"] = L.ReLU(net[name], in_place=True)


def _resnet(net: NetSpec, from_layer: str, blocks: Sequence[Sequence[str]], use_pool5: bool, holes: bool, bn_param: dict) -> NetSpec:
    """blocks: the names of conv2's to conv5's bottlenecks. holes: conv5 keeps its size and is dilated."""
    names: dict[str, Any] = {"bn_prefix": "bn_", "bn_postfix": "", "scale_prefix": "scale_", "scale_postfix": ""}
    ConvBNLayer(net, from_layer, "conv1", True, True, 64, 7, 3, 2, **names, **bn_param)
    net.pool1 = L.Pooling(net.conv1, pool=P.Pooling.MAX, kernel_size=3, stride=2)
    bottom = "pool1"
    for stage, group in enumerate(blocks, start=2):
        width = 64 << (stage - 2)
        dilated = holes and stage == 5
        for i, name in enumerate(group):
            stride = 2 if i == 0 and stage > 2 and not dilated else 1
            ResBody(net, bottom, name, width, width, 4 * width, stride, i == 0, dilation=2 if dilated else 1, **bn_param)
            bottom = f"res{name}"
    if use_pool5:
        net.pool5 = L.Pooling(net[bottom], pool=P.Pooling.AVE, global_pooling=True)
    return net


def _numbered(stage: int, more: int) -> list[str]:
    return [f"{stage}a", *(f"{stage}b{i}" for i in range(1, more + 1))]


def ResNet101Body(net: NetSpec, from_layer: str, use_pool5: bool = True, use_dilation_conv5: bool = False, **bn_param: Any) -> NetSpec:
    """ResNet-101 up to res5c (or pool5)."""
    blocks = [["2a", "2b", "2c"], _numbered(3, 3), _numbered(4, 22), ["5a", "5b", "5c"]]
    return _resnet(net, from_layer, blocks, use_pool5, use_dilation_conv5, bn_param)


def ResNet152Body(net: NetSpec, from_layer: str, use_pool5: bool = True, use_dilation_conv5: bool = False, **bn_param: Any) -> NetSpec:
    """ResNet-152 up to res5c (or pool5)."""
    blocks = [["2a", "2b", "2c"], _numbered(3, 7), _numbered(4, 35), ["5a", "5b", "5c"]]
    return _resnet(net, from_layer, blocks, use_pool5, use_dilation_conv5, bn_param)


def _classifier(net: NetSpec, bottom: str, convolution: Mapping[str, int] | None, reduced: bool, dropout: bool) -> None:
    """fc6 and fc7. convolution: fc6's fields, None for InnerProduct."""
    for name in ("fc6", "fc7"):
        if convolution is None:
            net[name] = L.InnerProduct(net[bottom], num_output=4096)
        else:
            fields = convolution if name == "fc6" else {"kernel_size": 1}
            net[name] = L.Convolution(net[bottom], num_output=1024 if reduced else 4096, **fields, **LEARNED)
        bottom = f"relu{name[2:]}"
        net[bottom] = L.ReLU(net[name], in_place=True)
        if dropout:
            net[f"drop{name[2:]}"] = L.Dropout(net[bottom], dropout_ratio=0.5, in_place=True)


def _freeze(net: NetSpec, names: Sequence[str]) -> NetSpec:
    for name in set(names) & set(net.keys()):
        net.update(name, FROZEN)
    return net


def _max(net: NetSpec, bottom: str, kernel_size: int, stride: int, **fields: int) -> Any:
    return L.Pooling(net[bottom], pool=P.Pooling.MAX, kernel_size=kernel_size, stride=stride, **fields)


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
    """VGG16; fully_conv with reduced and dilated: fc6 and fc7 as SSD has them. nopool: strided convolutions for pooling."""
    bottom, dilation = from_layer, 1
    for stage, (count, width) in enumerate(((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)), start=1):
        for i in range(1, count + 1):
            name = f"{stage}_{i}"
            holes = {"pad": dilation, "dilation": dilation} if stage == 5 else {"pad": 1}
            net[f"conv{name}"] = L.Convolution(net[bottom], num_output=width, kernel_size=3, **holes, **LEARNED)
            bottom = f"relu{name}"
            net[bottom] = L.ReLU(net[f"conv{name}"], in_place=True)
        if stage == 5 and not need_fc:
            return _freeze(net, freeze_layers)
        stride = 1 if stage == 5 and dilated else 2
        if nopool:
            name = f"conv{stage}_{count + 1}"
            net[name] = L.Convolution(net[bottom], num_output=width, pad=1, kernel_size=3, stride=stride, **LEARNED)
        elif stage == 4 and dilate_pool4:
            name, dilation = "pool4", 2
            net[name] = _max(net, bottom, 3, 1, pad=1)
        else:
            name = f"pool{stage}"
            net[name] = _max(net, bottom, 3, 1, pad=1) if stride == 1 else _max(net, bottom, 2, 2)
        bottom = name
    convolution = None
    if fully_conv:
        size = 3 if reduced else 7
        dilation *= (6 if reduced else 2) if dilated else (3 if reduced else 1)
        convolution = {"kernel_size": size, "pad": (size - 1) * dilation // 2, "dilation": dilation}
    _classifier(net, bottom, convolution, reduced, dropout)
    return _freeze(net, freeze_layers)


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
    """ZFNet, its options as VGGNetBody's."""
    region = {"local_size": 3, "alpha": 0.00005, "beta": 0.75, "norm_region": P.LRN.WITHIN_CHANNEL, "engine": P.LRN.CAFFE}
    bottom = from_layer
    for i, (width, size, pad, stride) in enumerate(((96, 7, 3, 2), (256, 5, 2, 2), (384, 3, 1, 1), (384, 3, 1, 1), (256, 3, 1, 1)), 1):
        strided = {"stride": stride} if stride > 1 else {}
        net[f"conv{i}"] = L.Convolution(net[bottom], num_output=width, pad=pad, kernel_size=size, **strided, **LEARNED)
        bottom = f"relu{i}"
        net[bottom] = L.ReLU(net[f"conv{i}"], in_place=True)
        if i <= 2:
            net[f"norm{i}"] = L.LRN(net[bottom], **region)
            bottom = f"pool{i}"
            net[bottom] = _max(net, f"norm{i}", 3, 2, pad=1)
    if need_fc:
        net.pool5 = _max(net, bottom, 3, 1 if dilated else 2, pad=1)
        holes = {(True, True): (5, 3, 5), (True, False): (5, 6, 2), (False, True): (2, 3, 2), (False, False): (2, 6, 1)}
        pad, size, dilation = holes[dilated, reduced]
        convolution = {"pad": pad, "kernel_size": size, **({"dilation": dilation} if dilation > 1 else {})}
        _classifier(net, "pool5", convolution if fully_conv else None, reduced, dropout)
    if need_fc8:
        last = net[net.keys()[-1]]
        net.fc8 = L.Convolution(last, num_output=1000, kernel_size=1, **LEARNED) if fully_conv else L.InnerProduct(last, num_output=1000)
        net.prob = L.Softmax(net.fc8)
    return _freeze(net, freeze_layers)
