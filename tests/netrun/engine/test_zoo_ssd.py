"""SSD and FSSD train, at reduced size: forward, backward and an update of every layer's weights."""

from __future__ import annotations

import numpy as np
import pytest

import netgen
from tests.netrun.solvers_on import solver_on

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
    solver = solver_on(net, np.random.default_rng(0).normal(0, 50, (1, 3, *detector.image_size)))
    weights = {
        layer.name: layer.param[0].lr_mult
        for layer in net.layer
        if layer.type in ("Convolution", "Deconvolution")
    }
    before = {name: solver.net.params[name][0].data.copy() for name in weights}
    solver.step(1)
    assert np.isfinite(solver.net.loss.item())
    for name, lr_mult in weights.items():
        now = solver.net.params[name][0].data
        assert np.isfinite(now).all()
        assert np.array_equal(now, before[name]) == (lr_mult == 0), name
