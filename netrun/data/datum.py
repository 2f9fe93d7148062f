"""One record of an LMDB: an AnnotatedDatum's bytes into an image and its annotations."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.records import CorruptRecord, corners, float_pixels, is_truncated_jpeg, parse, parse_datum, raw_pixels
from netrun.data.boxes import Annotations
from ssd_common.errors import CaffeError

NO_OBJECTS = Annotations(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty((0, 3), np.float32))


@dataclass(frozen=True)
class Sample:
    """image: (H, W, C), BGR or grey, uint8 (float32 of Data's float_data). annotations: its objects.

    label: of the whole image, for data without boxes (or None).
    faults: what was wrong with the objects that have been left out, one phrase for each.
    """

    image: np.ndarray
    annotations: Annotations
    label: int | None
    faults: tuple[str, ...] = ()


def decode(value: bytes, labels: frozenset[int] | None, force_color: bool = False, force_gray: bool = False) -> Sample:
    """The image and objects of a record.

    labels: the label ids of the labelmap, None: unchecked. An object that no image can have is left out: a label that the labelmap
    lacks, a box that is not finite, empty, inverted or wholly outside. Raises CorruptRecord for a message or an image that cannot be
    decoded.
    """
    record = parse(value)
    boxes, ids, faults = [], [], []
    for group in record.annotation_group:
        for annotation in group.annotation:
            box = annotation.bbox
            edges = corners(box)
            if labels is not None and group.group_label not in labels:
                faults.append(f"label {group.group_label}, which the labelmap has not")
            elif fault := _fault(*edges):
                faults.append(f"box ({', '.join(f'{v:g}' for v in edges)}), {fault}")
            else:
                boxes.append((*edges, box.size if box.HasField("size") else np.nan))
                ids.append((group.group_label, annotation.instance_id, box.difficult))
    rows = np.array(boxes, np.float32).reshape(-1, 5)
    found = Annotations(rows[:, :4], rows[:, 4], np.array(ids, np.float32).reshape(-1, 3))
    image = decode_image(record.datum, force_color, force_gray)
    return Sample(image, found, record.datum.label if record.datum.HasField("label") else None, tuple(faults))


def decode_datum(value: bytes, force_color: bool = False, force_gray: bool = False, mean: np.ndarray | None = None) -> Sample:
    """The image and label of a record of Data's, a plain Datum.

    mean: what mean_file holds, (C, H, W); it is taken off raw records here, since Caffe does that before it crops them. Then, and
    where a record holds float_data, the image is float32. Raises CorruptRecord, and CaffeError for a mean of another size.
    """
    datum = parse_datum(value)
    if datum.encoded or (datum.data and mean is None):
        image = decode_image(datum, force_color, force_gray)
    elif datum.data:
        image = decode_image(datum).astype(np.float32)
    else:
        image = float_pixels(datum).transpose(1, 2, 0)
    if mean is not None and image.dtype != np.uint8:
        if mean.shape != (image.shape[2], *image.shape[:2]):
            shape = (image.shape[2], *image.shape[:2])
            raise CaffeError(f"transform_param: mean_file is {mean.shape} (channels, height, width), the record {shape}")
        image = image - mean.transpose(1, 2, 0)
    return Sample(np.ascontiguousarray(image), NO_OBJECTS, datum.label)


def _fault(xmin: float, ymin: float, xmax: float, ymax: float) -> str | None:
    """What makes these normalised corners no object's, if anything does. Boxes that only reach beyond the image are clipped later."""
    if not all(map(math.isfinite, (xmin, ymin, xmax, ymax))):
        return "which is not finite"
    if xmax <= xmin or ymax <= ymin:
        return "which is empty or inverted"
    if xmax <= 0 or ymax <= 0 or xmin >= 1 or ymin >= 1:
        return "which is outside the image"
    return None


def decode_image(datum: pb.Datum, force_color: bool = False, force_gray: bool = False) -> np.ndarray:
    """(H, W, C) uint8 of an encoded or raw datum, with its own channels unless forced. EXIF orientation is ignored, as in the fork.

    Raises CorruptRecord where there is no image, or only the beginning of one.
    """
    data = datum.data
    if not datum.encoded:
        return np.array(raw_pixels(datum).transpose(1, 2, 0), order="C")
    if is_truncated_jpeg(data):
        raise CorruptRecord("a truncated JPEG")
    flag = cv2.IMREAD_UNCHANGED
    if force_color or force_gray:
        flag = (cv2.IMREAD_COLOR if force_color else cv2.IMREAD_GRAYSCALE) | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flag) if data else None
    except cv2.error:  # an absurd size in a damaged header
        image = None
    if image is None:
        raise CorruptRecord("an image that cannot be decoded")
    if image.dtype != np.uint8:
        raise CorruptRecord(f"an image of {image.dtype} where bytes are needed")
    return image[:, :, None] if image.ndim == 2 else image
