"""Whole nets: the figures of the authors' and others' published nets, inputs and outputs, shared
parameters, broken nets.
"""

from __future__ import annotations

import pytest

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from caffe_ir.phase import filter_net
from caffe_ir.walk import walk
from ssd_common.errors import CaffeError, LayerError
from tests.support import SHARED, needs_shared

REFERENCE = SHARED / "reference" / "prototxt"
WILD = SHARED / "reference" / "wild"

# shared/release_facts.md, section 2: layers of train, test and deploy, learnable, of which frozen,
# statistics, priors. Our deploy nets have one layer more: their `input` field becomes an Input
# layer.
RELEASED = {
    "dsod300_voc0712": (440, 444, 442, 14_715_804, 0, 80_024, 8744),
    "dssd321_voc0712": (718, 722, 720, 172_380_912, 85_250_112, 172_063, 17_080),
    "fssd300_coco": (110, 114, 112, 39_366_582, 0, 1_537, 8732),
    "fssd300_voc0712": (110, 114, 112, 33_719_932, 0, 1_537, 8682),
    "fssd512_voc0712": (119, 123, 121, 35_229_764, 0, 1_537, 24_564),
    "ssd300_coco": (99, 103, 101, 34_305_206, 0, 0, 8732),
    "ssd300_ilsvrc": (99, 103, 101, 50_344_646, 0, 0, 8732),
    "ssd300_resnet101_voc0712": (518, 522, 520, 52_706_169, 0, 110_062, 7308),
    "ssd300_voc0712": (99, 103, 101, 26_285_486, 0, 0, 8732),
    "ssd321_resnet101_voc0712": (653, 657, 655, 116_526_320, 0, 156_688, 17_080),
    "ssd512_voc0712": (110, 114, 112, 27_188_676, 0, 0, 24_564),
}


@needs_shared
@pytest.mark.parametrize("name", RELEASED)
def test_released_detectors(name: str) -> None:
    train, test, deploy, *figures = RELEASED[name]
    per_image = set()
    for file, layers, phase, outputs in (
        ("train", train, pb.TRAIN, ["mbox_loss"]),
        ("test", test, pb.TEST, ["detection_eval"]),
        ("deploy", deploy + 1, pb.TEST, ["detection_out"]),
    ):
        found = walk(filter_net(text.read_net(REFERENCE / name / f"{file}.prototxt"), phase))
        assert len(found.layers) == layers
        assert [found.learnable, found.frozen, found.statistics, found.priors] == figures
        assert found.outputs == outputs
        assert found.inputs == (["data"] if file == "deploy" else [])
        per_image.add(found.macs / found.blobs["data"][0])
    assert len(per_image) == 1


@needs_shared
def test_every_released_net_is_listed() -> None:
    assert {folder.name for folder in REFERENCE.iterdir()} == set(RELEASED)


@needs_shared
@pytest.mark.parametrize(
    ("file", "learnable", "macs"),
    [
        # The figures everyone prints: VGG-16 has 138 M parameters and 15.5 G multiply-adds for 224
        # x 224, here for a batch of 10.
        ("netscope_vgg-16.prototxt", 138_357_544, 10 * 15_470_264_320),
        ("caffe_models_bvlc_reference_caffenet_deploy.prototxt", 60_965_224, 10 * 724_406_816),
        ("caffe_models_bvlc_googlenet_deploy.prototxt", 6_998_552, 10 * 1_582_671_872),
        ("mobilenet_ssd_deploy.prototxt", 5_796_089, 1_148_479_168),
    ],
)
def test_nets_of_others(file: str, learnable: int, macs: int) -> None:
    found = walk(filter_net(text.read_net(WILD / file), pb.TEST))
    assert (found.learnable, found.macs) == (learnable, macs)


# conv: 4 x 3 x 3 x 3 = 108 weights (frozen), 4 biases; 2 images x 6 x 6 places x 108 = 7776 MACs
NET = """
name: "net"
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" param { lr_mult: 0 }
  convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"
  pooling_param { global_pooling: true } }
"""


def test_a_small_net_by_hand() -> None:
    found = walk(text.parse(NET, pb.NetParameter))
    assert found.blobs == {"data": (2, 3, 8, 8), "conv": (2, 4, 6, 6), "pool": (2, 4, 1, 1)}
    assert (found.inputs, found.outputs) == (["data"], ["pool"])
    assert (found.learnable, found.frozen, found.statistics, found.macs, found.priors) == (
        112,
        108,
        0,
        7776,
        0,
    )
    assert [(walked.layer.name, walked.bottoms) for walked in found.layers][2] == (
        "relu",
        [(2, 4, 6, 6)],
    )


def test_given_inputs() -> None:
    net = text.parse(NET, pb.NetParameter)
    assert walk(net, {"data": (1, 3, 20, 10)}).blobs["conv"] == (1, 4, 18, 8)
    del net.layer[0]
    found = walk(net, {"data": (1, 3, 20, 10)})
    assert (found.inputs, found.blobs["conv"]) == (["data"], (1, 4, 18, 8))
    net.layer.insert(0, pb.LayerParameter(name="d", type="Data", top=["data", "label"]))
    assert walk(net, {"data": (1, 3, 20, 10), "label": (1,)}).outputs == ["label", "pool"]
    with pytest.raises(CaffeError, match=r"net 'net' has no blob 'dat' \(did you mean 'data'\?\)"):
        walk(net, {"dat": (1, 3, 20, 10)})
    with pytest.raises(LayerError, match="layer 'conv', top: computes its top from its bottoms"):
        walk(text.parse(NET, pb.NetParameter), {"conv": (1, 4, 18, 8)})


def test_a_given_shape_that_no_boxes_have() -> None:
    net = text.parse('layer { name: "boxes" type: "PriorBox" top: "t" }', pb.NetParameter)
    with pytest.raises(LayerError) as caught:
        walk(net, {"t": (2, 3)})
    assert str(caught.value) == "layer 'boxes', top: the boxes of PriorBox are 1x2x4P, not 2x3"
    assert walk(net, {"t": (1, 2, 24)}).priors == 6


def test_a_loss_without_top_is_no_output() -> None:
    layers = 'layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 2 } } }'
    layers += (
        'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "pool" bottom: "label" '
        "loss_weight: 1 }"
    )
    assert walk(text.parse(NET + layers, pb.NetParameter)).outputs == []


def shared(second: str) -> str:
    """A net of two 1x1 convolutions of 5 channels whose weights have the same name, and what the
    second one says of them.
    """
    net = (
        'layer { name: "x" type: "Input" top: "x" '
        "input_param { shape { dim: 1 dim: 5 dim: 2 dim: 2 } } }"
    )
    for name, param in (("a", 'param { name: "w" decay_mult: 0 }'), ("b", second)):
        fields = "convolution_param { num_output: 5 kernel_size: 1 bias_term: false }"
        net += (
            f'layer {{ name: "{name}" type: "Convolution" bottom: "x" top: "{name}" '
            f"{param} {fields} }}"
        )
    return net


def test_shared_parameters_count_once() -> None:
    found = walk(text.parse(shared('param { name: "w" }'), pb.NetParameter))
    assert (found.learnable, found.frozen, found.macs) == (25, 0, 2 * 4 * 25)
    # The first leaves lr_mult open, so the second may set it for both.
    found = walk(text.parse(shared('param { name: "w" lr_mult: 0 }'), pb.NetParameter))
    assert (found.learnable, found.frozen) == (25, 25)
    assert walk(text.parse(shared(""), pb.NetParameter)).learnable == 50


BROKEN = {
    "unknown bottom": (
        NET.replace('bottom: "conv" top: "pool"', 'bottom: "cov" top: "pool"'),
        "layer 'pool', bottom: unknown blob 'cov' (did you mean 'conv'?)",
    ),
    "top twice": (
        NET.replace('bottom: "conv" top: "pool"', 'bottom: "conv" top: "data"'),
        "layer 'pool', top: blob 'data' is already the top of another layer",
    ),
    "loss weights": (
        NET.replace('name: "pool"', 'name: "pool" loss_weight: [1, 2]'),
        "layer 'pool', loss_weight: must be given 1 times or not at all, found 2",
    ),
    "propagate_down": (
        NET.replace('name: "pool"', 'name: "pool" propagate_down: [true, true]'),
        "layer 'pool', propagate_down: must be given 1 times",
    ),
    "params": (
        NET.replace('name: "pool"', 'name: "pool" param { lr_mult: 1 }'),
        "layer 'pool', param: given 1 times, but Pooling has 0 parameter blobs",
    ),
    "size": (
        NET.replace("dim: 2 dim: 3", "dim: 20000000 dim: 3"),
        "layer 'data', top: blob 'data' cannot have the shape 20000000x3x8x8",
    ),
    "axes": (
        NET.replace("dim: 2 dim: 3", "dim: 1 " * 29 + "dim: 2 dim: 3"),
        "layer 'data', top: blob 'data' has 33 axes; Caffe's blobs have at most 32",
    ),
    "shared multiplier": (
        shared('param { name: "w" decay_mult: 1 }'),
        "layer 'b', param.decay_mult: shared parameter 'w' has decay_mult 1 here, ",
    ),
    "shared shape": (
        shared('param { name: "w" }').replace("num_output: 5", "num_output: 6", 1),
        "layer 'b', param: shared parameter 'w' is 5x5x1x1 here, 6x5x1x1 in layer 'a'",
    ),
    "shared count": (
        shared('param { name: "w" share_mode: PERMISSIVE }').replace(
            "num_output: 5", "num_output: 6", 1
        ),
        "layer 'b', param: shared parameter 'w' is 5x5x1x1 here",
    ),
}


@pytest.mark.parametrize(
    ("source", "said"), [pytest.param(*case, id=name) for name, case in BROKEN.items()]
)
def test_broken_nets(source: str, said: str) -> None:
    with pytest.raises(LayerError) as caught:
        walk(text.parse(source, pb.NetParameter))
    assert str(caught.value).startswith(said)


def test_permissive_sharing_compares_counts() -> None:
    net = shared('param { name: "w" share_mode: PERMISSIVE }').replace(
        "num_output: 5", "num_output: 1 group: 1", 1
    )
    # 1 x 5 x 1 x 1 against 5 x 1 x 1 x 1: 5 values each
    net = "group: 5".join(net.rsplit("bias_term: false", 1)).replace(
        "group: 5", "bias_term: false group: 5"
    )
    assert walk(text.parse(net, pb.NetParameter)).learnable == 5


def test_walking_changes_nothing() -> None:
    net = text.parse(shared('param { name: "w" lr_mult: 0 }'), pb.NetParameter)
    before = text.dumps(net)
    walk(net)
    assert text.dumps(net) == before


IN_PLACE = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 1 dim: 8 dim: 8 } } }
layer { name: "twice" type: "Power" bottom: "x" top: "x" power_param { scale: 2 } }
layer { name: "c" type: "Convolution" bottom: "x" top: "c"
  convolution_param { num_output: 2 kernel_size: 3 } }
"""


def test_an_input_that_a_layer_overwrites_can_be_given_a_shape() -> None:
    net = text.parse(IN_PLACE, pb.NetParameter)
    assert walk(net, {"x": (1, 1, 12, 16)}).blobs["c"] == (1, 2, 10, 14)
    del net.layer[0]  # now no layer makes it
    assert walk(net, {"x": (1, 1, 12, 16)}).blobs["c"] == (1, 2, 10, 14)
    with pytest.raises(LayerError, match="computes its top from its bottoms"):
        walk(net, {"x": (1, 1, 12, 16), "c": (1, 2, 10, 14)})
