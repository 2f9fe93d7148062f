"""Checks one record of an LMDB: its image, its size, its labels and its boxes."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import records
from data_prep.checks.faults import Fault
from ssd_common.errors import CaffeError
from ssd_common.pictures import decoded


class CheckedRecord(NamedTuple):
    """One record, checked.

    faults: everything that is wrong.
    labels: of its objects.
    size: (height, width) of the decoded image, (0, 0) where it cannot be decoded.
    """

    faults: list[Fault]
    labels: list[int]
    size: tuple[int, int]


def check_record(key: str, value: bytes, labels: frozenset[int] | None) -> CheckedRecord:
    """Check one record: its image, its size, its labels and its boxes.

    key: of the record, for messages.
    value: its bytes.
    labels: those that may occur; None for any.
    """
    faults: list[Fault] = []
    try:
        record = records.parse(value)
    except records.CorruptRecord:
        fault = Fault("bad-record", key, "not an AnnotatedDatum")
        return CheckedRecord([fault], [], (0, 0))
    size = _check_image(record.datum, key, faults)
    found: list[int] = []
    for group in record.annotation_group:
        found += [group.group_label] * len(group.annotation)
        _check_group(group, key, labels, faults)
    return CheckedRecord(faults, found, size)


def _check_group(
    group: pb.AnnotationGroup,
    key: str,
    labels: frozenset[int] | None,
    faults: list[Fault],
) -> None:
    """Check the label and the boxes of the objects of one class."""
    label = group.group_label
    if label == 0:
        faults.append(Fault("bad-label", key, "an object of label 0, the background"))
    elif labels is not None and label not in labels:
        faults.append(Fault("bad-label", key, f"label {label} is not in the label map"))
    for annotation in group.annotation:
        found = _box_fault(annotation.bbox)
        if found:
            kind, words = found
            box = " ".join(f"{x:.6g}" for x in records.corners(annotation.bbox))
            faults.append(Fault(kind, key, f"box {box} of label {label} {words}"))


def _check_image(datum: pb.Datum, key: str, faults: list[Fault]) -> tuple[int, int]:
    """Check the image of a record.

    Returns (height, width) of the image as nets see it, (0, 0) where it cannot be read.
    """
    if not datum.encoded:
        return _check_raw(datum, key, faults)
    if records.is_truncated_jpeg(datum.data):
        faults.append(Fault("bad-image", key, "a JPEG that is cut short"))
        return 0, 0
    try:
        image = decoded(datum.data, cv2.IMREAD_UNCHANGED)  # as Caffe: EXIF does not count
    except CaffeError as error:
        faults.append(Fault("bad-image", key, f"an image that is too large: {error}"))
        return 0, 0
    if image is None:
        faults.append(Fault("bad-image", key, "an image that cannot be decoded"))
        return 0, 0
    size = (image.shape[0], image.shape[1])
    if image.dtype != np.uint8:
        message = f"an image of {image.dtype} where Caffe reads bytes"
        faults.append(Fault("bad-image", key, message))
        return size
    stated = (datum.height, datum.width)
    if all(stated) and size != stated:  # without a stated size Caffe takes the image's
        faults.append(_size_fault(stated, size, key))
    return size


def _check_raw(datum: pb.Datum, key: str, faults: list[Fault]) -> tuple[int, int]:
    """Check that a record has as many raw pixels as it states. Returns as _check_image."""
    stated = (datum.height, datum.width)
    try:
        records.raw_pixels(datum)
    except records.CorruptRecord:
        declared = f"{datum.channels}x{shape_text(stated)} are declared"
        message = f"{len(datum.data)} bytes of raw pixels where {declared}"
        faults.append(Fault("bad-image", key, message))
        return 0, 0
    return stated


def _size_fault(stated: tuple[int, int], size: tuple[int, int], key: str) -> Fault:
    """Describe a record that states another size than its image has.

    stated, size: (height, width) in pixels.
    """
    if size == stated[::-1]:
        message = (
            f"the datum says {shape_text(stated)}, but Caffe decodes {shape_text(size)}:"
            " it does not heed the EXIF orientation that boxes go by"
        )
        return Fault("turned", key, message)
    message = f"the datum says {shape_text(stated)}, but the image is {shape_text(size)}"
    return Fault("bad-size", key, message)


def _box_fault(box: pb.NormalizedBBox) -> tuple[str, str] | None:
    """Return the kind of a box's fault, and words for it; None where nothing is wrong."""
    corners = records.corners(box)
    xmin, ymin, xmax, ymax = corners
    if not np.isfinite(corners).all():
        return "bad-box", "is not finite"
    if min(corners) < 0 or max(corners) > 1:
        return "outside", "is outside the image"
    if xmin > xmax or ymin > ymax:
        return "inverted", "is inverted"
    if xmin == xmax or ymin == ymax:
        return "empty", "is without area"
    return None


def shape_text(size: tuple[int, int]) -> str:
    """Write a size with the width first, as all messages do.

    size: (height, width).
    """
    height, width = size
    return f"{width}x{height}"
