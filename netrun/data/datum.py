"""One record of an LMDB: from an AnnotatedDatum's bytes to an image and its annotations."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.records import (
    CorruptRecord,
    corners,
    float_pixels,
    is_truncated_jpeg,
    parse,
    parse_datum,
    raw_pixels,
)
from netrun.data.boxes import Annotations
from ssd_common.errors import CaffeError
from ssd_common.pictures import decoded

_LONGEST_JPEG_SIDE = 65500  # libjpeg's JPEG_MAX_DIMENSION

NO_OBJECTS = Annotations(
    np.empty((0, 4), np.float32),
    np.empty(0, np.float32),
    np.empty((0, 3), np.float32),
)


@dataclass(frozen=True)
class Sample:
    """An image with its objects or its label.

    image: (H, W, C), BGR or grey, uint8; float32 where Data's records hold float_data.
    annotations: its objects.
    label: the whole image's, for data without boxes, or None.
    faults: for each object left out, a phrase that says what is wrong with it.
    encoded: whether an AnnotatedDatum has the image as JPEG, PNG or the like, not as pixels.
    """

    image: np.ndarray
    annotations: Annotations
    label: int | None
    faults: tuple[str, ...] = ()
    encoded: bool = False


def decode(
    value: bytes,
    labels: frozenset[int] | None,
    force_color: bool = False,
    force_gray: bool = False,
) -> Sample:
    """Decode the image and the objects of an AnnotatedDatum.

    Leaves out an object that no image can have: one with a label outside the labelmap, or with a
    box that is not finite, empty, inverted or wholly outside the image.
    labels: the labelmap's label ids; None: accept any label.
    Raises CorruptRecord for a message or an image that cannot be decoded.
    """
    record = parse(value)
    boxes = []
    ids = []
    faults = []
    for group in record.annotation_group:
        label = group.group_label
        for annotation in group.annotation:
            box = annotation.bbox
            edges = corners(box)
            fault = _fault(label, edges, labels)
            if fault:
                faults.append(fault)
                continue
            size = np.nan
            if box.HasField("size"):
                size = box.size
            boxes.append((*edges, size))
            ids.append((label, annotation.instance_id, box.difficult))
    rows = np.array(boxes, np.float32).reshape(-1, 5)
    id_rows = np.array(ids, np.float32).reshape(-1, 3)
    found = Annotations(rows[:, :4], rows[:, 4], id_rows)
    image = decode_image(record.datum, force_color, force_gray)
    image_label = None
    if record.datum.HasField("label"):
        image_label = record.datum.label
    return Sample(image, found, image_label, tuple(faults), record.datum.encoded)


def has_raw_pixels(value: bytes) -> bool:
    """Return whether an AnnotatedDatum has its image as pixels, not as JPEG, PNG or the like."""
    try:
        datum = parse(value).datum
    except CorruptRecord:
        return False
    return bool(datum.data) and not datum.encoded


def decode_datum(
    value: bytes,
    force_color: bool = False,
    force_gray: bool = False,
    mean: np.ndarray | None = None,
) -> Sample:
    """Decode the image and the label of a plain Datum, the record of a Data layer.

    mean: the contents of mean_file, (C, H, W), or None. Subtracted here from raw records, because
        Caffe subtracts it before cropping; their image is then float32, as with float_data.
    Raises CorruptRecord for a message or an image that cannot be decoded.
    Raises CaffeError for a mean of another size.
    """
    datum = parse_datum(value)
    if datum.encoded or (datum.data and mean is None):
        image = decode_image(datum, force_color, force_gray)
    elif datum.data:
        image = decode_image(datum).astype(np.float32)
    else:
        image = float_pixels(datum).transpose(1, 2, 0)
    if mean is not None and image.dtype != np.uint8:
        shape = (image.shape[2], *image.shape[:2])
        if mean.shape != shape:
            raise CaffeError(
                f"transform_param: mean_file is {mean.shape} (channels, height, width), "
                f"the record {shape}"
            )
        image = image - mean.transpose(1, 2, 0)
    return Sample(np.ascontiguousarray(image), NO_OBJECTS, datum.label)


def _fault(
    label: int,
    edges: tuple[float, float, float, float],
    labels: frozenset[int] | None,
) -> str | None:
    """Say why no image can have this object, or None where one can."""
    if labels is not None and label not in labels:
        return f"label {label}, which the labelmap has not"
    fault = _box_fault(*edges)
    if not fault:
        return None
    numbers = ", ".join(f"{v:g}" for v in edges)
    return f"box ({numbers}), {fault}"


def _box_fault(
    xmin: float,
    ymin: float,
    xmax: float,
    ymax: float,
) -> str | None:
    """Say why no object can have these normalised corners; a box may reach outside the image."""
    if not all(map(math.isfinite, (xmin, ymin, xmax, ymax))):
        return "which is not finite"
    if xmax <= xmin or ymax <= ymin:
        return "which is empty or inverted"
    if xmax <= 0 or ymax <= 0 or xmin >= 1 or ymin >= 1:
        return "which is outside the image"
    return None


def decode_image(
    datum: pb.Datum,
    force_color: bool = False,
    force_gray: bool = False,
) -> np.ndarray:
    """Decode an encoded or raw datum's image, ignoring EXIF orientation, as the fork does.

    Returns (H, W, C) uint8, with the image's own channels unless a flag forces others.
    Raises CorruptRecord where there is no image, or only the beginning of one.
    """
    data = datum.data
    if not datum.encoded:
        return np.array(raw_pixels(datum).transpose(1, 2, 0), order="C")
    if is_truncated_jpeg(data):
        raise CorruptRecord("a truncated JPEG")
    try:
        image = decoded(data, _decoding_flag(force_color, force_gray))
    except CaffeError as error:
        raise CorruptRecord(f"an image that is too large: {error}") from None
    if image is None:
        raise CorruptRecord("an image that cannot be decoded")
    if image.dtype != np.uint8:
        raise CorruptRecord(f"an image of {image.dtype} where bytes are needed")
    if image.ndim == 2:
        return image[:, :, None]
    return image


def coded_as_jpeg(
    image: np.ndarray,
    force_color: bool = False,
    force_gray: bool = False,
) -> np.ndarray:
    """Encode an (H, W, C) uint8 image as JPEG and decode it, as the fork does between its steps.

    Returns (H, W, C) uint8, with the image's own channels unless they are forced.
    Raises CaffeError for an image too large for JPEG.
    Source: weiliu89/caffe, branch ssd, src/caffe/util/io.cpp, EncodeCVMatToDatum.
    """
    height, width = image.shape[:2]
    if max(height, width) > _LONGEST_JPEG_SIDE:
        raise CaffeError(
            f"an image of {width} x {height} pixels cannot be encoded as JPEG: "
            f"its sides must not exceed {_LONGEST_JPEG_SIDE}"
        )
    quality = [cv2.IMWRITE_JPEG_QUALITY, 95]  # OpenCV's default, which the fork leaves
    _, coded = cv2.imencode(".jpg", image, quality)
    image_again = cv2.imdecode(coded, _decoding_flag(force_color, force_gray))
    assert image_again is not None
    return image_again.reshape(height, width, -1)


def _decoding_flag(force_color: bool, force_gray: bool) -> int:
    if force_color:
        return cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    if force_gray:
        return cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION
    return cv2.IMREAD_UNCHANGED
