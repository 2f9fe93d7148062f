"""The Pooling Pyramid Network's neck and heads: maps by max pooling, one predictor for all.

Source: Jin et al. 2018, §2.
"""

from __future__ import annotations

from typing import Any

from netgen.backbones.mobilenet_v1 import DEFAULT, Style, normalised
from netgen.graph import Blob, Net
from netgen.sources import Source

MAPS = 6
SHARED_CHANNELS = 512  # of the 1×1 convolution before the box and class convolutions (§3)
SHARED_NAME = "predictor"


def shared_conv(
    net: Net,
    name: str,
    x: Blob,
    num_output: int,
    *,
    shared: str,
    style: Style,
    bias: float | None = None,
) -> Blob:
    """Add a 1×1 convolution that shares its weights with every layer of the same `shared`.

    shared: beginning of the parameters' names, `<shared>_w` and `<shared>_b`.
    bias: initial biases; None for a convolution without biases.
    """
    param = [{"name": f"{shared}_w", "lr_mult": 1, "decay_mult": 1}]
    fields: dict[str, Any] = {"bias_term": False}
    if bias is not None:
        param.append({"name": f"{shared}_b", "lr_mult": 2, "decay_mult": 0})
        fields = {"bias_filler": {"type": "constant", "value": bias}}
    return net.add(
        "Convolution",
        name,
        x,
        param=param,
        num_output=num_output,
        kernel_size=1,
        weight_filler=style.weight_filler,
        **fields,
    )


def ppn_neck(net: Net, x: Blob, *, style: Style = DEFAULT) -> list[Source]:
    """Add the six source maps of PPN, predictor1 … predictor6.

    2×2 max pooling of stride 2 gives six maps; at 300×300 they have 19, 10, 5, 3, 2, 1 cells. Each
    passes through the predictor's 1×1 convolution, which has one set of weights for all maps, and
    through BatchNorm, Scale and activation of its own. Prior steps are PriorBox's own,
    image / cells.

    x: the base map, conv11, 19×19×512 at 300×300.
    """
    maps = [x]
    for number in range(1, MAPS):
        name = f"{x.name}_pool{number}"
        maps.append(net.add("Pooling", name, maps[-1], pool="MAX", kernel_size=2, stride=2))
    sources = []
    for number, blob in enumerate(maps, 1):
        name = f"{SHARED_NAME}{number}"
        y = shared_conv(net, name, blob, SHARED_CHANNELS, shared=SHARED_NAME, style=style)
        sources.append(Source(normalised(net, name, y, style), name=name))
    return sources


def shared_predictor(
    net: Net,
    name: str,
    x: Blob,
    num_output: int,
    *,
    lr_mult: float = 1,
    style: Style = DEFAULT,
    class_bias: float = 0,
) -> Blob:
    """Add the box or class convolution of a map, shared by all maps.

    name: `<map>_mbox_loc` or `<map>_mbox_conf`.
    lr_mult: ignored; `multibox_head` passes it to every predictor.
    class_bias: initial biases of the class convolution.
    """
    kind = name.rpartition("_")[2]
    bias = 0.0
    if kind == "conf":
        bias = class_bias
    shared = f"{SHARED_NAME}_{kind}"
    return shared_conv(net, name, x, num_output, shared=shared, style=style, bias=bias)
