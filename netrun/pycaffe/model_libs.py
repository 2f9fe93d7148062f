"""The SSD fork's caffe.model_libs: the backbones, heads and data layer of its training scripts.

It has these names: VGGNetBody, ZFNetBody, ResNet101Body, ResNet152Body, ConvBNLayer,
ResBody, CreateMultiBoxHead, CreateAnnotatedDataLayer, check_if_exist, make_if_not_exist. It lacks
InceptionV3Body. The fork's own file runs in Python 2 only. Write new detectors with netgen instead.
Source: weiliu89/caffe, branch ssd, python/caffe/model_libs.py.
"""

# ruff: noqa: PLR0917 (names and argument order are the fork's)
from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from caffe_ir import caffe_ir_pb2 as caffe_pb2
from netrun import pycaffe as caffe
from netrun.pycaffe.net_blocks import ConvBNLayer, ResBody, UnpackVariable
from netrun.pycaffe.net_bodies import ResNet101Body, ResNet152Body, VGGNetBody, ZFNetBody
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
    """Tell whether a file or folder exists."""
    return os.path.exists(path)


def make_if_not_exist(path: str) -> None:
    """Make a folder, and the folders above it."""
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
    """Make the data layer of a training or test net.

    Its tops are the images and, with output_label, the boxes.
    """
    annotated: dict[str, Any] = {
        "label_map_file": label_map_file,
        "batch_sampler": list(batch_sampler),
    }
    if anno_type is not None:
        annotated["anno_type"] = anno_type
    phase = caffe_pb2.TEST
    if train:
        phase = caffe_pb2.TRAIN
    tops = 1
    if output_label:
        tops = 2
    return L.AnnotatedData(
        name="data",
        annotated_data_param=annotated,
        data_param={"batch_size": batch_size, "backend": backend, "source": source},
        include={"phase": phase},
        transform_param=transform_param or {},
        ntop=tops,
    )


def _each(values: Sequence[Any], i: int) -> list:
    """The i-th of the values given per layer, as a list; empty if none are given."""
    if i >= len(values):
        return []
    value = values[i]
    if isinstance(value, (list, tuple)):
        return list(value)
    return [value]


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
    """Add predictions and prior boxes on each of from_layers.

    normalizations: initial scales of Normalize layers, -1 for none.
    min_sizes, max_sizes: in pixels, one or more per layer.
    Returns the tops mbox_loc, mbox_conf, mbox_priorbox (and mbox_objectness).
    Raises CaffeError where lists differ in length.
    """
    if not num_classes:
        raise CaffeError("CreateMultiBoxHead: must provide num_classes")
    lists = {
        "normalizations": normalizations,
        "min_sizes": min_sizes,
        "max_sizes": max_sizes,
        "aspect_ratios": aspect_ratios,
        "steps": steps,
        "inter_layer_depth": inter_layer_depth,
    }
    _check_lengths(lists, len(from_layers))
    convolution = {"use_bn": use_batchnorm, "lr_mult": lr_mult, **bn_param}
    head = _Head(net, {"kernel_size": kernel_size, "pad": pad, "stride": 1, **convolution})
    common = {"clip": clip, "variance": list(prior_variance), "offset": offset}
    common |= _image_size(img_height, img_width)
    location_classes = num_classes
    if share_location:
        location_classes = 1
    for i, layer in enumerate(from_layers):
        bottom = _normalized(net, layer, normalizations[i : i + 1])
        bottom = _with_layer_between(net, bottom, inter_layer_depth[i : i + 1], convolution)
        smallest = _each(min_sizes, i)
        largest = _each(max_sizes, i)
        ratios = _each(aspect_ratios, i)
        shapes = 1 + bool(largest) + len(ratios)
        if flip:
            shapes += len(ratios)
        priors = shapes * len(smallest)
        head.predict(bottom, "mbox_loc", loc_postfix, priors * 4 * location_classes)
        head.predict(bottom, "mbox_conf", conf_postfix, priors * num_classes)
        fields = _prior_fields(largest, ratios, flip, steps[i : i + 1])
        name = f"{bottom}_mbox_priorbox"
        net[name] = L.PriorBox(net[bottom], net[data_layer], min_size=smallest, **common, **fields)
        head.parts["mbox_priorbox"].append(net[name])
        if use_objectness:
            head.predict(bottom, "mbox_objectness", "", priors * 2)
    return head.joined()


class _Head:
    """Adds a head's layers; each top belongs to one part.

    convolution: ConvBNLayer's arguments.
    """

    def __init__(self, net: NetSpec, convolution: Mapping[str, Any]) -> None:
        self._net = net
        self._convolution = convolution
        names = ("mbox_loc", "mbox_conf", "mbox_priorbox", "mbox_objectness")
        self.parts: dict[str, list[Top]] = {name: [] for name in names}

    def predict(
        self,
        bottom: str,
        part: str,
        postfix: str,
        outputs: int,
    ) -> None:
        """Add a convolution, with its values in order of place, prior and class."""
        net = self._net
        name = f"{bottom}_{part}{postfix}"
        ConvBNLayer(net, bottom, name, use_relu=False, num_output=outputs, **self._convolution)
        net[f"{name}_perm"] = L.Permute(net[name], order=[0, 2, 3, 1])
        net[f"{name}_flat"] = L.Flatten(net[f"{name}_perm"], axis=1)
        self.parts[part].append(net[f"{name}_flat"])

    def joined(self) -> list[Top]:
        """Join each part's tops into one; return the joined tops."""
        joined = []
        for name, tops in self.parts.items():
            if not tops:
                continue
            axis = 1
            if name == "mbox_priorbox":
                axis = 2
            self._net[name] = L.Concat(*tops, axis=axis)
            joined.append(self._net[name])
        return joined


def _check_lengths(lists: Mapping[str, Sequence[Any]], layers: int) -> None:
    """Raise CaffeError for a list that is not empty and not of from_layers' length."""
    for name, values in lists.items():
        if len(values) != layers and (values or name == "min_sizes"):
            counts = f"from_layers has {layers} entries, {name} {len(values)}"
            raise CaffeError(f"CreateMultiBoxHead: {counts}")


def _normalized(net: NetSpec, layer: str, scale: Sequence[float]) -> str:
    """Add a Normalize layer that starts from this scale; return its blob.

    scale: empty or -1: add nothing.
    """
    if not len(scale) or scale[0] == -1:
        return layer
    name = f"{layer}_norm"
    filler = {"type": "constant", "value": scale[0]}
    across = {"across_spatial": False, "channel_shared": False}
    net[name] = L.Normalize(net[layer], scale_filler=filler, **across)
    return name


def _with_layer_between(
    net: NetSpec,
    bottom: str,
    depth: Sequence[int],
    convolution: Mapping[str, Any],
) -> str:
    """Add a 3x3 convolution of this depth; return its blob.

    depth: empty or 0: add nothing.
    """
    if not len(depth) or depth[0] <= 0:
        return bottom
    name = f"{bottom}_inter"
    size: dict[str, Any] = {"kernel_size": 3, "pad": 1, "stride": 1}
    ConvBNLayer(net, bottom, name, use_relu=True, num_output=depth[0], **size, **convolution)
    return name


def _prior_fields(
    largest: Sequence[Any],
    ratios: Sequence[Any],
    flip: bool,
    step: Sequence[Any],
) -> dict[str, Any]:
    """The PriorBox fields that some layers lack."""
    fields: dict[str, Any] = {}
    if largest:
        fields["max_size"] = largest
    if ratios:
        fields |= {"aspect_ratio": ratios, "flip": flip}
    if len(step) and step[0]:
        fields["step"] = step[0]
    return fields


def _image_size(height: int, width: int) -> dict[str, int]:
    """The PriorBox fields for the image's size, if given."""
    if not (height and width):
        return {}
    if height == width:
        return {"img_size": height}
    return {"img_h": height, "img_w": width}
