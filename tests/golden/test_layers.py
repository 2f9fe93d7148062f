"""One recorded case a layer type, with or without ../shared: outputs and gradients are Caffe's."""

from __future__ import annotations

import pytest

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from caffe_ir.rules.from_forks import FROM_FORK
from netrun.layers import layer_types
from tests.golden.packed import read
from tests.netrun.goldens import replay_case

CASES = read("layers.npz")


@pytest.mark.parametrize("name", CASES)
def test_recorded(name: str) -> None:
    replay_case(CASES[name])


# Layers that read or write files have tests of their own, and so has Python; Split is the net's;
# Silence and Threshold are a line.
WITHOUT_CASE = {
    "AnnotatedData",
    "Data",
    "HDF5Data",
    "HDF5Output",
    "ImageData",
    "MemoryData",
    "VideoData",
    "WindowData",
}
WITHOUT_CASE |= {"Python", "Silence", "Split", "Threshold"}
# The fork that records cases has none of these: tests/netrun/layers/test_from_forks.py.
WITHOUT_CASE |= set(FROM_FORK)


def test_every_layer_type_has_a_case() -> None:
    recorded: set[str] = set()
    for file in ("layers.npz", "fork_layers.npz", "detection.npz", "losses.npz"):
        for case in read(file).values():
            recorded.update(
                layer.type for layer in text.parse(case["prototxt"], pb.NetParameter).layer
            )
    assert set(layer_types()) - recorded == WITHOUT_CASE
