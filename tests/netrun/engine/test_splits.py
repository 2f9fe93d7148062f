"""Split layers in a running net: what pycaffe shows of them, the gradient of each reader, and that
they cost nothing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import netrun
from caffe_ir import binary
from tests.netrun.small_nets import build, data, layer

POWER = "power_param { scale: %g }"
NET = (
    data("x", 2, 3)
    + layer("Power", "x", "a", POWER % 2)
    + layer("Power", "x", "b", POWER % -1)
    + layer("Power", "x", "c", POWER % 5)
)
SUMS = "".join(
    layer("Reduction", n, f"{n}_sum", f"loss_weight: {w}")
    for n, w in (("a", 1), ("b", 10), ("c", 0))
)


def test_pycaffe_shows_them() -> None:
    net = build(NET, netrun.TEST)
    assert net._layer_names == ["x", "x_x_0_split", "a", "b", "c"]
    assert net.layer_dict["x_x_0_split"].type == "Split"
    tops = [f"x_x_0_split_{i}" for i in range(3)]
    assert list(net.blobs) == ["x", *tops, "a", "b", "c"]
    assert net.top_names["x_x_0_split"] == tops
    assert [net.bottom_names[name] for name in ("a", "b", "c")] == [[top] for top in tops]
    assert (net.inputs, net.outputs) == (["x"], ["a", "b", "c"])


def test_their_blobs_hold_what_they_split() -> None:
    net = build(NET, netrun.TEST)
    net.forward(x=np.arange(6.0).reshape(2, 3))
    for name in net.top_names["x_x_0_split"]:
        np.testing.assert_array_equal(net.blobs[name].data, np.arange(6.0).reshape(2, 3))


def test_each_reader_has_its_own_gradient() -> None:
    """They add up to the split blob's."""
    net = build("force_backward: true " + NET + SUMS)
    net.blobs["x"].data[...] = 1
    net.forward()
    net.backward()
    for i, gradient in enumerate((2, -10, 0)):
        np.testing.assert_array_equal(net.blobs[f"x_x_0_split_{i}"].diff, np.full((2, 3), gradient))
    np.testing.assert_array_equal(net.blobs["x"].diff, np.full((2, 3), -8))


def test_a_weighed_blob_with_a_reader_counts_once() -> None:
    """Its weight is the split's; the output that shows it is called as in Caffe."""
    words = (
        data("x", 2, 3)
        + data("y", 2, 3)
        + layer("EuclideanLoss", "x y", "l", "loss_weight: 3")
        + layer("Power", "l", "p", POWER % 2)
    )
    net = build("force_backward: true " + words)
    net.blobs["x"].data[...] = 2
    net.forward()
    assert net.outputs == ["l_l_0_split_0", "p"]
    assert {name: w for name, w in net.blob_loss_weights.items() if w} == {"l_l_0_split_0": 3}
    assert float(net.loss.detach()) == 3 * 6 * 4 / 2 / 2
    net.backward()
    assert (net.blobs["x"].diff == 3 * 2 / 2).all()


def test_a_model_that_has_them_is_loaded_whole(tmp_path: Path) -> None:
    dense = "inner_product_param { num_output: 3 }"
    words = (
        data("x", 2, 3)
        + layer("InnerProduct", "x", "f", dense)
        + layer("InnerProduct", "x", "g", dense)
    )
    net, path = build(words), tmp_path / "w.caffemodel"
    net.save(path)
    assert [known.name for known in binary.read_weights(path).layer] == [
        "x",
        "x_x_0_split",
        "f",
        "g",
    ]
    assert build(words, netrun.TEST).copy_from(path) == []
    alone = build(data("x", 2, 3) + layer("InnerProduct", "x", "f", dense))
    assert alone.copy_from(path) == ["x_x_0_split", "g"]  # as Caffe lists them


@pytest.mark.parametrize("phase", [netrun.TRAIN, netrun.TEST])
def test_they_take_no_memory(phase: int) -> None:
    net = build("force_backward: true " + NET + SUMS, phase)
    net.run()
    storage = {
        blob.tensor.untyped_storage().data_ptr()
        for name, blob in net.blobs.items()
        if name.startswith("x")
    }
    assert storage == {net.blobs["x"].tensor.untyped_storage().data_ptr()}
