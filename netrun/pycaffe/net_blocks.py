"""Convolutions and bottlenecks of the SSD fork's caffe.model_libs, in NetSpec."""

# ruff: noqa: PLR0917 (names and argument order are the fork's)
from __future__ import annotations

from typing import Any

from netrun.pycaffe.net_spec import NetSpec
from netrun.pycaffe.net_spec import layers as L
from ssd_common.errors import CaffeError

CONSTANT_0 = {"type": "constant", "value": 0.0}
LEARNED = {
    "param": [{"lr_mult": 1, "decay_mult": 1}, {"lr_mult": 2, "decay_mult": 0}],
    "weight_filler": {"type": "xavier"},
    "bias_filler": CONSTANT_0,
}


def UnpackVariable(var: Any, num: int) -> list:
    """Repeat a value, or a list's only value, num times; keep a list of num values.

    Raises CaffeError for another number of values.
    """
    values = [var]
    if isinstance(var, list):
        values = var
    if len(values) not in (1, num):
        raise CaffeError(f"give one value or {num}, not {len(values)}")
    if len(values) == num:
        return values
    return values * num


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
    """Add a convolution and, in place, the layers that the flags ask for.

    use_bn: BatchNorm with Scale, or with Bias where use_scale is False.
    use_relu: ReLU.
    bn_params: BatchNorm's fields.
    """
    conv = f"{conv_prefix}{out_layer}{conv_postfix}"
    window = _window(kernel_size, pad, stride, dilation)
    learned = _learned(lr_mult, use_bn)
    net[conv] = L.Convolution(net[from_layer], num_output=num_output, **window, **learned)
    if use_bn:
        frozen = bn_params.get("use_global_stats", False)
        rate = {"lr_mult": lr_mult, "decay_mult": 0}
        if frozen:
            rate["lr_mult"] = 0
        bn = f"{bn_prefix}{out_layer}{bn_postfix}"
        net[bn] = L.BatchNorm(net[conv], in_place=True, **_batch_norm_fields(bn_params))
        if use_scale:
            scale = f"{scale_prefix}{out_layer}{scale_postfix}"
            net[scale] = L.Scale(
                net[bn],
                in_place=True,
                bias_term=True,
                param=[rate, rate],
                filler={"type": "constant", "value": 1.0},
                bias_filler=CONSTANT_0,
            )
        else:
            bias = f"{bias_prefix}{out_layer}{bias_postfix}"
            net[bias] = L.Bias(net[bn], in_place=True, param=[rate], filler=CONSTANT_0)
    if use_relu:
        net[f"{conv}_relu"] = L.ReLU(net[conv], in_place=True)


def _window(
    kernel_size: Any,
    pad: Any,
    stride: Any,
    dilation: int,
) -> dict[str, Any]:
    """A convolution's fields for its window: kernel_size for a square one, else kernel_h and _w."""
    square = len(set(UnpackVariable(kernel_size, 2))) == 1
    fields: dict[str, Any] = {}
    for name, value in (("kernel", kernel_size), ("pad", pad), ("stride", stride)):
        high, wide = UnpackVariable(value, 2)
        if not square:
            fields[f"{name}_h"] = high
            fields[f"{name}_w"] = wide
        elif name == "kernel":
            fields["kernel_size"] = high
        else:
            fields[name] = high
    if dilation > 1:
        fields["dilation"] = dilation
    return fields


def _learned(lr_mult: float, use_bn: bool) -> dict[str, Any]:
    """A convolution's fields for learning; it has no bias where BatchNorm follows."""
    weight = {"lr_mult": lr_mult, "decay_mult": 1}
    if use_bn:
        return {
            "param": [weight],
            "bias_term": False,
            "weight_filler": {"type": "gaussian", "std": 0.01},
        }
    bias = {"lr_mult": 2 * lr_mult, "decay_mult": 0}
    return {**LEARNED, "param": [weight, bias]}


def _batch_norm_fields(given: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "param": [{"lr_mult": 0, "decay_mult": 0}] * 3,
        "eps": given.get("eps", 0.001),
    }
    frozen = given.get("use_global_stats", False)
    if frozen:
        fields["use_global_stats"] = frozen
    else:
        fields["moving_average_fraction"] = given.get("moving_average_fraction", 0.999)
    return fields


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
    """Add a bottleneck of ResNet: 1x1, 3x3, 1x1.

    use_branch1: put a 1x1 convolution on the shortcut.
    """
    names: dict[str, Any] = {
        "conv_prefix": f"res{block_name}_",
        "bn_prefix": f"bn{block_name}_",
        "bn_postfix": "",
        "scale_prefix": f"scale{block_name}_",
        "scale_postfix": "",
    }

    def branch(
        name: str,
        bottom: str,
        num_output: int,
        size: int,
        stride: int,
        relu: bool,
    ) -> str:
        holes: dict[str, Any] = {"pad": 0}
        if size == 3:
            holes = {"dilation": dilation, "pad": dilation}
        ConvBNLayer(
            net,
            bottom,
            name,
            True,
            relu,
            num_output,
            size,
            stride=stride,
            **holes,
            **names,
            **bn_param,
        )
        return f"res{block_name}_{name}"

    shortcut = from_layer
    if use_branch1:
        shortcut = branch("branch1", from_layer, out2c, 1, stride, False)
    top = branch("branch2a", from_layer, out2a, 1, stride, True)
    top = branch("branch2b", top, out2b, 3, 1, True)
    top = branch("branch2c", top, out2c, 1, 1, False)
    name = f"res{block_name}"
    net[name] = L.Eltwise(net[shortcut], net[top])
    net[f"{name}_relu"] = L.ReLU(net[name], in_place=True)
