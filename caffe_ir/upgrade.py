"""Upgrades old forms of nets and solvers to the current form.

The old forms are V1 layers (V0 layers become V1 layers first), data transformation fields, `input`
fields, BatchNorm's three `param`s and `solver_type`.
Source: util/upgrade_proto.cpp of Caffe.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.upgrade_v0 import upgrade_v0
from ssd_common.errors import ParseError

V1 = pb.V1LayerParameter


def upgrade_net(net: pb.NetParameter, path: str = "<net>", notes: list[str] | None = None) -> None:
    """Upgrade a net to the current form, in place.

    net: the net of a text or a binary file.
    path: the file that errors name.
    notes: takes a line where the upgrade ends sharing between layers.
    Raises ParseError for a net that cannot be upgraded.
    """
    if net.layers:
        if net.layer:
            remedy = 'write every layer as layer { type: "..." }'
            raise ParseError(path, f"has both 'layer' and 'layers' fields; {remedy}")
        if any(layer.HasField("layer") for layer in net.layers):
            upgrade_v0(net, path)
        for old in net.layers:
            _upgrade_data_fields(old)
            _upgrade_v1(old, net.layer.add(), path)
        net.ClearField("layers")
    if net.input:
        _upgrade_inputs(net, path)
    _upgrade_batch_norm(net, notes)


def _upgrade_batch_norm(net: pb.NetParameter, notes: list[str] | None) -> None:
    """Clear BatchNorm's three `param`s, and note whose statistics are not shared for that.

    BVLC's Caffe has kept their names since 2017, and shares by them.
    Source: UpgradeNetBatchNorm in util/upgrade_proto.cpp of weiliu89/caffe (ssd) and BVLC/caffe.
    """
    old = [layer for layer in net.layer if layer.type == "BatchNorm" and len(layer.param) == 3]
    if notes is not None:
        notes.extend(_unshared(old))
    for layer in old:
        layer.ClearField("param")


def _unshared(old: Sequence[pb.LayerParameter]) -> list[str]:
    """A line for BatchNorm layers that name the same statistics; [] without such.

    Layers of one name do not count: they are one layer in two phases.
    """
    owners: dict[str, set[str]] = defaultdict(set)
    for layer in old:
        for spec in layer.param:
            owners[spec.name].add(layer.name)
    owners.pop("", None)
    sharing = {name for layers in owners.values() if len(layers) > 1 for name in layers}
    if not sharing:
        return []
    listed = ", ".join(f"'{name}'" for name in sorted(sharing))
    here = "each has statistics of its own, as in the SSD fork, which drops the names of 3 params"
    return [f"BatchNorm layers {listed}: {here}; BVLC's Caffe shares them by name"]


def upgrade_solver(solver: pb.SolverParameter, path: str = "<solver>") -> None:
    """Upgrade a solver and the nets inside it to the current form, in place.

    path: the file that errors name.
    Raises ParseError for a solver or a net that cannot be upgraded.
    """
    if solver.HasField("solver_type"):
        if solver.HasField("type"):
            raise ParseError(path, "has both 'type' and the old 'solver_type'; keep 'type'")
        solver.type = _SOLVER_TYPES[solver.solver_type]
        solver.ClearField("solver_type")
    for name in ("net_param", "train_net_param"):
        if solver.HasField(name):
            upgrade_net(getattr(solver, name), path)
    for net in solver.test_net_param:
        upgrade_net(net, path)


_SOLVER_TYPES = {
    pb.SolverParameter.SGD: "SGD",
    pb.SolverParameter.NESTEROV: "Nesterov",
    pb.SolverParameter.ADAGRAD: "AdaGrad",
    pb.SolverParameter.RMSPROP: "RMSProp",
    pb.SolverParameter.ADADELTA: "AdaDelta",
    pb.SolverParameter.ADAM: "Adam",
}


def _upgrade_inputs(net: pb.NetParameter, path: str) -> None:
    """Turn `input` with `input_shape`, or with four `input_dim`s each, into an Input layer.

    `input` alone, as in old caffemodels, is dropped.
    """
    shapes = _input_shapes(net, path)
    if shapes:
        layer = pb.LayerParameter(name="input", type="Input", top=net.input)
        layer.input_param.shape.extend(shapes)
        net.layer.insert(0, layer)
    for name in ("input", "input_shape", "input_dim"):
        net.ClearField(name)


def _input_shapes(net: pb.NetParameter, path: str) -> list[pb.BlobShape]:
    """Return the shape of each `input`, or none where the net gives no shapes."""
    count = len(net.input)
    shapes = list(net.input_shape)
    dims = net.input_dim
    if shapes:
        if len(shapes) < count:
            raise ParseError(path, f"{count} 'input' but {len(shapes)} 'input_shape'")
        return shapes[:count]
    if not dims:
        return []
    if len(dims) < 4 * count:
        needed = f"{count} 'input' need {4 * count} 'input_dim'"
        raise ParseError(path, f"{needed}, found {len(dims)}")
    return [pb.BlobShape(dim=dims[start : start + 4]) for start in range(0, 4 * count, 4)]


# V1: layers { type: CONVOLUTION blobs_lr: 1 ... }
_V1_TYPES = {
    "NONE": "",
    "ABSVAL": "AbsVal",
    "ACCURACY": "Accuracy",
    "ARGMAX": "ArgMax",
    "BNLL": "BNLL",
    "CONCAT": "Concat",
    "CONTRASTIVE_LOSS": "ContrastiveLoss",
    "CONVOLUTION": "Convolution",
    "DECONVOLUTION": "Deconvolution",
    "DATA": "Data",
    "DROPOUT": "Dropout",
    "DUMMY_DATA": "DummyData",
    "EUCLIDEAN_LOSS": "EuclideanLoss",
    "ELTWISE": "Eltwise",
    "EXP": "Exp",
    "FLATTEN": "Flatten",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "HINGE_LOSS": "HingeLoss",
    "IM2COL": "Im2col",
    "IMAGE_DATA": "ImageData",
    "INFOGAIN_LOSS": "InfogainLoss",
    "INNER_PRODUCT": "InnerProduct",
    "LRN": "LRN",
    "MEMORY_DATA": "MemoryData",
    "MULTINOMIAL_LOGISTIC_LOSS": "MultinomialLogisticLoss",
    "MVN": "MVN",
    "POOLING": "Pooling",
    "POWER": "Power",
    "RELU": "ReLU",
    "SIGMOID": "Sigmoid",
    "SIGMOID_CROSS_ENTROPY_LOSS": "SigmoidCrossEntropyLoss",
    "SILENCE": "Silence",
    "SOFTMAX": "Softmax",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "SPLIT": "Split",
    "SLICE": "Slice",
    "TANH": "TanH",
    "WINDOW_DATA": "WindowData",
    "THRESHOLD": "Threshold",
}
_DATA_PARAMS = {
    V1.DATA: "data_param",
    V1.IMAGE_DATA: "image_data_param",
    V1.WINDOW_DATA: "window_data_param",
}


def _upgrade_data_fields(layer: pb.V1LayerParameter) -> None:
    """Move scale, mean_file, crop_size and mirror of a data layer to its transform_param."""
    name = _DATA_PARAMS.get(layer.type, "")
    if not name or not layer.HasField(name):
        return
    param = getattr(layer, name)
    for moved in ("scale", "mean_file", "crop_size", "mirror"):
        if param.HasField(moved):
            setattr(layer.transform_param, moved, getattr(param, moved))
            param.ClearField(moved)


def _upgrade_v1(old: pb.V1LayerParameter, new: pb.LayerParameter, path: str) -> None:
    """Fill the new layer with the fields of a V1 layer."""
    for field, value in old.ListFields():
        if field.name == "type":
            new.type = _V1_TYPES[V1.LayerType.Name(value)]
        elif field.name in _PARAM_FIELDS:
            for i, item in enumerate(value):
                while len(new.param) <= i:
                    new.param.add()
                setattr(new.param[i], _PARAM_FIELDS[field.name], item)
        elif field.name == "layer":
            raise ParseError(path, f"layers '{old.name}' holds a layer inside a layer")
        elif field.name == "name":
            new.name = value
        elif field.message_type and not hasattr(value, "extend"):
            getattr(new, field.name).CopyFrom(value)
        else:
            getattr(new, field.name).extend(value)


# A V1 layer's field -> the field of the current `param` that takes its values, one param each.
_PARAM_FIELDS = {
    "param": "name",
    "blob_share_mode": "share_mode",
    "blobs_lr": "lr_mult",
    "weight_decay": "decay_mult",
}
