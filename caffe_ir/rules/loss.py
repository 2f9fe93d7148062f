"""Losses and Accuracy: scalars, whose shape is ()."""

from __future__ import annotations

from caffe_ir.rules.checks import (
    axis_of,
    bottom_text,
    check,
    check_bottom,
    count,
    count_blobs,
    legacy,
)
from caffe_ir.rules.registry import Facts, Layer, Shapes, rule, shape_text


def is_loss(layer: Layer) -> bool:
    """Tell whether Caffe treats a layer as a loss.

    The first top of a loss has weight 1 by default, and gets a name where it has none.
    Source: LossLayer, which every type that ends in Loss derives from.
    """
    return layer.type.endswith("Loss")


def loss_blobs(
    layer: Layer,
    bottoms: Shapes,
    bottom: int | tuple[int, int] = 2,
    most_tops: int = 1,
) -> None:
    """Check a loss's numbers of blobs, and that its first two bottoms agree in N.

    The top may be left out.
    bottom: the number of bottoms, or (least, most).
    """
    count_blobs(layer, bottoms, bottom, (0, most_tops))
    alike = bottoms[0][:1] == bottoms[1][:1] and bottoms[0]
    check(alike, layer, "bottom", f"{_both(layer, bottoms)} differ in N")


def _both(layer: Layer, bottoms: Shapes) -> str:
    """Name the first two bottoms for messages."""
    first = bottom_text(layer, bottoms, 0)
    second = bottom_text(layer, bottoms, 1)
    return f"{first} and {second}"


def _labels(layer: Layer, bottoms: Shapes, axis: int) -> int:
    """Check that each prediction has a label, and return the class axis, counted from the front."""
    axis = axis_of(layer, bottoms[0], axis, "axis")
    predictions = count(bottoms[0][:axis]) * count(bottoms[0][axis + 1 :])
    labels = count(bottoms[1])
    scores = shape_text(bottoms[0])
    found = f"{predictions} predictions in {scores} along axis {axis}"
    check(predictions == labels, layer, "bottom", f"{found}, but {labels} labels")
    return axis


@rule("SoftmaxWithLoss")
def softmax_loss(layer: Layer, bottoms: Shapes) -> Facts:
    """The tops are a scalar and, optionally, the probabilities. Bottoms: logits, labels."""
    loss_blobs(layer, bottoms, most_tops=2)
    _labels(layer, bottoms, layer.softmax_param.axis)
    return Facts([(), bottoms[0]][: max(1, len(layer.top))])


@rule("FocalLoss")
def focal_loss(layer: Layer, bottoms: Shapes) -> Facts:
    """The tops are those of SoftmaxWithLoss.

    Source: lzx1413/CAFFE_SSD focal_loss_layer.cpp.
    """
    param = layer.focal_loss_param
    check(param.gamma >= 0, layer, "gamma", "must be 0 or more")
    check(param.alpha > 0, layer, "alpha", "must be positive")
    return softmax_loss(layer, bottoms)


@rule("EuclideanLoss", "SigmoidCrossEntropyLoss")
def paired_loss(layer: Layer, bottoms: Shapes) -> Facts:
    """The top is a scalar. Bottoms: predictions and targets, with equally many values."""
    loss_blobs(layer, bottoms)
    alike = count(bottoms[0]) == count(bottoms[1])
    check(alike, layer, "bottom", f"{_both(layer, bottoms)} differ in size")
    return Facts([()])


@rule("SmoothL1Loss")
def smooth_l1_loss(layer: Layer, bottoms: Shapes) -> Facts:
    """The top is a scalar.

    Bottoms: predictions, targets and, optionally, weights, all of one shape.
    Source: weiliu89/caffe smooth_L1_loss_layer.cpp.
    """
    loss_blobs(layer, bottoms, (2, 3))
    for name, shape in zip(layer.bottom[1:], bottoms[1:], strict=True):
        alike = legacy(layer, shape)[1:] == legacy(layer, bottoms[0])[1:]
        first = bottom_text(layer, bottoms, 0)
        both = f"{first} and '{name}' {shape_text(shape)}"
        check(alike, layer, "bottom", f"{both} must be alike")
    return Facts([()])


@rule("ContrastiveLoss")
def contrastive_loss(layer: Layer, bottoms: Shapes) -> Facts:
    """The top is a scalar. Bottoms: features N x C of two sides, and N labels (similar or not)."""
    loss_blobs(layer, bottoms, 3)
    left, right, labels = (legacy(layer, shape)[1:] for shape in bottoms)
    found = f"{shape_text(bottoms[0])} and {shape_text(bottoms[1])}"
    check(
        left == right == (left[0], 1, 1),
        layer,
        "bottom",
        f"features must be NxC, found {found}",
    )
    check_bottom(labels == (1, 1, 1), layer, bottoms, 2, "N")
    return Facts([()])


@rule("HingeLoss")
def hinge_loss(layer: Layer, bottoms: Shapes) -> Facts:
    """The top is a scalar. Bottoms: scores, labels."""
    loss_blobs(layer, bottoms)
    return Facts([()])


@rule("MultinomialLogisticLoss", "InfogainLoss")
def probability_loss(layer: Layer, bottoms: Shapes) -> Facts:
    """The top is a scalar.

    Bottoms: probabilities, N labels. InfogainLoss also takes its matrix, as a third bottom or a
    file.
    """
    infogain = layer.type == "InfogainLoss"
    most = 3 if infogain else 2
    loss_blobs(layer, bottoms, (2, most))
    single = legacy(layer, bottoms[1])[1:] == (1, 1, 1)
    check_bottom(single, layer, bottoms, 1, "N")
    if infogain:
        _check_infogain(layer, bottoms)
    return Facts([()])


def _check_infogain(layer: Layer, bottoms: Shapes) -> None:
    """Check the matrix of InfogainLoss: a file, or a third bottom of classes x classes."""
    if len(bottoms) == 2:
        named = layer.infogain_loss_param.HasField("source")
        check(named, layer, "source", "or a third bottom must give the matrix")
        return
    classes = count(bottoms[0][1:])
    fits = legacy(layer, bottoms[2]) == (1, 1, classes, classes)
    check_bottom(fits, layer, bottoms, 2, f"1x1x{classes}x{classes}")


@rule("Accuracy")
def accuracy(layer: Layer, bottoms: Shapes) -> Facts:
    """The tops are a scalar and, optionally, the accuracy per class. Bottoms: scores, labels."""
    count_blobs(layer, bottoms, 2, (1, 2))
    axis = _labels(layer, bottoms, layer.accuracy_param.axis)
    classes = bottoms[0][axis]
    fits = layer.accuracy_param.top_k <= classes
    check(fits, layer, "top_k", f"must not exceed the {classes} classes")
    return Facts([(), (classes,)][: len(layer.top)])
