"""MobileNet-SSD, Light FSSD and PPN train and detect: forward, backward and an update at reduced
size, and a test net's detections.
"""

from __future__ import annotations

import numpy as np
import pytest

import netgen
import netrun
from caffe_ir import caffe_ir_pb2 as pb
from tests.netrun.solvers_on import solver_on

# Inputs in pixels whose last map still has a cell, and layers that must learn.
SIDES = {
    "mobilenet_ssd300_voc0712_release": (
        160,
        ("conv0", "conv14_2", "conv11_mbox_conf", "conv17_2_mbox_conf"),
    ),
    "mobilenet_ssd300_coco_release": (96, ("conv0", "conv13/dw", "conv11_mbox_conf")),
    "light_fssd300_coco": (300, ("conv0", "conv13", "conv13_reduce", "fea_concat_bn_ds_32")),
    "ppn300_coco": (272, ("conv0", "conv11", "predictor1", "predictor4_mbox_conf")),
    "ppn300_coco_release": (272, ("conv0", "conv11", "predictor1", "predictor1_mbox_loc")),
}


def small(zoo_id: str, phase: str) -> tuple[pb.NetParameter, int]:
    """A net for a smaller input, and the side of that in pixels."""
    side = SIDES[zoo_id][0]
    net = netgen.configure(zoo_id, size=side, gpus=[], batch_per_gpu=2).build(phase)
    return net, side


@pytest.mark.parametrize("zoo_id", SIDES)
def test_trains(zoo_id: str) -> None:
    net, side = small(zoo_id, "train")
    solver = solver_on(net, np.random.default_rng(0).uniform(-1, 1, (2, 3, side, side)))
    before = {name: solver.net.params[name][0].data.copy() for name in SIDES[zoo_id][1]}
    solver.step(1)
    assert 0 < solver.net.loss.item() < 1000
    for name, old in before.items():
        new = solver.net.params[name][0].data
        assert np.isfinite(new).all()
        assert not np.array_equal(new, old), f"{name} has not learned"
    if zoo_id.startswith("ppn"):
        for layer in ("predictor{}", "predictor{}_mbox_loc", "predictor{}_mbox_conf"):
            np.testing.assert_array_equal(
                solver.net.params[layer.format(1)][0].data,
                solver.net.params[layer.format(4)][0].data,
            )


def test_scores_are_sigmoids() -> None:
    """With weights of zero, PPN gives every class what its biases start from, σ(−4.6) = 0.01.

    The background is not shown.
    """
    net, side = small("ppn300_coco_release", "deploy")
    engine = netrun.Net(net, netrun.TEST)
    engine.params["predictor1_mbox_conf"][0].data[...] = 0  # those of all six maps
    engine.params["predictor1_mbox_conf"][1].data[...].reshape(6, 91)[:, 7] = 0
    engine.blobs["data"].data[...] = np.random.default_rng(0).uniform(-1, 1, (1, 3, side, side))
    rows = engine.forward()["detection_out"].reshape(-1, 7)
    assert len(rows) == 100, "the best of an image"
    assert rows[0, 1] == 7
    assert rows[:, 1].min() >= 1
    np.testing.assert_allclose(
        rows[:, 2], np.where(rows[:, 1] == 7, 0.5, 1 / (1 + np.exp(4.6))), rtol=1e-5
    )
