"""SSD and FSSD train, at reduced size: forward, backward and an update of every layer's weights."""

from __future__ import annotations

import numpy as np
import pytest

import netgen
from caffe_ir import caffe_ir_pb2 as pb
from netrun.solver import Solver

SIDE = 96  # pixels


@pytest.mark.parametrize(
    ("zoo_id", "options"),
    [
        ("ssd300_voc0712", {"size": SIDE}),
        ("ssd300_voc0712", {"size": (64, 96)}),
        ("fssd300_voc0712", {"size": SIDE}),
        ("fssd300_voc0712_plus_conv3_sum", {"size": SIDE}),
        ("fssd300_voc0712_plus_fused", {"size": SIDE}),
        ("fssd300_voc0712_plus_bottleneck", {"size": SIDE}),
        ("fssd300_voc0712", {"size": SIDE, "backbone": "mobilenet"}),
        ("fssd300_voc0712", {"size": SIDE, "backbone": "resnet101", "classes": 21}),
        ("dssd321_voc0712", {"size": SIDE, "backbone": "vgg16"}),
    ],
)
def test_trains(zoo_id: str, options: dict) -> None:
    detector = netgen.configure(zoo_id, **options, gpus=[], batch_per_gpu=1)
    net = detector.build("train")
    data, label = (1, 3, *detector.image_size), (1, 1, 2, 8)
    net.layer[0].CopyFrom(pb.LayerParameter(name="data", type="Input", top=["data", "label"]))
    for shape in (data, label):
        net.layer[0].input_param.shape.add(dim=shape)
    solver = Solver(pb.SolverParameter(train_net_param=net, base_lr=1e-3, lr_policy="fixed", momentum=0.9, weight_decay=5e-4, max_iter=1))
    solver.net.blobs["data"].data[...] = np.random.default_rng(0).normal(0, 50, data)
    # Image, label, instance, corners, difficult.
    objects = [[0, 5, 0, 0.1, 0.2, 0.5, 0.6, 0], [0, 20, 0, 0.3, 0.3, 0.9, 0.8, 0]]
    solver.net.blobs["label"].data[...] = np.array(objects).reshape(label)
    weights = {layer.name: layer.param[0].lr_mult for layer in net.layer if layer.type in ("Convolution", "Deconvolution")}
    before = {name: solver.net.params[name][0].data.copy() for name in weights}
    solver.step(1)
    assert np.isfinite(solver.net.loss.item())
    for name, lr_mult in weights.items():
        now = solver.net.params[name][0].data
        assert np.isfinite(now).all()
        assert np.array_equal(now, before[name]) == (lr_mult == 0), name
