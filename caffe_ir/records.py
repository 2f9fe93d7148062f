"""Records of LMDBs: reads a Datum or AnnotatedDatum, its unencoded pixels and its boxes.

Nothing here decodes an image.
"""

from __future__ import annotations

import math

import numpy as np
from google.protobuf.message import DecodeError

from caffe_ir import caffe_ir_pb2 as pb
from ssd_common.errors import CaffeError
from ssd_common.files import PathLike

Corners = tuple[float, float, float, float]  # xmin, ymin, xmax, ymax


class CorruptRecord(CaffeError):
    """A record cannot be read: `str(error)` says why."""


def parse(value: bytes) -> pb.AnnotatedDatum:
    """Read the AnnotatedDatum in a record: an image and its objects.

    Raises CorruptRecord where the bytes do not decode, and for a plain Datum, which decodes as an
    AnnotatedDatum without a datum.
    """
    try:
        record = pb.AnnotatedDatum.FromString(value)
    except DecodeError:
        raise CorruptRecord("not an AnnotatedDatum") from None
    if not record.HasField("datum"):
        raise CorruptRecord("an AnnotatedDatum without a datum")
    return record


def parse_named(value: bytes, source: PathLike, name: object) -> pb.AnnotatedDatum:
    """Read a record as `parse` does.

    source, name: the LMDB and its record's key or number, for the error.
    Raises CaffeError that names both.
    """
    try:
        return parse(value)
    except CorruptRecord:
        raise CaffeError(f"{source}: record {name} is no AnnotatedDatum") from None


def parse_datum(value: bytes) -> pb.Datum:
    """Read the Datum in a record for the Data layer: an image and its label.

    Raises CorruptRecord where the bytes do not decode or hold no data.
    """
    try:
        datum = pb.Datum.FromString(value)
    except DecodeError:
        raise CorruptRecord("not a Datum") from None
    if not (datum.data or datum.float_data):
        raise CorruptRecord("a Datum without data (AnnotatedData reads records that hold boxes)")
    return datum


def raw_pixels(datum: pb.Datum) -> np.ndarray:
    """Return the pixels, uint8 (C, H, W), of a datum that is not encoded.

    Raises CorruptRecord where the datum has more or fewer bytes than its shape needs, or none.
    """
    values = np.frombuffer(datum.data, np.uint8)
    return _shaped(values, "bytes of raw pixels", datum)


def float_pixels(datum: pb.Datum) -> np.ndarray:
    """Return the values, float32 (C, H, W), of a datum's float_data.

    Raises CorruptRecord where the datum has more or fewer values than its shape needs, or none.
    """
    values = np.array(datum.float_data, np.float32)
    return _shaped(values, "values", datum)


def _shaped(values: np.ndarray, what: str, datum: pb.Datum) -> np.ndarray:
    """Give values the shape that a datum declares. what: the values' name in errors."""
    shape = (datum.channels, datum.height, datum.width)
    if min(shape) <= 0 or len(values) != math.prod(shape):
        raise CorruptRecord(f"{len(values)} {what} where {shape} are declared")
    return values.reshape(shape)


def is_truncated_jpeg(data: bytes) -> bool:
    """Tell whether the end of a JPEG is missing.

    libjpeg still decodes such a file, and paints the missing part grey.
    """
    return data.startswith(b"\xff\xd8") and data.rfind(b"\xff\xd9") < 0


def corners(box: pb.NormalizedBBox) -> Corners:
    """Return a box's xmin, ymin, xmax, ymax, normalised to the image."""
    return box.xmin, box.ymin, box.xmax, box.ymax
