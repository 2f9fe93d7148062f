"""The SSD fork's caffe.model_libs, which its training scripts build nets with: backbones, SSD's heads and its data layer.

What scripts use by these names: VGGNetBody, ZFNetBody, ResNet101Body, ResNet152Body, ConvBNLayer, ResBody, CreateMultiBoxHead,
CreateAnnotatedDataLayer, check_if_exist, make_if_not_exist. Not here: InceptionV3Body. (The fork's own file runs in Python 2 only.)
New detectors are better written with netgen. Source of the facts: weiliu89/caffe, python/caffe/model_libs.py.
"""

# ruff: noqa: PLR0917 (names and the order of arguments are the fork's)
from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from caffe_ir import caffe_ir_pb2 as caffe_pb2
from netrun import pycaffe as caffe
from netrun.pycaffe.net_bodies import ConvBNLayer, ResBody, ResNet101Body, ResNet152Body, UnpackVariable, VGGNetBody, ZFNetBody
from netrun.pycaffe.net_spec import NetSpec, Top
from netrun.pycaffe.net_spec import layers as L
from netrun.pycaffe.net_spec import params as P
from ssd_common.errors import CaffeError

__all__ = [
    "ConvBNLayer",
    "CreateAnnotatedDataLayer",
    "CreateMultiBoxHead",
    "L",
    "P",
    "ResBody",
    "ResNet101Body",
    "ResNet152Body",
    "UnpackVariable",
    "VGGNetBody",
    "ZFNetBody",
    "caffe",
    "caffe_pb2",
    "check_if_exist",
    "make_if_not_exist",
    "os",
]


def check_if_exist(path: str) -> bool:
    return os.path.exists(path)


def make_if_not_exist(path: str) -> None:
    os.makedirs(path, exist_ok=True)


def CreateAnnotatedDataLayer(
    source: str,
    batch_size: int = 32,
    backend: int = P.Data.LMDB,
    output_label: bool = True,
    train: bool = True,
    label_map_file: str = "",
    anno_type: int | None = None,
    transform_param: Mapping[str, Any] | None = None,
    batch_sampler: Sequence[Mapping[str, Any]] = ({},),
) -> Any:
    """The data layer of a training or test net: images, and boxes with output_label."""
    annotated: dict[str, Any] = {"label_map_file": label_map_file, "batch_sampler": list(batch_sampler)}
    if anno_type is not None:
        annotated["anno_type"] = anno_type
    return L.AnnotatedData(
        name="data",
        annotated_data_param=annotated,
        data_param={"batch_size": batch_size, "backend": backend, "source": source},
        include={"phase": caffe_pb2.TRAIN if train else caffe_pb2.TEST},
        transform_param=transform_param or {},
        ntop=2 if output_label else 1,
    )


def _each(values: Sequence[Any], i: int) -> list:
    """The i-th of what is given per layer, as a list; empty where nothing is given."""
    value = values[i] if i < len(values) else []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def CreateMultiBoxHead(
    net: NetSpec,
    data_layer: str = "data",
    num_classes: int = 0,
    from_layers: Sequence[str] = (),
    use_objectness: bool = False,
    normalizations: Sequence[float] = (),
    use_batchnorm: bool = True,
    lr_mult: float = 1,
    use_scale: bool = True,
    min_sizes: Sequence[Any] = (),
    max_sizes: Sequence[Any] = (),
    prior_variance: Sequence[float] = (0.1,),
    aspect_ratios: Sequence[Any] = (),
    steps: Sequence[Any] = (),
    img_height: int = 0,
    img_width: int = 0,
    share_location: bool = True,
    flip: bool = True,
    clip: bool = True,
    offset: float = 0.5,
    inter_layer_depth: Sequence[int] = (),
    kernel_size: int = 1,
    pad: int = 0,
    conf_postfix: str = "",
    loc_postfix: str = "",
    **bn_param: Any,
) -> list[Top]:
    """Predictions and prior boxes on each of from_layers: the tops mbox_loc, mbox_conf, mbox_priorbox (and mbox_objectness).

    normalizations: initial scales of Normalize layers, -1 for none. Sizes are in pixels, one or more per layer.
    Raises CaffeError where lists differ in length.
    """
    if not num_classes:
        raise CaffeError("CreateMultiBoxHead: must provide num_classes")
    lists = {"normalizations": normalizations, "min_sizes": min_sizes, "max_sizes": max_sizes, "aspect_ratios": aspect_ratios}
    for name, values in {**lists, "steps": steps, "inter_layer_depth": inter_layer_depth}.items():
        if len(values) != len(from_layers) and (values or name == "min_sizes"):
            raise CaffeError(f"CreateMultiBoxHead: from_layers has {len(from_layers)} entries, {name} {len(values)}")
    parts: dict[str, list[Top]] = {"mbox_loc": [], "mbox_conf": [], "mbox_priorbox": [], "mbox_objectness": []}

    def predict(bottom: str, part: str, postfix: str, outputs: int) -> None:
        name = f"{bottom}_{part}{postfix}"
        ConvBNLayer(net, bottom, name, use_batchnorm, False, outputs, kernel_size, pad, 1, lr_mult=lr_mult, **bn_param)
        net[f"{name}_perm"] = L.Permute(net[name], order=[0, 2, 3, 1])
        net[f"{name}_flat"] = L.Flatten(net[f"{name}_perm"], axis=1)
        parts[part].append(net[f"{name}_flat"])

    for i, layer in enumerate(from_layers):
        bottom = layer
        if normalizations and normalizations[i] != -1:
            bottom = f"{layer}_norm"
            scale = {"type": "constant", "value": normalizations[i]}
            net[bottom] = L.Normalize(net[layer], scale_filler=scale, across_spatial=False, channel_shared=False)
        if inter_layer_depth and inter_layer_depth[i] > 0:
            name = f"{bottom}_inter"
            ConvBNLayer(net, bottom, name, use_batchnorm, True, inter_layer_depth[i], 3, 1, 1, lr_mult=lr_mult, **bn_param)
            bottom = name
        smallest, largest, ratios = _each(min_sizes, i), _each(max_sizes, i), _each(aspect_ratios, i)
        priors = (1 + bool(largest) + len(ratios) * (2 if flip else 1)) * len(smallest)
        predict(bottom, "mbox_loc", loc_postfix, priors * 4 * (1 if share_location else num_classes))
        predict(bottom, "mbox_conf", conf_postfix, priors * num_classes)
        fields: dict[str, Any] = {"max_size": largest} if largest else {}
        if ratios:
            fields |= {"aspect_ratio": ratios, "flip": flip}
        if i < len(steps) and steps[i]:
            fields["step"] = steps[i]
        if img_height and img_width:
            fields |= {"img_size": img_height} if img_height == img_width else {"img_h": img_height, "img_w": img_width}
        name = f"{bottom}_mbox_priorbox"
        variance = list(prior_variance)
        net[name] = L.PriorBox(net[bottom], net[data_layer], min_size=smallest, clip=clip, variance=variance, offset=offset, **fields)
        parts["mbox_priorbox"].append(net[name])
        if use_objectness:
            predict(bottom, "mbox_objectness", "", priors * 2)
    for name, tops in parts.items():
        if tops:
            net[name] = L.Concat(*tops, axis=2 if name == "mbox_priorbox" else 1)
    return [net[name] for name, tops in parts.items() if tops]
