"""Old forms of nets and solvers, brought to today's (Caffe's util/upgrade_proto.cpp): V0 and V1 layers, data transformation
fields, `input` fields, BatchNorm's three `param`s, `solver_type`.
"""

from __future__ import annotations

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.schema import is_repeated
from ssd_common.errors import ParseError
from ssd_common.suggest import suggest

V1 = pb.V1LayerParameter


def upgrade_net(net: pb.NetParameter, path: str = "<net>") -> None:
    """Bring a net, of a text or a binary file, to today's form, in place. Raises ParseError naming path for one that has no such form."""
    if net.layers:
        if net.layer:
            raise ParseError(path, "has both 'layer' and 'layers' fields; write every layer as layer { type: \"...\" }")
        if any(layer.HasField("layer") for layer in net.layers):
            _upgrade_v0(net, path)
        for old in net.layers:
            _upgrade_data_fields(old)
            _upgrade_v1(old, net.layer.add(), path)
        net.ClearField("layers")
    if net.input:
        _upgrade_inputs(net, path)
    for layer in net.layer:
        if layer.type == "BatchNorm" and len(layer.param) == 3:
            layer.ClearField("param")


def upgrade_solver(solver: pb.SolverParameter, path: str = "<solver>") -> None:
    """Bring a solver and the nets inside it to today's form, in place. Raises ParseError naming path."""
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
    """`input` with `input_shape` or four `input_dim`s each becomes an Input layer; `input` alone (old caffemodels) is dropped."""
    count = len(net.input)
    if net.input_shape or net.input_dim:
        layer = pb.LayerParameter(name="input", type="Input", top=net.input)
        if net.input_shape:
            if len(net.input_shape) < count:
                raise ParseError(path, f"{count} 'input' but {len(net.input_shape)} 'input_shape'")
            layer.input_param.shape.extend(net.input_shape[:count])
        else:
            if len(net.input_dim) < 4 * count:
                raise ParseError(path, f"{count} 'input' need {4 * count} 'input_dim', found {len(net.input_dim)}")
            for i in range(count):
                layer.input_param.shape.add(dim=net.input_dim[4 * i : 4 * i + 4])
        net.layer.insert(0, layer)
    for name in ("input", "input_shape", "input_dim"):
        net.ClearField(name)


# ---- V1: layers { type: CONVOLUTION blobs_lr: 1 ... }

_V1_TYPES = {
    "NONE": "", "ABSVAL": "AbsVal", "ACCURACY": "Accuracy", "ARGMAX": "ArgMax", "BNLL": "BNLL", "CONCAT": "Concat",
    "CONTRASTIVE_LOSS": "ContrastiveLoss", "CONVOLUTION": "Convolution", "DECONVOLUTION": "Deconvolution", "DATA": "Data",
    "DROPOUT": "Dropout", "DUMMY_DATA": "DummyData", "EUCLIDEAN_LOSS": "EuclideanLoss", "ELTWISE": "Eltwise", "EXP": "Exp",
    "FLATTEN": "Flatten", "HDF5_DATA": "HDF5Data", "HDF5_OUTPUT": "HDF5Output", "HINGE_LOSS": "HingeLoss", "IM2COL": "Im2col",
    "IMAGE_DATA": "ImageData", "INFOGAIN_LOSS": "InfogainLoss", "INNER_PRODUCT": "InnerProduct", "LRN": "LRN",
    "MEMORY_DATA": "MemoryData", "MULTINOMIAL_LOGISTIC_LOSS": "MultinomialLogisticLoss", "MVN": "MVN", "POOLING": "Pooling",
    "POWER": "Power", "RELU": "ReLU", "SIGMOID": "Sigmoid", "SIGMOID_CROSS_ENTROPY_LOSS": "SigmoidCrossEntropyLoss",
    "SILENCE": "Silence", "SOFTMAX": "Softmax", "SOFTMAX_LOSS": "SoftmaxWithLoss", "SPLIT": "Split", "SLICE": "Slice",
    "TANH": "TanH", "WINDOW_DATA": "WindowData", "THRESHOLD": "Threshold",
}  # fmt: skip
_DATA_PARAMS = {V1.DATA: "data_param", V1.IMAGE_DATA: "image_data_param", V1.WINDOW_DATA: "window_data_param"}


def _upgrade_data_fields(layer: pb.V1LayerParameter) -> None:
    """scale, mean_file, crop_size and mirror move from the data layer's own parameters to transform_param."""
    name = _DATA_PARAMS.get(layer.type, "")
    if not name or not layer.HasField(name):
        return
    param = getattr(layer, name)
    for moved in ("scale", "mean_file", "crop_size", "mirror"):
        if param.HasField(moved):
            setattr(layer.transform_param, moved, getattr(param, moved))
            param.ClearField(moved)


def _upgrade_v1(old: pb.V1LayerParameter, new: pb.LayerParameter, path: str) -> None:
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


_PARAM_FIELDS = {"param": "name", "blob_share_mode": "share_mode", "blobs_lr": "lr_mult", "weight_decay": "decay_mult"}

# ---- V0: layers { layer { type: "conv" ... } bottom: ... }

_V0_TYPES = {
    "accuracy": V1.ACCURACY, "bnll": V1.BNLL, "concat": V1.CONCAT, "conv": V1.CONVOLUTION, "data": V1.DATA, "dropout": V1.DROPOUT,
    "euclidean_loss": V1.EUCLIDEAN_LOSS, "flatten": V1.FLATTEN, "hdf5_data": V1.HDF5_DATA, "hdf5_output": V1.HDF5_OUTPUT,
    "im2col": V1.IM2COL, "images": V1.IMAGE_DATA, "infogain_loss": V1.INFOGAIN_LOSS, "innerproduct": V1.INNER_PRODUCT,
    "lrn": V1.LRN, "multinomial_logistic_loss": V1.MULTINOMIAL_LOGISTIC_LOSS, "pool": V1.POOLING, "relu": V1.RELU,
    "sigmoid": V1.SIGMOID, "softmax": V1.SOFTMAX, "softmax_loss": V1.SOFTMAX_LOSS, "split": V1.SPLIT, "tanh": V1.TANH,
    "window_data": V1.WINDOW_DATA,
}  # fmt: skip
_FILLERS = {"num_output": "num_output", "biasterm": "bias_term", "weight_filler": "weight_filler", "bias_filler": "bias_filler"}
_WINDOW = {"pad": "pad", "kernelsize": "kernel_size", "stride": "stride"}
_SOURCE = {"source": "source", "batchsize": "batch_size"}
# V0 type -> the V1 parameter message that holds its fields, and the name of each there. Others have no effect, as in Caffe.
_V0_FIELDS: dict[str, tuple[str, dict[str, str]]] = {
    "conv": ("convolution_param", _FILLERS | _WINDOW | {"group": "group"}),
    "innerproduct": ("inner_product_param", _FILLERS),
    "pool": ("pooling_param", _WINDOW | {"pool": "pool"}),
    "dropout": ("dropout_param", {"dropout_ratio": "dropout_ratio"}),
    "lrn": ("lrn_param", {name: name for name in ("local_size", "alpha", "beta", "k")}),
    "concat": ("concat_param", {"concat_dim": "concat_dim"}),
    "infogain_loss": ("infogain_loss_param", {"source": "source"}),
    "data": ("data_param", _SOURCE | {"rand_skip": "rand_skip"}),
    "hdf5_data": ("hdf5_data_param", _SOURCE),
    "images": (
        "image_data_param",
        _SOURCE | {"rand_skip": "rand_skip", "shuffle_images": "shuffle", "new_height": "new_height", "new_width": "new_width"},
    ),
    "window_data": (
        "window_data_param",
        _SOURCE | {f"det_{name}": name for name in ("fg_threshold", "bg_threshold", "fg_fraction", "context_pad", "crop_mode")},
    ),
}
_V0_TRANSFORM = {"scale": "scale", "meanfile": "mean_file", "cropsize": "crop_size", "mirror": "mirror"}
_V0_NET = ("name", "input", "input_dim", "force_backward")  # what a V0 net keeps beside its layers; Caffe drops the rest


def _upgrade_v0(net: pb.NetParameter, path: str) -> None:
    upgraded = [_upgrade_v0_layer(old, path) for old in _without_padding_layers(net, path)]
    for field, _ in net.ListFields():
        if field.name not in _V0_NET:
            net.ClearField(field.name)
    net.layers.extend(upgraded)


def _without_padding_layers(net: pb.NetParameter, path: str) -> list[pb.V1LayerParameter]:
    """A `padding` layer's pad goes into the conv or pool layer that reads it."""
    source: dict[str, pb.V1LayerParameter | None] = dict.fromkeys(net.input)
    kept = []
    for layer in net.layers:
        if layer.layer.type != "padding":
            kept.append(layer)
        for j, name in enumerate(layer.bottom):
            if name not in source:
                raise ParseError(path, f"layer '{layer.layer.name}': unknown bottom '{name}'{suggest(name, source)}")
            padding = source[name]
            if padding is None or padding.layer.type != "padding":
                continue
            if layer.layer.type not in ("conv", "pool") or not len(layer.bottom) == len(padding.bottom) == len(padding.top) == 1:
                raise ParseError(path, f"layer '{layer.layer.name}': only a conv or pool layer with one bottom may read a padding layer")
            layer.layer.pad = padding.layer.pad
            layer.bottom[j] = padding.bottom[0]
        for name in layer.top:
            source[name] = layer
    return kept


def _upgrade_v0_layer(old: pb.V1LayerParameter, path: str) -> pb.V1LayerParameter:
    v0 = old.layer
    if v0.type not in _V0_TYPES:
        raise ParseError(path, f"layer '{v0.name}': unknown layer type '{v0.type}'{suggest(v0.type, _V0_TYPES)}")
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
            param, name = getattr(new, param_name), names[field.name]
            if field.message_type:
                getattr(param, name).CopyFrom(value)
            elif is_repeated(param.DESCRIPTOR.fields_by_name[name]):
                getattr(param, name).append(value)
            else:
                setattr(param, name, value)
    return new
