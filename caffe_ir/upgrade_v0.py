"""V0 layers, the oldest form: layers { layer { type: "conv" } bottom: "x" } becomes V1.

Source: util/upgrade_proto.cpp of Caffe.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.schema import is_repeated
from ssd_common.errors import ParseError
from ssd_common.suggest import suggest

V1 = pb.V1LayerParameter

_V0_TYPES = {
    "accuracy": V1.ACCURACY,
    "bnll": V1.BNLL,
    "concat": V1.CONCAT,
    "conv": V1.CONVOLUTION,
    "data": V1.DATA,
    "dropout": V1.DROPOUT,
    "euclidean_loss": V1.EUCLIDEAN_LOSS,
    "flatten": V1.FLATTEN,
    "hdf5_data": V1.HDF5_DATA,
    "hdf5_output": V1.HDF5_OUTPUT,
    "im2col": V1.IM2COL,
    "images": V1.IMAGE_DATA,
    "infogain_loss": V1.INFOGAIN_LOSS,
    "innerproduct": V1.INNER_PRODUCT,
    "lrn": V1.LRN,
    "multinomial_logistic_loss": V1.MULTINOMIAL_LOGISTIC_LOSS,
    "pool": V1.POOLING,
    "relu": V1.RELU,
    "sigmoid": V1.SIGMOID,
    "softmax": V1.SOFTMAX,
    "softmax_loss": V1.SOFTMAX_LOSS,
    "split": V1.SPLIT,
    "tanh": V1.TANH,
    "window_data": V1.WINDOW_DATA,
}
_FILLERS = {
    "num_output": "num_output",
    "biasterm": "bias_term",
    "weight_filler": "weight_filler",
    "bias_filler": "bias_filler",
}
_WINDOW = {"pad": "pad", "kernelsize": "kernel_size", "stride": "stride"}
_SOURCE = {"source": "source", "batchsize": "batch_size"}
_IMAGES = {
    "rand_skip": "rand_skip",
    "shuffle_images": "shuffle",
    "new_height": "new_height",
    "new_width": "new_width",
}
_WINDOW_DATA = {
    "det_fg_threshold": "fg_threshold",
    "det_bg_threshold": "bg_threshold",
    "det_fg_fraction": "fg_fraction",
    "det_context_pad": "context_pad",
    "det_crop_mode": "crop_mode",
}
# V0 type -> the V1 message that holds its fields, and their names there. Caffe drops others.
_V0_FIELDS: dict[str, tuple[str, dict[str, str]]] = {
    "conv": ("convolution_param", _FILLERS | _WINDOW | {"group": "group"}),
    "innerproduct": ("inner_product_param", _FILLERS),
    "pool": ("pooling_param", _WINDOW | {"pool": "pool"}),
    "dropout": ("dropout_param", {"dropout_ratio": "dropout_ratio"}),
    "lrn": (
        "lrn_param",
        {name: name for name in ("local_size", "alpha", "beta", "k")},
    ),
    "concat": ("concat_param", {"concat_dim": "concat_dim"}),
    "infogain_loss": ("infogain_loss_param", {"source": "source"}),
    "data": ("data_param", _SOURCE | {"rand_skip": "rand_skip"}),
    "hdf5_data": ("hdf5_data_param", _SOURCE),
    "images": ("image_data_param", _SOURCE | _IMAGES),
    "window_data": ("window_data_param", _SOURCE | _WINDOW_DATA),
}
_V0_TRANSFORM = {
    "scale": "scale",
    "meanfile": "mean_file",
    "cropsize": "crop_size",
    "mirror": "mirror",
}
# The fields that a V0 net keeps beside its layers; Caffe drops the rest.
_V0_NET = ("name", "input", "input_dim", "force_backward")


def upgrade_v0(net: pb.NetParameter, path: str) -> None:
    """Turn a net of V0 layers into one of V1 layers, in place.

    path: the file that errors name.
    Raises ParseError for a layer that has no V1 form.
    """
    upgraded = [_upgrade_v0_layer(old, path) for old in _without_padding_layers(net, path)]
    for field, _ in net.ListFields():
        if field.name not in _V0_NET:
            net.ClearField(field.name)
    net.layers.extend(upgraded)


def _without_padding_layers(net: pb.NetParameter, path: str) -> list[pb.V1LayerParameter]:
    """Return the layers other than `padding`, whose pad goes to the conv or pool that reads it."""
    source: dict[str, pb.V1LayerParameter | None] = dict.fromkeys(net.input)
    kept = []
    for layer in net.layers:
        if layer.layer.type != "padding":
            kept.append(layer)
        for j, name in enumerate(layer.bottom):
            place = f"layer '{layer.layer.name}'"
            if name not in source:
                hint = suggest(name, source)
                raise ParseError(path, f"{place}: unknown bottom '{name}'{hint}")
            padding = source[name]
            if padding is None or padding.layer.type != "padding":
                continue
            pads = layer.layer.type in ("conv", "pool")
            single = len(layer.bottom) == len(padding.bottom) == len(padding.top) == 1
            if not (pads and single):
                readers = "only a conv or pool layer with one bottom may read a padding layer"
                raise ParseError(path, f"{place}: {readers}")
            layer.layer.pad = padding.layer.pad
            layer.bottom[j] = padding.bottom[0]
        for name in layer.top:
            source[name] = layer
    return kept


def _upgrade_v0_layer(old: pb.V1LayerParameter, path: str) -> pb.V1LayerParameter:
    """Return a V0 layer in the form of V1."""
    v0 = old.layer
    if v0.type not in _V0_TYPES:
        hint = suggest(v0.type, _V0_TYPES)
        raise ParseError(path, f"layer '{v0.name}': unknown layer type '{v0.type}'{hint}")
    new = V1(type=_V0_TYPES[v0.type], bottom=old.bottom, top=old.top)
    if v0.HasField("name"):
        new.name = v0.name
    new.blobs.extend(v0.blobs)
    new.blobs_lr.extend(v0.blobs_lr)
    new.weight_decay.extend(v0.weight_decay)
    if v0.type == "hdf5_output" and v0.HasField("hdf5_output_param"):
        new.hdf5_output_param.CopyFrom(v0.hdf5_output_param)
    param_name, names = _V0_FIELDS.get(v0.type, ("", {}))
    for field, value in v0.ListFields():
        if field.name in _V0_TRANSFORM:
            setattr(new.transform_param, _V0_TRANSFORM[field.name], value)
        elif field.name in names:
            _set_field(getattr(new, param_name), names[field.name], value)
    return new


def _set_field(param: Message, name: str, value: Any) -> None:
    """Set a field of a message to a value; append the value where the field is a list."""
    field = param.DESCRIPTOR.fields_by_name[name]
    if field.message_type:
        getattr(param, name).CopyFrom(value)
    elif is_repeated(field):
        getattr(param, name).append(value)
    else:
        setattr(param, name, value)
