"""DSOD and GRP-DSOD run and train: the recorded detections, a step at reduced size, and the gates
by hand.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import netgen
import netrun
from netgen.backbones.dsod import Structure
from netgen.blocks.numbered_layers import NumberedLayers
from netgen.graph import Net
from netgen.heads.multibox import MultiBox
from netgen.necks.dsod import gate
from netgen.recipe import Features
from netgen.run import Run
from netgen.zoo.dsod_structures import dense, plain
from tests.netrun.engine.test_golden_nets import check
from tests.netrun.solvers_on import solver_on
from tests.support import SHARED, needs_shared

SIDE = 128  # pixels: maps of 16, 8, 4, 2 and 1 cells, as released without the last
SMALL = Structure(8, 8, 4, blocks=(1, 1, 1, 1))


@needs_shared
def test_the_generated_net_computes_what_is_recorded() -> None:
    """Weights by a formula of the layers' names, detections by the reference Caffe."""
    check(
        SHARED / "golden/nets/dsod300_voc0712.npz",
        netgen.build("dsod300_voc0712_release", "deploy"),
    )


def small(zoo_id: str, features: Features | None = None) -> Run:
    run = netgen.configure(zoo_id, size=SIDE, gpus=[], batch_per_gpu=2)
    recipe = run.recipe
    assert isinstance(recipe.head, MultiBox)
    head = replace(recipe.head, ratios=recipe.head.ratios and recipe.head.ratios[:4])
    return replace(run, recipe=replace(recipe, features=features or recipe.features, head=head))


@pytest.mark.parametrize(
    "detector",
    [
        pytest.param(small("dsod300_voc0712", dense(SMALL)), id="dense"),
        pytest.param(small("dsod300_voc0712_release", dense(SMALL, released=True)), id="released"),
        pytest.param(small("dsod300_voc0712_plain", plain(SMALL)), id="plain"),
        pytest.param(
            small("dsod300_voc0712_plain", plain(replace(SMALL, stem=False))), id="no stem"
        ),
        pytest.param(small("ssd300_voc0712_dense"), id="VGG16"),
        pytest.param(small("grp_dsod320_voc0712_release"), id="GRP"),
    ],
)
def test_trains(detector: Run) -> None:
    net = detector.build("train")
    solver = solver_on(net, np.random.default_rng(0).normal(0, 50, (2, 3, SIDE, SIDE)))
    learns = {
        layer.name: layer.type
        for layer in net.layer
        if layer.type in ("Convolution", "Deconvolution", "Normalize")
    }
    before = {name: solver.net.params[name][0].data.copy() for name in learns}
    solver.step(1)
    assert np.isfinite(solver.net.loss.item())
    for name, old in before.items():
        new = solver.net.params[name][0].data
        assert np.isfinite(new).all()
        assert np.array_equal(new, old) == (learns[name] == "Deconvolution"), name


def test_a_released_gate_is_a_constant() -> None:
    """Weights start at zero: both sigmoids give 1/2, and x becomes x + max(x / 2, 0) / 2, 5/4 of
    what is positive.
    """
    net = Net("gate", "deploy")
    gate(NumberedLayers(net), net.input("x", (2, 32, 3, 3)))
    engine = netrun.Net(net.proto, netrun.TEST)
    x = np.random.default_rng(0).normal(size=(2, 32, 3, 3)).astype(np.float32)
    engine.blobs["x"].data[...] = x
    engine.forward()
    np.testing.assert_allclose(engine.blobs["x_gate"].data, x + np.maximum(x / 2, 0) / 2, rtol=1e-6)


def test_a_gate_weighs_channels_and_maps() -> None:
    """Sixteen channels, one hidden value h, the mean of channel 0.

    Factors σ(h·w) by channel and σ(h·v) as a whole.
    """
    net = Net("gate", "deploy")
    gate(NumberedLayers(net), net.input("x", (2, 16, 1, 2)))
    engine = netrun.Net(net.proto, netrun.TEST)
    rng = np.random.default_rng(1)
    x, w, v = rng.normal(size=(2, 16, 1, 2)), rng.normal(size=16), 0.7
    x[:, 0] = [[[1, 3]], [[0.5, 0.5]]]  # means 2 and 1/2, which ReLU keeps
    engine.params["x_fc"][0].data[...] = np.eye(16)[:1]
    engine.params["InnerProduct1"][0].data[...] = w[:, None]
    engine.params["InnerProduct2"][0].data[...] = v
    engine.blobs["x"].data[...] = x
    engine.forward()
    h = np.array([2, 0.5])
    channels = 1 / (1 + np.exp(-np.outer(h, w)))
    whole = 1 / (1 + np.exp(-h * v))
    want = x + np.maximum(x * channels[:, :, None, None], 0) * whole[:, None, None, None]
    np.testing.assert_allclose(engine.blobs["x_gate"].data, want, rtol=1e-5)
