"""Nets and solvers equal the authors' released ones, message by message.

Only the net's name and paths may differ.
"""

from __future__ import annotations

import pytest
from google.protobuf.message import Message

import netgen
from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.schema import is_repeated
from caffe_ir.text import read
from tests.support import SHARED, needs_shared

RELEASED = {
    "ssd300_voc0712": "ssd",
    "ssd512_voc0712": "ssd",
    "ssd300_coco_release": "ssd",
    "ssd300_ilsvrc": "ssd",
    "ssd300_resnet101_voc0712_release": "ssd",
    "ssd321_resnet101_voc0712_release": "ssd",
    "dssd321_voc0712_release": "ssd",
    "fssd300_voc0712_release": "fssd",
    "fssd512_voc0712_release": "fssd",
    "fssd300_coco_release": "fssd",
    "dsod300_voc0712_release": "ssd",
}
PATHS = {
    "source",
    "label_map_file",
    "name_size_file",
    "output_directory",
    "train_net",
    "test_net",
    "snapshot_prefix",
}


def reference(zoo_id: str, file: str, cls: type) -> Message:
    folder = SHARED / "reference/prototxt" / zoo_id.removesuffix("_release")
    return read(folder / f"{file}.prototxt", cls)


def without_paths(message: Message) -> Message:
    """Clear the paths of a message, in place."""
    for field, value in message.ListFields():
        if field.name in PATHS:
            message.ClearField(field.name)
        elif field.message_type and is_repeated(field):
            for part in value:
                without_paths(part)
        elif field.message_type:
            without_paths(value)
    return message


@needs_shared
@pytest.mark.parametrize("phase", ["train", "test", "deploy"])
@pytest.mark.parametrize("zoo_id", RELEASED)
def test_nets_equal_the_released_ones(zoo_id: str, phase: str) -> None:
    want = without_paths(reference(zoo_id, phase, pb.NetParameter))
    got = without_paths(netgen.build(zoo_id, phase, RELEASED[zoo_id]))
    assert [layer.name for layer in got.layer] == [layer.name for layer in want.layer]
    for ours, theirs in zip(got.layer, want.layer, strict=True):
        assert ours == theirs
    got.name = want.name
    assert got == want


@needs_shared
@pytest.mark.parametrize("zoo_id", RELEASED)
def test_solvers_equal_the_released_ones(zoo_id: str) -> None:
    want = without_paths(reference(zoo_id, "solver", pb.SolverParameter))
    assert without_paths(netgen.solver(zoo_id)) == want


@needs_shared
@pytest.mark.parametrize("zoo_id", [i for i, target in RELEASED.items() if target == "fssd"])
def test_stock_layers_change_only_the_resize(zoo_id: str) -> None:
    """For target ssd, every layer but the resize is the released one.

    Layers downstream of it read the same blobs.
    """
    released = without_paths(reference(zoo_id, "deploy", pb.NetParameter))
    stock = without_paths(netgen.build(zoo_id, "deploy", "ssd"))
    resizes = ("fc7_us", "conv7_2_us")
    want = [layer for layer in released.layer if layer.type != "Interp"]
    assert [layer for layer in stock.layer if not layer.name.startswith(resizes)] == want
