"""Cautions about one net: its layers, and its files, contradict each other."""

from __future__ import annotations

from collections.abc import Iterator

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import label_map
from caffe_ir.cautions.images import listed, name_size_files, read_images
from caffe_ir.rules.detection import NO_BACKGROUND
from ssd_common.errors import CaffeError


def of_net(net: pb.NetParameter) -> list[str]:
    """List the cautions about a net.

    net: filtered for its phase.
    """
    classes = _label_map_classes(net)
    return [
        *_evaluation(net, classes),
        *_classes(net, classes),
        *_sizes(net),
        *_result_files(net),
    ]


def _evaluation(net: pb.NetParameter, classes: int | None) -> Iterator[str]:
    """What DetectionEvaluate and the DetectionOutput that it judges say of classes.

    classes: how many the label map needs; None without one.
    """
    for layer in net.layer:
        output = _judged(net, layer)
        if output is None:
            continue
        found = output.detection_output_param
        judged = layer.detection_evaluate_param
        start = f"layer '{layer.name}': detection_evaluate_param."
        right = classes or found.num_classes
        if judged.num_classes not in (found.num_classes, right):
            what = f"num_classes is {judged.num_classes}, {found.num_classes} in '{output.name}'"
            effect = _effect(judged.num_classes, right)
            yield f"{start}{what}: {effect}; set num_classes: {right}"
        background = found.background_label_id
        if judged.background_label_id != background % (NO_BACKGROUND + 1):
            what = f"background_label_id is {_signed(judged.background_label_id)}"
            other = f"{background} in '{output.name}'"
            effect = "the mean counts a class that is none"
            yield f"{start}{what}, {other}: {effect}; set background_label_id: {background}"


def _signed(label: int) -> int:
    """A label as int32: the field of DetectionEvaluate is unsigned, that of DetectionOutput not."""
    if label == NO_BACKGROUND:
        return -1
    return label


def _judged(net: pb.NetParameter, evaluate: pb.LayerParameter) -> pb.LayerParameter | None:
    """The DetectionOutput whose top a DetectionEvaluate reads; None for any other layer."""
    if evaluate.type != "DetectionEvaluate" or not evaluate.bottom:
        return None
    makers = [layer for layer in net.layer if evaluate.bottom[0] in layer.top]
    if not makers or makers[-1].type != "DetectionOutput":
        return None
    return makers[-1]


def _effect(told: int, right: int) -> str:
    """What follows where a layer that scores is told another number of classes."""
    if told < right:
        return f"the mean leaves out {_labels(told, right)}"
    return f"the mean counts {_labels(right, told)} as AP 0"


def _labels(first: int, end: int) -> str:
    """The labels from `first` to before `end` in words."""
    if end - first == 1:
        return f"class {first}"
    return f"classes {first} to {end - 1}"


def _label_map_classes(net: pb.NetParameter) -> int | None:
    """The number of classes of a net's label map, background included; None without one."""
    file = label_map.named_by(net)
    if not file:
        return None
    try:
        return label_map.count_classes(file)
    except CaffeError:  # for others to say
        return None


def _classes(net: pb.NetParameter, classes: int | None) -> Iterator[str]:
    """Layers whose num_classes is not the label map's; what they share is said once."""
    if classes is None:
        return
    file = label_map.named_by(net)
    named: dict[int, list[str]] = {}
    for layer in net.layer:
        told = _num_classes(net, layer)
        if told:
            named.setdefault(told, []).append(f"'{layer.name}'")
    for told, layers in named.items():
        if told < classes:
            effect = f"{_labels(told, classes)} of {file} are left out"
        elif told > classes:
            effect = f"{file} has no {_labels(classes, told)}: AP 0 in the mean"
        else:
            continue
        where = ", ".join(layers)
        yield f"num_classes is {told} in {where}: {effect}; set num_classes: {classes}"


def _num_classes(net: pb.NetParameter, layer: pb.LayerParameter) -> int:
    """The num_classes of a layer that should have one for each label; 0 for other layers.

    A DetectionEvaluate that differs from its DetectionOutput has a caution of its own.
    """
    if layer.type == "MultiBoxLoss":
        param = layer.multibox_loss_param
        return 0 if param.map_object_to_agnostic else param.num_classes
    if layer.type == "DetectionEvaluate":
        told = layer.detection_evaluate_param.num_classes
        output = _judged(net, layer)
        if output and output.detection_output_param.num_classes != told:
            return 0
        return told
    return layer.detection_output_param.num_classes


def _sizes(net: pb.NetParameter) -> Iterator[str]:
    """name_size files of another number of images than the data: boxes take wrong sizes."""
    images = read_images(net)
    if images is None:
        return
    for file, layer in name_size_files(net).items():
        count = listed(file)
        if count and count != images.count:
            what = f"lists {count} images, {images.source} has {images.count}"
            effect = "boxes are compared at the sizes of other images"
            remedy = f"it needs the same {images.count}, in the same order"
            yield f"layer '{layer}': name_size_file {file} {what}: {effect}; {remedy}"


def _result_files(net: pb.NetParameter) -> Iterator[str]:
    """num_test_image that is not the number of images: files of a part, or of none."""
    images = read_images(net)
    if images is None:
        return
    for layer in net.layer:
        saved = layer.detection_output_param.save_output_param
        told = saved.num_test_image
        if told and saved.output_directory and told != images.count:
            what = f"num_test_image is {told}, {images.source} has {images.count} images"
            effect = "result files are not those of all images"
            remedy = f"set num_test_image: {images.count}"
            yield f"layer '{layer.name}': {what}: {effect}; {remedy}"
