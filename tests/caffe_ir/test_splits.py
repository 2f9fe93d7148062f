"""Split layers: where Caffe adds them and by which names, in nets that Caffe itself saved and in
small ones worked out by hand.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from caffe_ir import binary, text
from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.phase import filter_net
from caffe_ir.splits import insert_splits
from ssd_common.errors import LayerError
from tests.support import golden


def split(words: str) -> pb.NetParameter:
    return insert_splits(text.parse(words, pb.NetParameter))


def wires(net: pb.NetParameter) -> list[tuple[str, str, str]]:
    return [(layer.name, " ".join(layer.bottom), " ".join(layer.top)) for layer in net.layer]


@pytest.mark.parametrize("path", golden("solver/*/final.caffemodel"))
def test_nets_that_caffe_saved(path: Path) -> None:
    net = insert_splits(filter_net(text.read_net(path.with_name("net.prototxt")), pb.TRAIN))
    assert wires(net) == wires(binary.read_weights(path))
    assert any(layer.type == "Split" for layer in net.layer)


def test_readers_take_turns() -> None:
    net = split("""layer { name: "l" type: "Input" top: "x" top: "y" }
        layer { name: "a" bottom: "y" bottom: "y" top: "a" }
        layer { name: "r" bottom: "a" top: "a" }
        layer { name: "b" bottom: "a" bottom: "y" top: "b" } layer { name: "c" bottom: "a" }""")
    assert wires(net) == [
        ("l", "", "x y"),
        ("y_l_1_split", "y", "y_l_1_split_0 y_l_1_split_1 y_l_1_split_2"),
        ("a", "y_l_1_split_0 y_l_1_split_1", "a"),
        ("r", "a", "a"),  # in place: from here on it is this layer's top
        ("a_r_0_split", "a", "a_r_0_split_0 a_r_0_split_1"),
        ("b", "a_r_0_split_0 y_l_1_split_2", "b"),
        ("c", "a_r_0_split_1", ""),
    ]
    assert insert_splits(net) == net


def test_a_weighed_blob_that_is_read_gives_its_weight_to_the_split() -> None:
    net = split("""layer { name: "l" top: "x" top: "y" loss_weight: 2 loss_weight: 0 }
        layer { name: "a" bottom: "x" }
        layer { name: "b" bottom: "y" }""")
    assert wires(net) == [
        ("l", "", "x y"),
        ("x_l_0_split", "x", "x_l_0_split_0 x_l_0_split_1"),
        ("a", "x_l_0_split_1", ""),
        ("b", "y", ""),
    ]
    assert not net.layer[0].loss_weight
    assert list(net.layer[1].loss_weight) == [2, 0]
    loss = split(
        'layer { name: "l" type: "HingeLoss" top: "x" loss_weight: 2 } '
        'layer { name: "a" bottom: "x" }'
    ).layer[0]
    assert list(loss.loss_weight) == [0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            'layer { name: "a" top: "data" } layer { name: "b" bottom: "dat" }',
            r"layer 'b', bottom: unknown blob 'dat' \(did you mean 'data'",
        ),
        (
            (
                'layer { name: "a" top: "x" } layer { name: "b" bottom: "x" } '
                'layer { name: "c" bottom: "x" top: "x" }'
            ),
            "layer 'c', top: works in",
        ),
    ],
)
def test_what_caffe_refuses(words: str, said: str) -> None:
    with pytest.raises(LayerError, match=said):
        split(words)
