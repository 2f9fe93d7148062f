"""SSD's own layers: PriorBox, MultiBoxLoss, DetectionOutput, DetectionEvaluate."""

from __future__ import annotations

from ctypes import c_float

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules.checks import check, check_positive, count_blobs, legacy
from caffe_ir.rules.loss import loss_blobs
from caffe_ir.rules.registry import Facts, Layer, Shapes, rule, shape_text

NO_BACKGROUND = 0xFFFFFFFF  # -1 in an unsigned field


def aspect_ratios(param: pb.PriorBoxParameter) -> list[float]:
    """List the width/height ratios of a cell's boxes.

    The list has 1, then each new aspect_ratio and, with flip, its inverse. A ratio less than 1e-6
    from one already listed, inverses included, is left out together with its own inverse.
    Every number is a float32 and so is every difference, because the fork's list is a
    vector<float>: the inverse of 0.005 is exactly 200, so a 200 that follows is not new.
    The fork lists the inverse without checking that it is new. No float32 that is 1e-6 or more
    from 1 has an inverse nearer to 1, so Forward writes as many boxes as SetUp counts.
    param: the layer's fields, with positive ratios.
    Source: PriorBoxLayer::LayerSetUp, prior_box_layer.cpp of weiliu89/caffe (ssd).
    """
    known = _Ratios()
    known.add(1.0)
    for ratio in param.aspect_ratio:
        if known.has(ratio):
            continue
        known.add(ratio)
        if param.flip:
            known.add(_float32(1 / ratio))
    return known.all


class _Ratios:
    """Ratios in their order, and each in a cell of 1e-5 with the few that lie near it."""

    def __init__(self) -> None:
        self.all: list[float] = []
        self._cells: dict[int, list[float]] = {}

    def add(self, ratio: float) -> None:
        """Add a ratio, whether or not it is new."""
        self.all.append(ratio)
        self._cells.setdefault(_cell(ratio), []).append(ratio)

    def has(self, ratio: float) -> bool:
        """Return whether a ratio less than 1e-6 from this one was added."""
        cell = _cell(ratio)
        near = [known for i in (cell - 1, cell, cell + 1) for known in self._cells.get(i, ())]
        return any(abs(_float32(ratio - known)) < 1e-6 for known in near)


def _cell(ratio: float) -> int:
    """Return the number of a ratio's cell: of neighbours, where ratios are 1e-6 apart."""
    return int(min(ratio, 1e300) * 1e5)


def boxes_per_cell(param: pb.PriorBoxParameter) -> int:
    """Count the boxes that PriorBox sets around each cell.

    There is one per min_size and ratio, and a square one per max_size.
    Source: num_priors_ in PriorBoxLayer::LayerSetUp of weiliu89/caffe (ssd).
    """
    return len(aspect_ratios(param)) * len(param.min_size) + len(param.max_size)


def _float32(value: float) -> float:
    """Return the float32 nearest to value, infinite beyond the largest, as a cast in C does."""
    return c_float(value).value


@rule("PriorBox")
def prior_box(layer: Layer, bottoms: Shapes) -> Facts:
    """The top is 1 x 2 x 4 H W boxes_per_cell: corners, then variances.

    Bottoms: the map, and the image, which may be left out where a field gives its size.
    """
    param = layer.prior_box_param
    sized = any(param.HasField(name) for name in ("img_h", "img_w", "img_size"))
    least = 1 if sized else 2
    count_blobs(layer, bottoms, (least, 2))
    _check_boxes(layer)
    _check_pairs(layer)
    (_, _, height, width), *_ = [legacy(layer, shape) for shape in bottoms]
    return Facts([(1, 2, height * width * boxes_per_cell(param) * 4)])


def _check_boxes(layer: Layer) -> None:
    """Check the sizes, ratios and variances of PriorBox."""
    param = layer.prior_box_param
    check(param.min_size, layer, "min_size", "must be specified")
    sizes = all(0 < size < 1 << 31 for size in param.min_size)
    check(sizes, layer, "min_size", "must be positive, and a size in pixels")
    check(
        all(ratio > 0 for ratio in param.aspect_ratio),
        layer,
        "aspect_ratio",
        "must be positive",
    )
    if param.max_size:
        each = len(param.max_size) == len(param.min_size)
        check(each, layer, "max_size", "must be given for each min_size or none")
        pairs = list(zip(param.min_size, param.max_size, strict=True))
        larger = all(1 << 31 > large > small for small, large in pairs)
        check(larger, layer, "max_size", "must be larger than its min_size")
        check(
            all(int(small) * int(large) < 1 << 31 for small, large in pairs),
            layer,
            "max_size",
            "times its min_size must be below 2147483648, as Caffe multiplies them as ints",
        )
    count = len(param.variance)
    check(
        count in (0, 1, 4),
        layer,
        "variance",
        f"must be given once or 4 times, found {count}",
    )
    check(
        all(value > 0 for value in param.variance),
        layer,
        "variance",
        "must be positive",
    )


def _check_pairs(layer: Layer) -> None:
    """Check the image size and the step of PriorBox, one field or a pair of fields each."""
    param = layer.prior_box_param
    for single, pair in (
        ("img_size", ("img_h", "img_w")),
        ("step", ("step_h", "step_w")),
    ):
        both = f"{pair[0]} and {pair[1]}"
        if any(param.HasField(name) for name in pair):
            check(
                not param.HasField(single),
                layer,
                single,
                f"give either {single} or {both}",
            )
            positive = all(getattr(param, name) > 0 for name in pair)
            check(positive, layer, pair[0], f"{both} must be positive")
        elif param.HasField(single):
            check(getattr(param, single) > 0, layer, single, "must be positive")


def _predictions(
    layer: Layer,
    bottoms: Shapes,
    num_classes: int,
    share_location: bool,
) -> None:
    """Check that each prior has a box and a score per class.

    bottoms: location, confidence, priors.
    share_location: whether all classes share a prior's box.
    """
    location = legacy(layer, bottoms[0])
    confidence = legacy(layer, bottoms[1])
    differ = f"'{layer.bottom[0]}' and '{layer.bottom[1]}' differ in N"
    check(location[0] == confidence[0], layer, "bottom", differ)
    priors = legacy(layer, bottoms[2])[2] // 4
    boxes = 4 * priors
    if not share_location:
        boxes *= num_classes
    found = location[1]
    needed = f"{priors} priors need {boxes} values of location"
    message = f"{needed}, '{layer.bottom[0]}' has {found}"
    check(found == boxes, layer, "bottom", message)
    scores = priors * num_classes
    found = confidence[1]
    classes = f"{priors} priors of {num_classes} classes"
    needed = f"{classes} need {scores} values of confidence"
    message = f"{needed}, '{layer.bottom[1]}' has {found}"
    check(found == scores, layer, "bottom", message)


@rule("MultiBoxLoss")
def multibox_loss(layer: Layer, bottoms: Shapes) -> Facts:
    """The top is a scalar.

    Bottoms: location N x 4P, confidence N x P classes, priors 1 x 2 x 4P, ground truth
    1 x 1 x boxes x 8.
    """
    loss_blobs(layer, bottoms, 4)
    param = layer.multibox_loss_param
    mines = param.mining_type != pb.MultiBoxLossParameter.NONE
    check_positive(layer, "num_classes", param.num_classes)
    if param.HasField("do_neg_mining"):
        agrees = param.do_neg_mining == mines
        check(agrees, layer, "do_neg_mining", "contradicts mining_type; leave it out")
    check(
        param.share_location or not mines,
        layer,
        "share_location",
        "must be true for mining",
    )
    if param.conf_loss_type != pb.MultiBoxLossParameter.LOGISTIC:
        inside = param.background_label_id < param.num_classes
        message = f"must lie below num_classes, {param.num_classes}"
        check(inside, layer, "background_label_id", message)
    _predictions(layer, bottoms, param.num_classes, param.share_location)
    return Facts([()])


@rule("DetectionOutput")
def detection_output(layer: Layer, bottoms: Shapes) -> Facts:
    """The top is 1 x 1 x detections x 7: image, label, score, corners.

    Only a run of the net knows how many it finds; the shape here has 1, as in Caffe.
    Bottoms: location N x 4P, confidence N x P classes, priors 1 x 2 x 4P and, optionally, the
    images, to draw on.
    """
    count_blobs(layer, bottoms, (3, 4))
    param = layer.detection_output_param
    check_positive(layer, "num_classes", param.num_classes)
    check(
        param.nms_param.nms_threshold >= 0,
        layer,
        "nms_threshold",
        "must not be negative",
    )
    check(0 < param.nms_param.eta <= 1, layer, "eta", "must lie above 0 and not above 1")
    _predictions(layer, bottoms, param.num_classes, param.share_location)
    return Facts([(1, 1, 1, 7)])


@rule("DetectionEvaluate")
def detection_evaluate(layer: Layer, bottoms: Shapes) -> Facts:
    """The top is 1 x 1 x (classes without background + D) x 5.

    A row holds image, label, score, true and false positive. Every row of the first bottom counts
    as a detection, as in Caffe's set-up.
    Bottoms: detections 1 x 1 x D x 7, ground truth 1 x 1 x G x 8.
    """
    count_blobs(layer, bottoms, 2)
    param = layer.detection_evaluate_param
    check_positive(layer, "num_classes", param.num_classes)
    check(param.overlap_threshold > 0, layer, "overlap_threshold", "must be positive")
    shapes = [legacy(layer, shape) for shape in bottoms]
    for name, shape, values in zip(layer.bottom, shapes, (7, 8), strict=True):
        num, channels, _, width = shape
        fits = (num, channels, width) == (1, 1, values)
        message = f"'{name}' must be 1x1xRx{values}, found {shape_text(shape)}"
        check(fits, layer, "bottom", message)
    no_background = param.background_label_id == NO_BACKGROUND
    # Beyond the classes, the fork would write its last row past the end of its top.
    known = no_background or param.background_label_id < param.num_classes
    below = f"must lie below num_classes, {param.num_classes}"
    message = f"{below}, or be {NO_BACKGROUND} for none"
    check(known, layer, "background_label_id", message)
    classes = param.num_classes
    if not no_background:
        classes -= 1
    return Facts([(1, 1, classes + shapes[0][2], 5)])
