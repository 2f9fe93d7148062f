"""The multibox head over any list of source maps, its loss, and its detections (Liu et al. 2016, §2)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from caffe_ir.rules.focal_loss import CLASS, MODULE
from netgen.blocks.convolution import conv, l2_norm
from netgen.graph import Blob, Net
from netgen.heads.priors import VARIANCE, Priors
from ssd_common.errors import CaffeError


@dataclass(frozen=True)
class Source:
    """A map that heads look at.

    step: pixels between the centres of its prior boxes; 0 leaves it to PriorBox (image / cells). across: from column to column, where that
    is not the same. offset: of the first centre, in steps. name: of its heads, the blob's where left out. kernel_size: of its heads; 0
    leaves it to them. l2_scale: what a learned factor per channel starts from, after L2 normalisation; 0 for a map that is not normalised.
    """

    blob: Blob
    step: float = 0
    offset: float = 0.5
    across: float = 0
    name: str = ""
    kernel_size: int = 0
    l2_scale: float = 0

    @property
    def head_name(self) -> str:
        return self.name or self.blob.name


@dataclass(frozen=True)
class Suppression:
    """Which boxes are left as detections: those of a score above `confidence`, the top_k best of each class and image of them without
    those that overlap a better one by more than nms_threshold, the keep_top_k best of an image. The defaults are SSD's (§3)."""

    nms_threshold: float = 0.45
    top_k: int = 400
    keep_top_k: int = 200
    confidence: float = 0.01


SSD_SUPPRESSION = Suppression()


class Predictions(NamedTuple):
    """What the heads give: loc N×(4·boxes), conf N×(classes·boxes), boxes 1×2×(4·boxes): corners, then variances."""

    loc: Blob
    conf: Blob
    boxes: Blob


def pixel_step(image: Blob, x: Blob) -> int:
    """Stride of a map in pixels, the power of two by which the image was halved on the way (300 → 38: 8)."""
    step = 1
    while -(-max(image.size) // step) > max(x.size):
        step *= 2
    return step


def predictor(net: Net, name: str, x: Blob, num_output: int, *, lr_mult: float = 1, kernel_size: int = 3) -> Blob:
    """SSD's head on one map: a 3×3 convolution."""
    return conv(net, name, x, num_output, kernel_size, pad=kernel_size // 2, stride=1, lr_mult=lr_mult)


def multibox_head(
    net: Net,
    image: Blob,
    sources: Sequence[Source],
    priors: Sequence[Priors],
    num_classes: int,
    *,
    lr_mult: float = 1,
    predict: Callable[..., Blob] = predictor,
    suffix: str = "",
    grouped: bool = False,
    clip: bool = False,
) -> Predictions:
    """A convolution for offsets and one for classes on each source, and its prior boxes, each kind concatenated.

    Boxes come in the order of sources, rows, columns, and priors of a cell. num_classes counts the background.
    predict: what makes a map of so many channels, called as `predictor` is. suffix: of the heads' names. grouped: all predictions before
    the layers that only arrange them, as the DSSD fork writes them. clip: cut prior boxes at the image's border.
    Raises CaffeError where sources and priors differ in number.
    """
    if len(sources) != len(priors):
        maps = ", ".join(f"{s.blob.name} ({s.blob.size[0]}x{s.blob.size[1]})" for s in sources)
        raise CaffeError(f"there are {len(sources)} source maps, {maps}, but prior boxes for {len(priors)}: choose another input size")

    def arrange(y: Blob) -> Blob:
        name = y.name
        y = net.add("Permute", f"{name}_perm", y, order=[0, 2, 3, 1])  # N×H×W×C: a cell's values lie together
        return net.add("Flatten", f"{name}_flat", y, axis=1)

    kinds: dict[str, list[Blob]] = {"loc": [], "conf": [], "priorbox": []}
    for source, prior in zip(sources, priors, strict=True):
        if source.l2_scale:
            source = replace(source, blob=l2_norm(net, f"{source.blob.name}_norm", source.blob, source.l2_scale))  # noqa: PLW2901
        kernel = {"kernel_size": source.kernel_size} if source.kernel_size else {}
        for kind, values in (("loc", 4), ("conf", num_classes)):
            name = f"{source.head_name}_mbox_{kind}{suffix}"
            y = predict(net, name, source.blob, prior.count * values, lr_mult=lr_mult, **kernel)
            kinds[kind].append(y if grouped else arrange(y))
        kinds["priorbox"].append(prior_box(net, image, source, prior, clip=clip))
    found = []
    for kind, blobs in kinds.items():
        arranged = [arrange(y) for y in blobs] if grouped and kind != "priorbox" else blobs
        found.append(net.add("Concat", f"mbox_{kind}", *arranged, axis=2 if kind == "priorbox" else 1))
    return Predictions(*found)


def prior_box(net: Net, image: Blob, source: Source, prior: Priors, *, clip: bool = False) -> Blob:
    """The prior boxes of every cell of a source's map: 1×2×(4·boxes)."""
    box = prior.fields | {"variance": VARIANCE}
    if source.across and source.across != source.step:
        box["step_h"], box["step_w"] = source.step, source.across
    elif source.step:
        box["step"] = source.step
    name = f"{source.head_name}_mbox_priorbox"
    return net.add("PriorBox", name, source.blob, image, clip=clip, offset=source.offset, **box)


def multibox_loss(net: Net, predictions: Predictions, label: Blob, num_classes: int, *, train_on_difficult: bool = True) -> Blob:
    """SSD's loss (§2.2): smooth L1 over matched boxes, softmax over them and three negatives each, over the number of matches."""
    neg_pos_ratio = 3
    return net.add(
        "MultiBoxLoss",
        "mbox_loss",
        *predictions,
        label,
        include={"phase": "TRAIN"},
        propagate_down=[True, True, False, False],
        loss_param={"normalization": "VALID"},
        loc_loss_type="SMOOTH_L1",
        conf_loss_type="SOFTMAX",
        loc_weight=(neg_pos_ratio + 1) / 4,  # offsets weigh as much as a positive and its negatives together, a quarter each
        num_classes=num_classes,
        share_location=True,
        match_type="PER_PREDICTION",
        overlap_threshold=0.5,
        use_prior_for_matching=True,
        background_label_id=0,
        use_difficult_gt=train_on_difficult,
        neg_pos_ratio=neg_pos_ratio,
        neg_overlap=0.5,
        code_type="CENTER_SIZE",
        ignore_cross_boundary_bbox=False,
        mining_type="MAX_NEGATIVE",
    )


def focal_loss(
    net: Net,
    predictions: Predictions,
    label: Blob,
    num_classes: int,
    *,
    train_on_difficult: bool = True,
    alpha: float = 0.25,
    gamma: float = 2,
    loc_weight: float = 1,
) -> Blob:
    """Sigmoid focal loss of every box and class (Lin et al. 2017), smooth L1 over matched boxes, over the number of matches.

    Stock Caffe has no such layer: it is a Python layer, whose file (`python_layers/ssd_focal_loss.py`) is written beside the net.
    """
    options = {"num_classes": num_classes, "alpha": alpha, "gamma": gamma, "loc_weight": loc_weight, "use_difficult_gt": train_on_difficult}
    return net.add(
        "Python",
        "mbox_loss",
        *predictions,
        label,
        include={"phase": "TRAIN"},
        propagate_down=[True, True, False, False],
        loss_weight=1,  # pycaffe's layers are no losses of themselves
        module=MODULE,
        layer=CLASS,
        param_str=json.dumps(options),
    )


def detection_output(
    net: Net,
    predictions: Predictions,
    num_classes: int,
    save: dict | None,
    suppression: Suppression = SSD_SUPPRESSION,
    *,
    sigmoid: bool = False,
) -> Blob:
    """Softmax over each box's classes, then non-maximum suppression: 1×1×K×7 rows of image, label, score, box.

    save: SaveOutputParameter's fields, or None to write no files. sigmoid: each class's score by itself, as the focal loss has it.
    """
    fields: dict[str, Any] = {"save_output_param": save} if save else {}
    if sigmoid:
        conf = net.add("Sigmoid", "mbox_conf_sigmoid", predictions.conf)
    else:
        conf = net.add("Reshape", "mbox_conf_reshape", predictions.conf, shape={"dim": [0, -1, num_classes]})
        conf = net.add("Softmax", "mbox_conf_softmax", conf, axis=2)
        conf = net.add("Flatten", "mbox_conf_flatten", conf, axis=1)
    return net.add(
        "DetectionOutput",
        "detection_out",
        predictions.loc,
        conf,
        predictions.boxes,
        include={"phase": "TEST"},
        num_classes=num_classes,
        share_location=True,
        background_label_id=0,
        nms_param={"nms_threshold": suppression.nms_threshold, "top_k": suppression.top_k},
        code_type="CENTER_SIZE",
        keep_top_k=suppression.keep_top_k,
        confidence_threshold=suppression.confidence,
        **fields,
    )


def detection_evaluate(
    net: Net, detections: Blob, label: Blob, num_classes: int, name_size_file: str, *, overlap_threshold: float = 0.5
) -> Blob:
    """True and false positives of each class, for the solver's mAP; difficult objects do not count."""
    return net.add(
        "DetectionEvaluate",
        "detection_eval",
        detections,
        label,
        include={"phase": "TEST"},
        num_classes=num_classes,
        background_label_id=0,
        overlap_threshold=overlap_threshold,
        evaluate_difficult_gt=False,
        name_size_file=name_size_file,
    )
