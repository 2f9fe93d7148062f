"""Records of LMDBs: what is one, what is none, and what the pixels of raw ones are."""

from __future__ import annotations

import numpy as np
import pytest

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import records
from caffe_ir.records import CorruptRecord
from ssd_common.errors import CaffeError


def test_an_annotated_record() -> None:
    record = pb.AnnotatedDatum(datum=pb.Datum(channels=1, height=1, width=2, data=b"ab"))
    box = pb.NormalizedBBox(xmin=0.25, ymin=0.5, xmax=0.75, ymax=1)
    record.annotation_group.add(group_label=3).annotation.add(bbox=box)
    found = records.parse(record.SerializeToString())
    assert found == record
    assert records.corners(found.annotation_group[0].annotation[0].bbox) == (0.25, 0.5, 0.75, 1)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"\x00", "not an AnnotatedDatum"),
        (b"", "an AnnotatedDatum without a datum"),
        (pb.Datum(label=1).SerializeToString(), "an AnnotatedDatum without a datum"),
    ],
)
def test_no_annotated_record(value: bytes, said: str) -> None:
    with pytest.raises(CorruptRecord, match=f"^{said}$"):
        records.parse(value)


def test_a_corrupt_record_is_an_error_that_the_user_can_mend() -> None:
    assert issubclass(CorruptRecord, CaffeError)


@pytest.mark.parametrize(
    ("value", "said"),
    [(b"\x00", "not a Datum"), (pb.Datum(label=1).SerializeToString(), "a Datum without data")],
)
def test_no_datum(value: bytes, said: str) -> None:
    with pytest.raises(CorruptRecord, match=said):
        records.parse_datum(value)


def test_raw_pixels_are_channels_then_rows() -> None:
    datum = pb.Datum(channels=2, height=1, width=3, data=bytes(range(6)))
    assert records.parse_datum(datum.SerializeToString()) == datum
    assert records.raw_pixels(datum).tolist() == [[[0, 1, 2]], [[3, 4, 5]]]
    assert records.raw_pixels(datum).dtype == np.uint8
    floats = pb.Datum(channels=1, height=2, width=1, float_data=[0.5, 2])
    assert records.float_pixels(floats).tolist() == [[[0.5], [2]]]
    assert records.float_pixels(floats).dtype == np.float32


# Two negative sides make a product that fits.
@pytest.mark.parametrize("shape", [(3, 1, 2), (0, 1, 2), (-1, -1, 6)])
def test_raw_pixels_fit_their_shape(shape: tuple[int, int, int]) -> None:
    channels, height, width = shape
    count = {3: 5, 0: 0, -1: 6}[channels]
    data = bytes(count)
    datum = pb.Datum(channels=channels, height=height, width=width, data=data)
    said = rf"{len(data)} bytes of raw pixels where \({channels}, {height}, {width}\) are declared"
    with pytest.raises(CorruptRecord, match=said):
        records.raw_pixels(datum)
    with pytest.raises(CorruptRecord, match="0 values where"):
        records.float_pixels(datum)


def test_a_truncated_jpeg_has_a_beginning_and_no_end() -> None:
    whole = b"\xff\xd8 picture \xff\xd9"
    assert records.is_truncated_jpeg(whole[:-1])
    assert not records.is_truncated_jpeg(whole)
    assert not records.is_truncated_jpeg(b"\x89PNG")
