"""Images and objects of an LMDB's records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import cv2

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import records
from caffe_ir.lmdb_reader import LmdbReader, key_text
from data_prep.checks.faults import Fault
from data_prep.images.image_header import is_cut_short, read_header
from data_prep.sources.fields import LARGEST
from data_prep.writers.formats.classes import Classes
from data_prep.writers.formats.format import Box, Photo
from data_prep.writers.names import Names, format_of
from ssd_common.errors import CaffeError
from ssd_common.pictures import decoded, encode


class Read(NamedTuple):
    """A record, read. photo: None where it cannot be written. faults: what is wrong with it."""

    photo: Photo | None
    faults: list[Fault]


class _Image(NamedTuple):
    """The image of a record: its file, and its size in pixels."""

    data: bytes
    width: int
    height: int
    channels: int


def read_all(reader: LmdbReader, classes: Classes, names: Names) -> Iterator[Read]:
    """Yield every record of an LMDB, in order."""
    for number, key in enumerate(reader.keys):
        yield _read(key, reader.value(number), classes, names)


def _read(key: bytes, value: bytes, classes: Classes, names: Names) -> Read:
    text = key_text(key)
    try:
        record = records.parse(value)
    except records.CorruptRecord as error:
        return Read(None, [Fault("bad-record", text, f"{error}: left out")])
    faults: list[Fault] = []
    try:
        image = _image(record.datum, text, faults)
    except CaffeError as error:
        return Read(None, [Fault("bad-image", text, f"{error}: left out")])
    boxes = _boxes(record, text, max(image.width, image.height), classes, faults)
    name = names.name(key, format_of(image.data))
    photo = Photo(text, name, image.data, image.width, image.height, image.channels, boxes)
    return Read(photo, faults)


def _image(datum: pb.Datum, key: str, faults: list[Fault]) -> _Image:
    """Return the image of a record: its own bytes, or raw pixels as PNG. Raises CaffeError."""
    if not datum.encoded:
        return _raw(datum)
    cut = is_cut_short(datum.data)
    if cut:
        raise CaffeError(f"a {cut} that is cut short")
    header = read_header(datum.data)
    if header:
        if header.orientation > 1:
            message = f"the image has the EXIF orientation {header.orientation}"
            faults.append(Fault("turned", key, f"{message}; other tools may turn it"))
        return _Image(datum.data, header.width, header.height, header.channels)
    pixels = None
    if format_of(datum.data):
        pixels = decoded(datum.data, cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise CaffeError("an image that cannot be decoded")
    height, width = pixels.shape[:2]
    return _Image(datum.data, width, height, pixels[0, 0].size)


def _raw(datum: pb.Datum) -> _Image:
    """Return raw pixels as PNG. Raises CaffeError for those that are no image."""
    if datum.float_data and not datum.data:
        raise CaffeError("values in place of pixels (float_data)")
    planes = records.raw_pixels(datum)
    channels, height, width = planes.shape
    if channels not in (1, 3):
        raise CaffeError(f"an image of {channels} channels")
    data = encode(planes.transpose(1, 2, 0), ".png")
    if data is None:
        raise CaffeError("an image that is too large for a PNG")
    return _Image(data, width, height, channels)


def _boxes(
    record: pb.AnnotatedDatum,
    key: str,
    side: int,
    classes: Classes,
    faults: list[Fault],
) -> list[Box]:
    """Return the objects of a record that can be written, and add what is wrong with others.

    side: the longer one of the image (pixels).
    """
    found = []
    for group in record.annotation_group:
        label = group.group_label
        if classes.known is not None and label not in classes.known:
            message = f"label {label} is not in the label map: its class is called {label}"
            faults.append(Fault("bad-label", key, message))
        for annotation in group.annotation:
            corners = records.corners(annotation.bbox)
            # NaN is not less, either.
            if not all(abs(x) * side < LARGEST for x in corners):
                message = f"a box of label {label} is not finite, or far beyond: left out"
                faults.append(Fault("bad-box", key, message))
                continue
            found.append(Box(label, annotation.bbox.difficult, corners))
    if not found and record.datum.label >= 0 and record.type != pb.AnnotatedDatum.BBOX:
        message = f"label {record.datum.label} of the whole image: left out"
        faults.append(Fault("left-out", key, message))
    return found
