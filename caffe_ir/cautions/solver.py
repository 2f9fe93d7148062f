"""Cautions about a solver: its fields, its train net and its test nets contradict each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from google.protobuf.message import Message

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.cautions.coverage import coverage
from caffe_ir.cautions.scores import of_scores

# Of MultiBoxLoss in training, and of DetectionOutput in tests.
_PREDICTIONS = (
    ("num_classes", "num_classes"),
    ("background_label_id", "background_label_id"),
    ("code_type", "code_type"),
    ("encode_variance_in_target", "variance_encoded_in_target"),
)
_PIXELS = ("mean_value", "mean_file", "scale")


def of_solver(
    param: pb.SolverParameter, train: pb.NetParameter, tests: Sequence[pb.NetParameter]
) -> list[str]:
    """List the cautions about a solver; those about each of its nets alone are of_net's.

    train: its train net, filtered.
    tests: its test nets, filtered, in the order of test_iter.
    """
    found: list[str] = []
    if not _ever_tests(param):
        return found
    for number, (net, passes) in enumerate(zip(tests, param.test_iter, strict=False)):
        start = ""
        if len(tests) > 1:
            start = f"test net #{number}: "
        of_one = [*_passes(net, passes), *_kind(param, net), *_differences(train, net)]
        found += [start + caution for caution in of_one]
    return found


def _ever_tests(param: pb.SolverParameter) -> bool:
    if not param.test_interval:
        return False
    return param.test_initialization or param.test_interval <= param.max_iter


def _passes(net: pb.NetParameter, passes: int) -> Iterator[str]:
    found = coverage(net, passes, "test_iter: {}")
    if found and found.caution:
        yield found.caution


def _kind(param: pb.SolverParameter, net: pb.NetParameter) -> Iterator[str]:
    """eval_type that does not suit the net's outputs."""
    types = {name: layer.type for name, layer in _outputs(net).items()}
    tables = [name for name, type_ in types.items() if type_ == "DetectionEvaluate"]
    others = [name for name in types if types[name] not in ("DetectionEvaluate", "Python")]
    if param.eval_type == "detection":
        for name in others:
            what = f"eval_type \"detection\" takes DetectionEvaluate's rows, not those of '{name}'"
            yield f'{what} ({types[name]}); set eval_type: "classification" or end the net there'
        return
    for name, type_ in types.items():
        if type_ == "DetectionOutput":
            what = f"the detections of '{name}' have no mean; for average precision add a"
            yield f'{what} DetectionEvaluate layer that reads them, and set eval_type: "detection"'
    if tables:
        what = f"the rows of '{tables[0]}' (DetectionEvaluate) have no mean"
        yield f'{what}; set eval_type: "detection", which gives average precision'


def _outputs(net: pb.NetParameter) -> dict[str, pb.LayerParameter]:
    """The blobs that no layer reads, with the layers that make them."""
    made: dict[str, pb.LayerParameter] = {}
    for layer in net.layer:
        for name in layer.bottom:
            made.pop(name, None)
        for name in layer.top:
            made[name] = layer
    return made


def _differences(train: pb.NetParameter, test: pb.NetParameter) -> Iterator[str]:
    """What a test net decodes or feeds in another way than training taught."""
    yield from _decoding(train, test)
    yield from _priors(train, test)
    yield from _pixels(train, test)


def _decoding(train: pb.NetParameter, test: pb.NetParameter) -> Iterator[str]:
    losses = [layer for layer in train.layer if _tells_classes_apart(layer)]
    outputs = [layer for layer in test.layer if layer.type == "DetectionOutput"]
    if len(losses) != 1 or len(outputs) != 1:
        return
    yield from of_scores(losses[0], test)
    loss = losses[0].multibox_loss_param
    output = outputs[0].detection_output_param
    for taught, read in _PREDICTIONS:
        right = _text(loss, taught)
        found = _text(output, read)
        if found != right:
            trained = f"training has {taught} {right} (layer '{losses[0].name}')"
            yield f"layer '{outputs[0].name}': {read} is {found}, {trained}; set {read}: {right}"


def _tells_classes_apart(layer: pb.LayerParameter) -> bool:
    agnostic = layer.multibox_loss_param.map_object_to_agnostic
    return layer.type == "MultiBoxLoss" and not agnostic


def _priors(train: pb.NetParameter, test: pb.NetParameter) -> Iterator[str]:
    taught = {layer.name: layer for layer in train.layer if layer.type == "PriorBox"}
    for layer in test.layer:
        other = taught.get(layer.name)
        if other is None or layer.type != "PriorBox":
            continue
        for name in _different(other.prior_box_param, layer.prior_box_param):
            right = _text(other.prior_box_param, name)
            found = _text(layer.prior_box_param, name)
            yield f"layer '{layer.name}': {name} is {found}, in the train net {right}"


def _pixels(train: pb.NetParameter, test: pb.NetParameter) -> Iterator[str]:
    taught = _transform(train)
    found = _transform(test)
    if taught is None or found is None:
        return
    for name in _PIXELS:
        right = _text(taught.transform_param, name)
        here = _text(found.transform_param, name)
        if here != right:
            place = f"layer '{found.name}': transform_param.{name}"
            yield f"{place} is {here} in the test net, {right} in the train net"


def _transform(net: pb.NetParameter) -> pb.LayerParameter | None:
    """The layer that prepares a net's images; None without one."""
    return next((layer for layer in net.layer if layer.HasField("transform_param")), None)


def _different(one: Message, other: Message) -> list[str]:
    """Names of the fields of two messages of one type whose values differ."""
    names = (field.name for field in one.DESCRIPTOR.fields)
    return [name for name in names if _text(one, name) != _text(other, name)]


def _text(message: Message, name: str) -> str:
    """A field's value as prototxts have it; of a list, its values with commas."""
    field = message.DESCRIPTOR.fields_by_name[name]
    value = getattr(message, name)
    if field.enum_type:
        return field.enum_type.values_by_number[value].name
    if isinstance(value, (bool, int, float, str)):
        return _scalar(value)
    return ", ".join(map(_scalar, value)) or "not set"


def _scalar(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.7g}"
    return str(value) or "not set"
