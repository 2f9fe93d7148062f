"""The focal loss of SSD-style detectors as a Python layer of Caffe (`type: "Python"`): forward and backward in NumPy.

One file that needs nothing but NumPy and pycaffe, in Python 2.7 or 3: netgen writes it beside the nets that use it, and their
train.sh puts it on PYTHONPATH. Caffe must be built WITH_PYTHON_LAYER := 1, and runs Python layers on one GPU only.
netrun has a layer of its own for it.

Bottoms: loc (N, 4 P), logits (N, C P), prior boxes (1, 2, 4 P), labels (1, 1, R, 8). Top: the loss, a scalar. param_str, in JSON:
num_classes C, alpha, gamma, loc_weight, overlap_threshold, background_label_id, use_difficult_gt (all but the first may be left out).

Each prior box learns the object that SSD's matching gives it (Liu et al. 2016, section 2.2). Every box and class is a sigmoid of its own,
whose target is 1 for the class of a box's object and 0 else, for boxes without an object in every class (TensorFlow's Object Detection
API: encode_background_as_zeros); its loss is -alpha_t (1 - p_t)^gamma log p_t (Lin et al. 2017, "Focal Loss for Dense Object
Detection", equation 5). Smooth L1 of the matched boxes' offsets comes to it, loc_weight times; the sum is divided by the number of
matched boxes in the batch, at least 1.
"""

from __future__ import division

import json

import numpy as np

try:
    from caffe import Layer
except ImportError as error:
    WHY = str(error)

    class Layer(object):  # type: ignore[no-redef]
        """In place of pycaffe's, where the functions are wanted alone."""

        def __init__(self, *given):
            if given:
                raise ImportError("Caffe runs this layer, but pycaffe cannot be imported: " + WHY)


DEFAULTS = {
    "alpha": 0.25,
    "gamma": 2.0,
    "loc_weight": 1.0,
    "overlap_threshold": 0.5,
    "background_label_id": 0,
    "use_difficult_gt": True,
}
SMALLEST_OVERLAP = 1e-6  # an IoU up to this is none


class SSDFocalLoss(Layer):
    """The layer as Caffe calls it."""

    def setup(self, bottom, top):
        self.options = read_options(self.param_str)
        if len(bottom) != 4 or len(top) != 1:
            raise ValueError("SSDFocalLoss takes loc, logits, prior boxes and labels, and gives one loss")

    def reshape(self, bottom, top):
        top[0].reshape()

    def forward(self, bottom, top):
        values = [bottom[index].data for index in range(4)]  # Boost cannot iterate over pycaffe's blobs
        loss, self.gradients = focal_loss(*values, **self.options)
        top[0].data[...] = loss

    def backward(self, top, propagate_down, bottom):
        weight = float(top[0].diff)
        for index, gradient in enumerate(self.gradients):
            if propagate_down[index]:
                bottom[index].diff[...] = weight * gradient


def read_options(text):
    """The options in a param_str. Raises ValueError for one that there is not, and without num_classes."""
    given = json.loads(text)
    unknown = sorted(set(given) - set(DEFAULTS) - {"num_classes"})
    if unknown:
        raise ValueError("SSDFocalLoss has no option %s" % unknown[0])
    if "num_classes" not in given:
        raise ValueError("SSDFocalLoss: param_str needs num_classes")
    return dict(DEFAULTS, **given)


def focal_loss(
    loc,
    logits,
    priors,
    labels,
    num_classes,
    alpha=0.25,
    gamma=2.0,
    loc_weight=1.0,
    overlap_threshold=0.5,
    background_label_id=0,
    use_difficult_gt=True,
):
    """The loss of a batch, and its gradients by loc and logits, in their shapes."""
    images = len(loc)
    boxes, variances = np.asarray(priors, np.float32).reshape(2, -1, 4)
    offsets = np.asarray(loc, np.float32).reshape(images, len(boxes), 4)
    scores = np.asarray(logits, np.float32).reshape(images, len(boxes), num_classes)
    offset_gradient, score_gradient = np.zeros_like(offsets), np.empty_like(scores)
    rows = np.asarray(labels, np.float32).reshape(-1, 8)
    if not use_difficult_gt:
        rows = rows[rows[:, 7] == 0]
    classes = rows[rows[:, 0] >= 0, 1]
    if ((classes < 0) | (classes >= num_classes) | (classes == background_label_id)).any():
        raise ValueError("SSDFocalLoss: an object's label is below %d and not the background's" % num_classes)
    total, matches = 0.0, 0
    for image in range(images):
        objects = rows[rows[:, 0] == image]
        found = match(boxes, objects[:, 3:7], overlap_threshold)
        places = np.flatnonzero(found >= 0)
        found = found[places]
        matches += len(places)

        loss, score_gradient[image] = focal_terms(-scores[image], 1 - alpha, gamma)  # all targets 0, then those that are 1
        score_gradient[image] *= -1
        at = places, objects[found, 1].astype(int)
        instead, gradient = focal_terms(scores[image][at], alpha, gamma)
        loss[at], score_gradient[image][at] = instead, gradient

        difference = offsets[image, places] - encode(objects[found, 3:7], boxes[places], variances[places])
        distance = np.abs(difference)
        smooth = np.where(distance < 1, 0.5 * difference**2, distance - 0.5)
        offset_gradient[image, places] = loc_weight * np.clip(difference, -1, 1)
        total += loss.sum(dtype=np.float64) + loc_weight * smooth.sum(dtype=np.float64)
    divisor = max(1, matches)
    gradients = [(g / np.float32(divisor)).reshape(b.shape) for g, b in ((offset_gradient, loc), (score_gradient, logits))]
    return total / divisor, gradients


def focal_terms(u, alpha, gamma):
    """-alpha (1 - p)^gamma log p of p = sigmoid(u), and its derivative by u."""
    tail = np.exp(-np.abs(u))
    log_p = np.minimum(u, 0) - np.log1p(tail)
    rest = np.where(u < 0, 1, tail) / (1 + tail)  # 1 - p
    weight = np.float32(alpha) * rest ** np.float32(gamma)
    return -weight * log_p, weight * (np.float32(gamma) * (1 - rest) * log_p - rest)


def encode(objects, boxes, variances):
    """Centre offsets in prior sizes and logarithms of size ratios, over the variances (CENTER_SIZE)."""
    size, object_size = boxes[:, 2:] - boxes[:, :2], objects[:, 2:] - objects[:, :2]
    shift = (objects[:, :2] + objects[:, 2:] - boxes[:, :2] - boxes[:, 2:]) / 2
    return np.concatenate([shift / size, np.log(object_size / size)], axis=1) / variances


def match(boxes, objects, threshold):
    """The object of each prior box, -1 for none: MatchBBox of weiliu89/caffe, PER_PREDICTION.

    First every object takes a box, the greatest overlap of all first (of equal ones, the earlier box's, then the earlier object's);
    then each box left takes the object that it overlaps most, if by the threshold or more.
    """
    found = np.full(len(boxes), -1)
    if not len(objects):
        return found
    overlaps = iou(boxes, objects)
    overlaps[overlaps <= SMALLEST_OVERLAP] = 0
    favourite = overlaps.argmax(1)
    best = overlaps[np.arange(len(boxes)), favourite]
    found = np.where((best >= threshold) & (best > 0), favourite, -1)
    place, value = overlaps.argmax(0), overlaps.max(0)  # of each object among the boxes that are not taken
    while value.max() > 0:
        ties = np.flatnonzero(value == value.max())
        taker = ties[place[ties].argmin()]
        box = place[taker]
        found[box] = taker
        overlaps[box] = 0
        overlaps[:, taker] = 0
        again = np.flatnonzero(place == box)
        place[again], value[again] = overlaps[:, again].argmax(0), overlaps[:, again].max(0)
    return found


def iou(boxes, objects):
    """Intersection over union, one row per box, one column per object; boxes with a side below zero have no area."""
    low, high = np.maximum(boxes[:, None, :2], objects[:, :2]), np.minimum(boxes[:, None, 2:], objects[:, 2:])
    shared = np.maximum(high - low, 0).prod(2)
    union = area(boxes)[:, None] + area(objects) - shared
    return shared / np.maximum(union, np.finfo(np.float32).tiny)


def area(boxes):
    size = boxes[:, 2:] - boxes[:, :2]
    return np.where((size < 0).any(1), 0, size.prod(1)).astype(np.float32)
