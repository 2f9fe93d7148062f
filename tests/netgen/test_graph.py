"""Net and Blob: a mistake surfaces at the call that made it, by the layer's name."""

from __future__ import annotations

import pytest

from caffe_ir import caffe_ir_pb2 as pb
from netgen.graph import Blob, Net, parameter_field
from ssd_common.errors import LayerError


@pytest.fixture
def net() -> Net:
    net = Net("n", "deploy")
    net.input("data", (1, 3, 10, 12))
    return net


def test_every_blob_knows_its_shape(net: Net) -> None:
    conv = net.add("Convolution", "conv", net.blobs["data"], num_output=4, kernel_size=3, stride=2)
    # (10 - 3) // 2 + 1 = 4 rows, (12 - 3) // 2 + 1 = 5 columns
    assert conv == Blob("conv", (1, 4, 4, 5))
    assert (conv.channels, conv.size) == (4, (4, 5))
    relu = net.add("ReLU", "relu", conv, in_place=True)
    assert relu == conv
    assert list(net.proto.layer[1].top) == ["conv"]


def test_fields_go_where_caffe_has_them(net: Net) -> None:
    fields = {
        "param": {"lr_mult": 2},
        "include": {"phase": "TEST"},
        "weight_filler": {"type": "xavier"},
    }
    net.add("Convolution", "conv", net.blobs["data"], num_output=4, kernel_size=3, **fields)
    want = pb.LayerParameter(
        name="conv",
        type="Convolution",
        bottom=["data"],
        top=["conv"],
        param=[{"lr_mult": 2}],
        include=[{"phase": "TEST"}],
    )
    want.convolution_param.num_output = 4
    want.convolution_param.kernel_size.append(3)
    want.convolution_param.weight_filler.type = "xavier"
    assert net.proto.layer[0] == want


def test_an_empty_message_is_written(net: Net) -> None:
    net.add("Convolution", "conv", net.blobs["data"], num_output=4, kernel_size=3, weight_filler={})
    assert net.proto.layer[0].convolution_param.HasField("weight_filler")


@pytest.mark.parametrize(
    ("type", "field"),
    [
        ("Convolution", "convolution_param"),
        ("Deconvolution", "convolution_param"),
        ("Normalize", "norm_param"),
        ("PriorBox", "prior_box_param"),
        ("MultiBoxLoss", "multibox_loss_param"),
        ("AnnotatedData", "annotated_data_param"),
        ("ReLU", "relu_param"),
        ("Silence", None),
    ],
)
def test_parameter_field(type: str, field: str | None) -> None:
    assert parameter_field(type) == field


CONV = {"num_output": 4, "kernel_size": 3}


@pytest.mark.parametrize(
    ("type", "fields", "words"),
    [
        (
            "Convolution",
            {"num_ouput": 4},
            ["layer 'x'", "num_ouput", "ConvolutionParameter", "did you mean 'num_output'?"],
        ),
        (
            "Convolution",
            CONV | {"weight_filler": {"typ": "xavier"}},
            ["layer 'x'", "weight_filler.typ", "FillerParameter", "'type'?"],
        ),
        (
            "Convolution",
            CONV | {"weight_filler": "xavier"},
            ["convolution_param.weight_filler: 'xavier'", "FillerParameter", "dict"],
        ),
        (
            "Convolution",
            CONV | {"parm": {"lr_mult": 1}},
            ["layer 'x'", "parm", "did you mean 'param'?"],
        ),
        (
            "Pooling",
            {"kernel_size": 2, "pool": "MAXX"},
            ["layer 'x'", "pool", "MAXX", "did you mean 'MAX'?"],
        ),
        ("Convolution", {"num_output": "four"}, ["layer 'x'", "num_output", "four"]),
        ("Convolution", {"num_output": 4}, ["layer 'x'", "kernel_size"]),
        ("Convolutoin", {}, ["layer 'x'", "Convolutoin", "did you mean 'Convolution'?"]),
        ("ReLU", {"top": "y"}, ["layer 'x'", "top"]),
    ],
)
def test_a_mistake_names_layer_field_and_the_nearest(
    net: Net, type: str, fields: dict, words: list[str]
) -> None:
    with pytest.raises(LayerError) as error:
        net.add(type, "x", net.blobs["data"], **fields)
    assert all(word in str(error.value) for word in words), str(error.value)
    assert "\n" not in str(error.value)
    assert not net.proto.layer, "a refused layer leaves nothing behind"
    assert "x" not in net.blobs


def test_bottoms_and_names(net: Net) -> None:
    data = net.blobs["data"]
    net.add("Convolution", "conv", data, **CONV)
    with pytest.raises(LayerError, match="already"):
        net.add("ReLU", "conv", data)
    with pytest.raises(LayerError, match="a blob 'conv' already"):
        net.add("Split", "split", data, tops=["a", "conv"])
    with pytest.raises(LayerError, match=r"'convv' is not a blob of this net .*'conv'"):
        net.add("ReLU", "relu", Blob("convv", (1, 4, 8, 10)))
    assert len(net.proto.layer) == 1


def test_several_tops(net: Net) -> None:
    a, b = net.add("Split", "split", net.blobs["data"], tops=["a", "b"])
    assert a == Blob("a", (1, 3, 10, 12))
    assert b.name == "b"
