"""text_format under `netrun python` takes what older versions of protobuf took."""

from __future__ import annotations

import io

import numpy as np
import pytest
from google.protobuf import text_format

from caffe_ir import caffe_ir_pb2 as pb
from netrun.pycaffe import protobuf_names

NET = pb.NetParameter(
    layer=[
        pb.LayerParameter(
            loss_weight=[1 / 3, 2],
            power_param=pb.PowerParameter(scale=1 / 3, shift=1e10),
        )
    ]
)


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add the names for one test."""
    for name in ("MessageToString", "PrintMessage"):
        monkeypatch.setattr(text_format, name, getattr(text_format, name))
    protobuf_names.add()
    protobuf_names.add()  # a second time changes nothing


def test_a_format_of_floats() -> None:
    """MobileNetv2-SSDLite's gen_model.py prints its net so."""
    text = text_format.MessageToString(NET, float_format=".3g")
    assert "scale: 0.333\n" in text
    found = text_format.Parse(text, pb.NetParameter()).layer[0]
    assert list(found.loss_weight) == [np.float32(0.333), 2]
    assert found.power_param.shift == 1e10
    assert NET.layer[0].power_param.scale == np.float32(1 / 3)


def test_doubles_have_the_floats_format_unless_they_have_their_own() -> None:
    net = pb.BlobProto(data=[1 / 3], double_data=[1 / 3])
    out = io.StringIO()
    text_format.PrintMessage(net, out, float_format=".2g")
    assert out.getvalue() == "data: 0.33\ndouble_data: 0.33\n"
    text = text_format.MessageToString(net, float_format=".2g", double_format=".4g")
    assert text == "data: 0.33\ndouble_data: 0.3333\n"


def test_without_a_format_nothing_changes() -> None:
    assert text_format.MessageToString(pb.BlobProto(data=[0.5]), as_one_line=True) == "data: 0.5"
