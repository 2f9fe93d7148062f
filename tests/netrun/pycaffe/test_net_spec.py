"""Nets written with pycaffe's NetSpec, and with the fork's model_libs."""

from __future__ import annotations

from operator import attrgetter

import numpy as np
import pytest

import netrun
from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from netrun import layers as L
from netrun.pycaffe import coord_map, model_libs
from netrun.pycaffe.net_spec import NetSpec, assign_proto, to_proto
from netrun.pycaffe.net_spec import params as P
from ssd_common.errors import CaffeError, LayerError
from tests.support import ROOT


def parsed(words: str) -> pb.NetParameter:
    return text.parse(words, pb.NetParameter)


def test_a_net_by_names() -> None:
    n = NetSpec()
    n.data, n.label = L.DummyData(
        shape=[{"dim": [2, 1, 8, 8]}, {"dim": 2}], transform_param={"scale": 0.5}, ntop=2
    )
    n.conv = L.Convolution(
        n.data,
        kernel_size=5,
        num_output=20,
        weight_filler={"type": "xavier"},
        param=[{"lr_mult": 1}, {"lr_mult": 2}],
    )
    n["pool"] = L.Pooling(n.conv, kernel_size=2, stride=2, pool=P.Pooling.AVE)
    n.relu = L.ReLU(n.pool, in_place=True)
    n.both = L.Concat(n.relu, n.conv, name="joined", include={"phase": pb.TRAIN})
    n.quiet = L.Silence(n.label, ntop=0)
    n.update("conv", {"dilation": 2.0})
    assert n.to_proto() == parsed("""
        layer { name: "data" type: "DummyData" top: "data" top: "label"
          transform_param { scale: 0.5 }
          dummy_data_param { shape { dim: 2 dim: 1 dim: 8 dim: 8 } shape { dim: 2 } } }
        layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" param { lr_mult: 1 }
          param { lr_mult: 2 }
          convolution_param { num_output: 20 kernel_size: 5 dilation: 2
            weight_filler { type: "xavier" } } }
        layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"
          pooling_param { pool: AVE kernel_size: 2 stride: 2 } }
        layer { name: "relu" type: "ReLU" bottom: "pool" top: "pool" }
        layer { name: "joined" type: "Concat" bottom: "pool" bottom: "conv" top: "both"
          include { phase: TRAIN } }
        layer { name: "quiet" type: "Silence" bottom: "label" }
    """)
    assert n.keys() == ["data", "label", "conv", "pool", "relu", "both", "quiet"]
    assert n.vals()[2] is n.conv is n["conv"]
    del n["quiet"]
    assert n.to_proto().layer[-1].name == "joined"


def test_a_net_without_names_is_numbered_by_type() -> None:
    data = L.Input(shape={"dim": [1, 2]})
    one, two = (L.InnerProduct(data, num_output=3) for _ in range(2))
    net = to_proto(L.Eltwise(one, two), L.Silence(one, ntop=0))
    assert [(layer.name, list(layer.bottom), list(layer.top)) for layer in net.layer] == [
        ("Input1", [], ["Input1"]),
        ("InnerProduct1", ["Input1"], ["InnerProduct1"]),
        ("InnerProduct2", ["Input1"], ["InnerProduct2"]),
        ("Eltwise1", ["InnerProduct1", "InnerProduct2"], ["Eltwise1"]),
        ("Silence1", ["InnerProduct1"], []),
    ]
    assert one.to_proto() == pb.NetParameter(layer=net.layer[:2])
    assert netrun.Net(one.to_proto(), netrun.TEST).blobs["InnerProduct1"].shape == (1, 3)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"num_outputs": 3},
            (
                r"layer 'c', num_outputs: Convolution has no such field \(did you mean "
                r"'num_output'\?\)"
            ),
        ),
        ({"num_output": 3.5}, r"layer 'c', num_output: .*3\.5"),
        ({"weight_filler": {"kind": "xavier"}}, r"layer 'c', weight_filler: has no field 'kind'"),
        ({"num_output": "many"}, r"layer 'c', num_output"),
    ],
)
def test_a_wrong_field_names_layer_and_field(fields: dict, message: str) -> None:
    n = NetSpec()
    n.x = L.Input(shape={"dim": [1]})
    n.c = L.Convolution(n.x, **fields)
    with pytest.raises(LayerError, match=message):
        n.to_proto()


def test_wrong_names_are_named() -> None:
    n = NetSpec()
    n.data = L.Input(shape={"dim": [1]})
    with pytest.raises(AttributeError, match="did you mean 'data'"):
        _ = n.dat
    with pytest.raises(AttributeError, match="did you mean 'Pooling'"):
        _ = P.Poling
    with pytest.raises(LayerError, match="bottom 0 should be a layer's top, not str"):
        L.ReLU("data")
    with pytest.raises(AttributeError):
        _ = L.conv_relu
    with pytest.raises(AttributeError):
        assign_proto(pb.LayerParameter(), "nothing", 1)


def ssd300() -> NetSpec:
    """What the fork's ssd_pascal.py builds for SSD300."""
    n = NetSpec()
    n.data = L.Input(shape={"dim": [1, 3, 300, 300]})
    model_libs.VGGNetBody(n, "data", fully_conv=True, reduced=True, dilated=True, dropout=False)
    bottom = n.keys()[-1]
    for i, (thin, wide, pad, stride) in enumerate(
        ((256, 512, 1, 2), (128, 256, 1, 2), (128, 256, 0, 1), (128, 256, 0, 1)), start=6
    ):
        model_libs.ConvBNLayer(n, bottom, f"conv{i}_1", False, True, thin, 1, 0, 1)
        model_libs.ConvBNLayer(n, f"conv{i}_1", f"conv{i}_2", False, True, wide, 3, pad, stride)
        bottom = f"conv{i}_2"
    model_libs.CreateMultiBoxHead(
        n,
        num_classes=21,
        from_layers=["conv4_3", "fc7", "conv6_2", "conv7_2", "conv8_2", "conv9_2"],
        min_sizes=[30.0, 60.0, 111.0, 162.0, 213.0, 264.0],
        max_sizes=[60.0, 111.0, 162.0, 213.0, 264.0, 315.0],
        aspect_ratios=[[2], [2, 3], [2, 3], [2, 3], [2], [2]],
        steps=[8, 16, 32, 64, 100, 300],
        normalizations=[20, -1, -1, -1, -1, -1],
        use_batchnorm=False,
        clip=False,
        prior_variance=[0.1, 0.1, 0.2, 0.2],
        kernel_size=3,
        pad=1,
    )
    return n


def test_model_libs_builds_the_released_ssd300() -> None:
    """Layer by layer what prototxt/ has of it, which is checked against the authors' files
    elsewhere.
    """
    known = {
        layer.name: layer
        for layer in text.read_net(ROOT / "prototxt/ssd300_voc0712/deploy.prototxt").layer
    }
    built = ssd300().to_proto().layer[1:]
    assert len(built) == 97
    for layer in built:
        assert layer == known[layer.name]


def test_batch_normalised_blocks_and_frozen_layers() -> None:
    n = NetSpec()
    n.data = L.Input(shape={"dim": [1, 3, 64, 64]})
    model_libs.ResNet101Body(
        n, "data", use_pool5=False, use_dilation_conv5=True, use_global_stats=True
    )
    found = {layer.name: layer for layer in n.to_proto().layer}
    assert (
        sum(layer.type == "Convolution" for layer in found.values()) == 104
    )  # 100 of the paper's 101, and 4 on shortcuts
    assert list(found["res5b_branch2b"].convolution_param.dilation) == [2]
    assert found["bn5c_branch2c"].batch_norm_param.use_global_stats
    assert [p.lr_mult for p in found["scale_conv1"].param] == [0, 0]
    shapes = netrun.Net(n.to_proto(), netrun.TEST).blobs
    assert shapes["res5c"].shape == (1, 2048, 4, 4)  # dilated: 1/16 of the image
    z = NetSpec()
    z.data = L.Input(shape={"dim": [1, 3, 64, 64]})
    model_libs.ZFNetBody(
        z, "data", fully_conv=True, reduced=True, dilated=True, freeze_layers=["conv1", "nothing"]
    )
    frozen = [
        layer.name
        for layer in z.to_proto().layer
        if layer.param and max(map(attrgetter("lr_mult"), layer.param)) == 0
    ]
    assert frozen == ["conv1"]


def test_heads_refuse_lists_of_other_lengths() -> None:
    n = ssd300()
    for wrong, message in (
        ({"min_sizes": [1, 2]}, "min_sizes 2"),
        ({"min_sizes": [1], "steps": [8, 8]}, "steps 2"),
    ):
        with pytest.raises(CaffeError, match=f"from_layers has 1 entries, {message}"):
            model_libs.CreateMultiBoxHead(n, num_classes=2, from_layers=["fc7"], **wrong)
    with pytest.raises(CaffeError, match="num_classes"):
        model_libs.CreateMultiBoxHead(n, from_layers=["fc7"], min_sizes=[1])


def test_data_layers_of_both_phases() -> None:
    images, labels = model_libs.CreateAnnotatedDataLayer(
        "lmdb", 4, label_map_file="map", train=False, transform_param={"mean_value": [1, 2, 3]}
    )
    layer = to_proto(images, labels).layer[0]
    assert (
        layer.type,
        layer.data_param.source,
        layer.data_param.batch_size,
        layer.include[0].phase,
    ) == (
        "AnnotatedData",
        "lmdb",
        4,
        pb.TEST,
    )
    assert len(layer.top) == 2
    assert isinstance(model_libs.CreateAnnotatedDataLayer("lmdb", output_label=False), type(images))


def fcn(pad: int) -> NetSpec:
    """FCN-32s in small: convolutions and poolings down to 1/8, and a deconvolution up again."""
    n = NetSpec()
    n.data = L.Input(shape={"dim": [1, 3, 64, 64]})
    n.conv1 = L.Convolution(n.data, num_output=4, kernel_size=3, pad=pad)
    n.pool1 = L.Pooling(L.ReLU(n.conv1, in_place=True), pool=P.Pooling.MAX, kernel_size=2, stride=2)
    n.conv2 = L.Convolution(n.pool1, num_output=4, kernel_size=7, stride=4)
    n.up = L.Deconvolution(
        n.conv2, convolution_param={"num_output": 4, "kernel_size": 16, "stride": 8}
    )
    return n


def test_crops_align_coordinates() -> None:
    """Over pixel x of data lies pixel x + 10 of up, as the steps between centres of pixels say."""
    n = fcn(10)
    axis, scale, shift = coord_map.coord_map_from_to(n.up, n.data)
    assert (axis, list(np.ravel(scale))) == (1, [1])
    # x of data -> x + 10 - 1 of conv1 -> pool1 (x + 9 - 1/2) / 2 -> conv2 ((x + 8.5) / 2 - 3) / 4
    # -> up 8 * that + 7.5 = x + 10
    n.cropped = coord_map.crop(n.up, n.data)
    assert list(n.to_proto().layer[-1].crop_param.offset) == [10] == list(-np.ravel(shift))
    assert netrun.Net(n.to_proto(), netrun.TEST).blobs["cropped"].shape == (1, 4, 64, 64)
    small = fcn(-1)
    with pytest.raises(AssertionError, match="negative offset"):
        coord_map.crop(small.up, small.data)
    n.other = L.InnerProduct(n.up, num_output=2)
    with pytest.raises(RuntimeError, match="no mapping"):
        coord_map.coord_map_from_to(n.other, n.data)
    with pytest.raises(AssertionError, match="scale mismatch"):
        coord_map.crop(n.pool1, n.data)
