"""SSD's own layers: PriorBox, MultiBoxLoss, DetectionOutput, DetectionEvaluate."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import c_float

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules.checks import check, count_blobs, legacy
from caffe_ir.rules.loss import loss_blobs
from caffe_ir.rules.registry import Facts, Shape, rule, shape_text

NO_BACKGROUND = 0xFFFFFFFF  # -1 in a field without sign


def aspect_ratios(param: pb.PriorBoxParameter) -> list[float]:
    """Width/height ratios of a cell's boxes: 1, then each new aspect_ratio and, with flip, its inverse.

    A ratio less than 1e-6 from one already listed, inverses included, is left out together with
    its own inverse. Every number is a float32 and so is every difference, as in the fork, whose
    list is a vector<float>: after 0.005 its inverse is 200 exactly, and a 200 that follows is old.
    The fork lists the inverse without looking whether it is old; no float32 that is 1e-6 or more
    from 1 has an inverse nearer to 1, so the boxes that Forward writes are as many as SetUp counts.
    param: the layer's fields, with positive ratios.
    Source: PriorBoxLayer::LayerSetUp, prior_box_layer.cpp of weiliu89/caffe (ssd).
    """
    ratios = [1.0]
    for ratio in param.aspect_ratio:
        if any(abs(_float32(ratio - known)) < 1e-6 for known in ratios):
            continue
        ratios.append(ratio)
        if param.flip:
            ratios.append(_float32(1 / ratio))
    return ratios


def boxes_per_cell(param: pb.PriorBoxParameter) -> int:
    """How many boxes PriorBox sets around each cell: one per min_size and ratio, and a square one per max_size.

    Source: num_priors_ in PriorBoxLayer::LayerSetUp of weiliu89/caffe (ssd).
    """
    return len(aspect_ratios(param)) * len(param.min_size) + len(param.max_size)


def _float32(value: float) -> float:
    """The float32 nearest to value; infinite beyond the largest, as a cast in C."""
    return c_float(value).value


@rule("PriorBox")
def prior_box(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """1 x 2 x 4 H W boxes_per_cell: corners, then variances. Bottoms: the map, and the image where img_size is not given."""
    param = layer.prior_box_param
    sided = param.HasField("img_h") or param.HasField("img_w")
    count_blobs(layer, bottoms, (1 if sided or param.HasField("img_size") else 2, 2))
    check(param.min_size, layer, "min_size", "must be specified")
    check(all(0 < size < 1 << 31 for size in param.min_size), layer, "min_size", "must be positive, and a size in pixels")
    check(all(ratio > 0 for ratio in param.aspect_ratio), layer, "aspect_ratio", "must be positive")
    if param.max_size:
        check(len(param.max_size) == len(param.min_size), layer, "max_size", "must be given for each min_size or none")
        larger = all(1 << 31 > large > small for small, large in zip(param.min_size, param.max_size, strict=True))
        check(larger, layer, "max_size", "must be larger than its min_size")
    check(len(param.variance) in (0, 1, 4), layer, "variance", f"must be given once or 4 times, found {len(param.variance)}")
    check(all(value > 0 for value in param.variance), layer, "variance", "must be positive")
    for single, pair in (("img_size", ("img_h", "img_w")), ("step", ("step_h", "step_w"))):
        if any(param.HasField(name) for name in pair):
            check(not param.HasField(single), layer, single, f"give either {single} or {pair[0]} and {pair[1]}")
            check(all(getattr(param, name) > 0 for name in pair), layer, pair[0], f"{pair[0]} and {pair[1]} must be positive")
        elif param.HasField(single):
            check(getattr(param, single) > 0, layer, single, "must be positive")
    (_, _, height, width), *_ = [legacy(layer, shape) for shape in bottoms]
    return Facts([(1, 2, height * width * boxes_per_cell(param) * 4)])


def _predictions(layer: pb.LayerParameter, bottoms: Sequence[Shape], num_classes: int, share_location: bool) -> None:
    """Check that there is a box and a score per class for each prior."""
    location, confidence = legacy(layer, bottoms[0]), legacy(layer, bottoms[1])
    check(location[0] == confidence[0], layer, "bottom", f"'{layer.bottom[0]}' and '{layer.bottom[1]}' differ in N")
    priors = legacy(layer, bottoms[2])[2] // 4
    boxes = 4 * priors * (1 if share_location else num_classes)
    name, found = layer.bottom[0], location[1]
    check(found == boxes, layer, "bottom", f"{priors} priors need {boxes} values of location, '{name}' has {found}")
    name, found, scores = layer.bottom[1], confidence[1], priors * num_classes
    needed = f"{priors} priors of {num_classes} classes need {scores} values of confidence"
    check(found == scores, layer, "bottom", f"{needed}, '{name}' has {found}")


@rule("MultiBoxLoss")
def multibox_loss(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """A scalar. Bottoms: location N x 4P, confidence N x P classes, priors 1 x 2 x 4P, ground truth 1 x 1 x boxes x 8."""
    loss_blobs(layer, bottoms, 4)
    param = layer.multibox_loss_param
    mines = param.mining_type != pb.MultiBoxLossParameter.NONE
    check(param.num_classes >= 1, layer, "num_classes", "must be specified and positive")
    if param.HasField("do_neg_mining"):
        check(param.do_neg_mining == mines, layer, "do_neg_mining", "contradicts mining_type; leave it out")
    check(param.share_location or not mines, layer, "share_location", "must be true for mining")
    if param.conf_loss_type != pb.MultiBoxLossParameter.LOGISTIC:
        inside = param.background_label_id < param.num_classes
        check(inside, layer, "background_label_id", f"must lie below num_classes, {param.num_classes}")
    _predictions(layer, bottoms, param.num_classes, param.share_location)
    return Facts([()])


@rule("DetectionOutput")
def detection_output(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """1 x 1 x detections x 7: image, label, score, corners; how many is known only when it runs, so 1 is given, as Caffe does.

    Bottoms: location N x 4P, confidence N x P classes, priors 1 x 2 x 4P and, optionally, the images (to draw on).
    """
    count_blobs(layer, bottoms, (3, 4))
    param = layer.detection_output_param
    check(param.num_classes >= 1, layer, "num_classes", "must be specified and positive")
    check(param.nms_param.nms_threshold >= 0, layer, "nms_threshold", "must not be negative")
    check(0 < param.nms_param.eta <= 1, layer, "eta", "must lie above 0 and not above 1")
    _predictions(layer, bottoms, param.num_classes, param.share_location)
    return Facts([(1, 1, 1, 7)])


@rule("DetectionEvaluate")
def detection_evaluate(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """1 x 1 x (classes without background + detections) x 5: image, label, score, true and false positive.

    Bottoms: detections 1 x 1 x D x 7, ground truth 1 x 1 x G x 8. Every row is counted as a detection, as Caffe does at set-up.
    """
    count_blobs(layer, bottoms, 2)
    param = layer.detection_evaluate_param
    check(param.num_classes >= 1, layer, "num_classes", "must be specified and positive")
    check(param.overlap_threshold > 0, layer, "overlap_threshold", "must be positive")
    shapes = [legacy(layer, shape) for shape in bottoms]
    for name, (num, channels, _, width), values in zip(layer.bottom, shapes, (7, 8), strict=True):
        fits = (num, channels, width) == (1, 1, values)
        check(fits, layer, "bottom", f"'{name}' must be 1x1xRx{values}, found {shape_text((num, channels, _, width))}")
    no_background = param.background_label_id == NO_BACKGROUND
    # Beyond the classes, the fork would write its last row past the end of its top.
    known = no_background or param.background_label_id < param.num_classes
    check(known, layer, "background_label_id", f"must lie below num_classes, {param.num_classes}, or be {NO_BACKGROUND} for none")
    return Facts([(1, 1, param.num_classes - (not no_background) + shapes[0][2], 5)])
