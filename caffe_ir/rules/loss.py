"""Losses and Accuracy: scalars, whose shape is ()."""

from __future__ import annotations

from collections.abc import Sequence

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules.checks import axis_of, bottom_text, check, count, count_blobs, legacy
from caffe_ir.rules.registry import Facts, Shape, rule, shape_text


def is_loss(layer: pb.LayerParameter) -> bool:
    """Whether a layer is a loss to Caffe: its first top weighs 1 where it does not say, and gets a name where it has none.

    Source: LossLayer, which every type that ends in Loss derives from.
    """
    return layer.type.endswith("Loss")


def loss_blobs(layer: pb.LayerParameter, bottoms: Sequence[Shape], bottom: int | tuple[int, int] = 2, most_tops: int = 1) -> None:
    """What every loss checks: its blobs (the top may be left out), and that predictions and labels have the same first size."""
    count_blobs(layer, bottoms, bottom, (0, most_tops))
    alike = bottoms[0][:1] == bottoms[1][:1] and bottoms[0]
    check(alike, layer, "bottom", f"{_both(layer, bottoms)} differ in N")


def _both(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> str:
    """The first two bottoms as messages name them."""
    return f"{bottom_text(layer, bottoms, 0)} and {bottom_text(layer, bottoms, 1)}"


def _labels(layer: pb.LayerParameter, bottoms: Sequence[Shape], axis: int) -> int:
    """The canonical class axis, after checking that there is a label for each prediction along it."""
    axis = axis_of(layer, bottoms[0], axis, "axis")
    predictions = count(bottoms[0][:axis]) * count(bottoms[0][axis + 1 :])
    labels = count(bottoms[1])
    found = f"{predictions} predictions in {shape_text(bottoms[0])} along axis {axis}"
    check(predictions == labels, layer, "bottom", f"{found}, but {labels} labels")
    return axis


@rule("SoftmaxWithLoss")
def softmax_loss(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """A scalar, and the probabilities as a second top. Bottoms: logits, labels."""
    loss_blobs(layer, bottoms, most_tops=2)
    _labels(layer, bottoms, layer.softmax_param.axis)
    return Facts([(), bottoms[0]][: max(1, len(layer.top))])


@rule("FocalLoss")
def focal_loss(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """As SoftmaxWithLoss. Source: lzx1413/CAFFE_SSD focal_loss_layer.cpp."""
    check(layer.focal_loss_param.gamma >= 0, layer, "gamma", "must be 0 or more")
    check(layer.focal_loss_param.alpha > 0, layer, "alpha", "must be positive")
    return softmax_loss(layer, bottoms)


@rule("EuclideanLoss", "SigmoidCrossEntropyLoss")
def paired_loss(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """A scalar. Bottoms: predictions and targets, as many values each."""
    loss_blobs(layer, bottoms)
    alike = count(bottoms[0]) == count(bottoms[1])
    check(alike, layer, "bottom", f"{_both(layer, bottoms)} differ in size")
    return Facts([()])


@rule("SmoothL1Loss")
def smooth_l1_loss(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """A scalar. Bottoms: predictions, targets and, optionally, weights, all of one shape. Source: smooth_L1_loss_layer.cpp of SSD."""
    loss_blobs(layer, bottoms, (2, 3))
    for name, shape in zip(layer.bottom[1:], bottoms[1:], strict=True):
        alike = legacy(layer, shape)[1:] == legacy(layer, bottoms[0])[1:]
        both = f"{bottom_text(layer, bottoms, 0)} and '{name}' {shape_text(shape)}"
        check(alike, layer, "bottom", f"{both} must be alike")
    return Facts([()])


@rule("ContrastiveLoss")
def contrastive_loss(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """A scalar. Bottoms: features N x C of two sides, and N labels (similar or not)."""
    loss_blobs(layer, bottoms, 3)
    left, right, labels = (legacy(layer, shape)[1:] for shape in bottoms)
    found = f"{shape_text(bottoms[0])} and {shape_text(bottoms[1])}"
    check(left == right == (left[0], 1, 1), layer, "bottom", f"features must be NxC, found {found}")
    check(labels == (1, 1, 1), layer, "bottom", f"'{layer.bottom[2]}' must be N, found {shape_text(bottoms[2])}")
    return Facts([()])


@rule("HingeLoss")
def hinge_loss(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """A scalar. Bottoms: scores, labels."""
    loss_blobs(layer, bottoms)
    return Facts([()])


@rule("MultinomialLogisticLoss", "InfogainLoss")
def probability_loss(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """A scalar. Bottoms: probabilities, N labels; InfogainLoss also takes its matrix, as a third bottom or a file."""
    infogain = layer.type == "InfogainLoss"
    loss_blobs(layer, bottoms, (2, 3) if infogain else 2)
    check(legacy(layer, bottoms[1])[1:] == (1, 1, 1), layer, "bottom", f"'{layer.bottom[1]}' must be N, found {shape_text(bottoms[1])}")
    if infogain and len(bottoms) == 2:
        check(layer.infogain_loss_param.HasField("source"), layer, "source", "or a third bottom must give the matrix")
    elif infogain:
        classes = count(bottoms[0][1:])
        fits = legacy(layer, bottoms[2]) == (1, 1, classes, classes)
        check(fits, layer, "bottom", f"'{layer.bottom[2]}' must be 1x1x{classes}x{classes}, found {shape_text(bottoms[2])}")
    return Facts([()])


@rule("Accuracy")
def accuracy(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """A scalar, and the accuracy per class as a second top. Bottoms: scores, labels."""
    count_blobs(layer, bottoms, 2, (1, 2))
    axis = _labels(layer, bottoms, layer.accuracy_param.axis)
    classes = bottoms[0][axis]
    check(layer.accuracy_param.top_k <= classes, layer, "top_k", f"must not exceed the {classes} classes")
    return Facts([(), (classes,)][: len(layer.top)])
