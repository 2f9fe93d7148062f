"""Records of LMDBs: a value's bytes as Datum or AnnotatedDatum, and what can be said of one without decoding its image."""

from __future__ import annotations

import math

import numpy as np
from google.protobuf.message import DecodeError

from caffe_ir import caffe_ir_pb2 as pb
from ssd_common.errors import CaffeError

Corners = tuple[float, float, float, float]  # xmin, ymin, xmax, ymax


class CorruptRecord(CaffeError):
    """A record that cannot be read: `str(error)` says what is wrong with it."""


def parse(value: bytes) -> pb.AnnotatedDatum:
    """The AnnotatedDatum in a record: an image and its objects.

    Raises CorruptRecord, also for a plain Datum: its bytes read as an AnnotatedDatum that has no datum.
    """
    try:
        record = pb.AnnotatedDatum.FromString(value)
    except DecodeError:
        raise CorruptRecord("not an AnnotatedDatum") from None
    if not record.HasField("datum"):
        raise CorruptRecord("an AnnotatedDatum without a datum")
    return record


def parse_datum(value: bytes) -> pb.Datum:
    """The Datum in a record of the Data layer's: an image and its label. Raises CorruptRecord."""
    try:
        datum = pb.Datum.FromString(value)
    except DecodeError:
        raise CorruptRecord("not a Datum") from None
    if not (datum.data or datum.float_data):
        raise CorruptRecord("a Datum without data (AnnotatedData reads records that hold boxes)")
    return datum


def raw_pixels(datum: pb.Datum) -> np.ndarray:
    """The pixels (C, H, W), uint8, of a datum that is not encoded.

    Raises CorruptRecord where there are not as many bytes as its shape needs, or none.
    """
    return _shaped(np.frombuffer(datum.data, np.uint8), "bytes of raw pixels", datum)


def float_pixels(datum: pb.Datum) -> np.ndarray:
    """The values (C, H, W), float32, of a datum's float_data. Raises CorruptRecord as raw_pixels."""
    return _shaped(np.array(datum.float_data, np.float32), "values", datum)


def _shaped(values: np.ndarray, what: str, datum: pb.Datum) -> np.ndarray:
    shape = (datum.channels, datum.height, datum.width)
    if min(shape) <= 0 or len(values) != math.prod(shape):
        raise CorruptRecord(f"{len(values)} {what} where {shape} are declared")
    return values.reshape(shape)


def is_truncated_jpeg(data: bytes) -> bool:
    """Whether these are a JPEG's first bytes only: libjpeg decodes such a file, and paints the rest grey."""
    return data.startswith(b"\xff\xd8") and data.rfind(b"\xff\xd9") < 0


def corners(box: pb.NormalizedBBox) -> Corners:
    """A box's xmin, ymin, xmax, ymax, normalised to the image."""
    return box.xmin, box.ymin, box.xmax, box.ymax
