"""SSD on ResNet-101 and DSSD run: the generated release detects what the reference Caffe does, and
narrow ones train.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import netgen
from caffe_ir import caffe_ir_pb2 as pb
from netgen.backbones.registry import NeckOnBackbone
from netgen.backbones.resnet101 import RESNET101, resnet101
from netgen.blocks.residual import FROZEN, GIVEN_STATISTICS, LEARNING, Learning
from netgen.zoo import resnet
from netgen.zoo.dssd import Decoder
from netrun import Solver
from tests.netrun.engine.test_golden_nets import check
from tests.netrun.solvers_on import solver_on
from tests.support import SHARED, needs_shared

SIDE = 97  # pixels: maps of 12, 6, 3 and 1 cells


@needs_shared
def test_the_generated_release_detects_as_recorded() -> None:
    check(
        SHARED / "golden/nets/dssd321_voc0712.npz",
        netgen.build("dssd321_voc0712_release", "deploy"),
    )


def narrow(zoo_id: str, features: NeckOnBackbone) -> pb.NetParameter:
    """A detector's training net for small images, with 1/16 of the channels below its heads."""
    run = netgen.configure(zoo_id, size=SIDE, gpus=[], batch_per_gpu=2)
    net = replace(run, recipe=replace(run.recipe, features=features)).build("train")
    for layer in net.layer:
        if layer.type in ("Convolution", "Deconvolution") and "_mbox_" not in layer.name:
            layer.convolution_param.num_output = max(1, layer.convolution_param.num_output // 16)
    return net


def train_once(net: pb.NetParameter) -> tuple[Solver, dict[str, np.ndarray]]:
    """One update on two random images with an object each.

    Also returns every blob that learning may change, as it was before.
    """
    solver = solver_on(net, np.random.default_rng(0).normal(0, 50, (2, 3, SIDE, SIDE)))
    # Statistics that a trained net would have: those of a new one, variance 0, would make every map
    # 30 times larger.
    for layer in net.layer:
        if layer.type == "BatchNorm":
            for blob, value in zip(solver.net.params[layer.name], (0, 0.01, 1), strict=True):
                blob.data[...] = value
    before = {
        f"{name}/{i}": blob.data.copy()
        for name, blobs in solver.net.params.items()
        for i, blob in enumerate(blobs)
    }
    solver.step(1)
    return solver, before


@pytest.mark.parametrize(
    ("zoo_id", "encoder", "decoder", "method", "module"),
    [
        ("dssd321_voc0712", FROZEN, LEARNING, "product", "c"),
        ("dssd321_voc0712_sum", FROZEN, LEARNING, "sum", "b"),
        ("dssd321_voc0712_ft_release", GIVEN_STATISTICS, GIVEN_STATISTICS, "product", "d"),
        ("dssd513_voc0712_ft", LEARNING, LEARNING, "product", "c"),
    ],
)
def test_dssd_trains(
    zoo_id: str, encoder: Learning, decoder: Learning, method: str, module: str
) -> None:
    """What learns has moved, what is frozen has not, and nothing has become infinite."""
    neck = Decoder(module, method, encoder, decoder)
    backbone = replace(RESNET101, build=partial(resnet101, learning=encoder))
    assert_trains(
        narrow(zoo_id, NeckOnBackbone(neck, backbone)),
        frozen=("conv1", "res6_branch1") if encoder == FROZEN else (),
    )


@pytest.mark.parametrize("module", ["a", "c"])
def test_ssd_trains(module: str) -> None:
    features = NeckOnBackbone(partial(resnet.neck, module=module), RESNET101)
    assert_trains(narrow("ssd321_resnet101", features))


def assert_trains(net: pb.NetParameter, frozen: Sequence[str] = ()) -> None:
    rates = {
        f"{layer.name}/{i}": param.lr_mult
        for layer in net.layer
        for i, param in enumerate(layer.param)
        if layer.type != "BatchNorm"
    }
    solver, before = train_once(net)
    assert np.isfinite(solver.net.loss.item())
    assert solver.net.loss.item() > 0
    after = {
        f"{name}/{i}": blob.data
        for name, blobs in solver.net.params.items()
        for i, blob in enumerate(blobs)
    }
    assert all(np.isfinite(blob).all() for blob in after.values())
    moved = {name for name in rates if not np.array_equal(before[name], after[name])}
    assert not {name for name in moved if not rates[name]}
    assert {name for name in rates if name.startswith("conv1/") and rates[name]} <= moved
    assert all(f"{name}/0" not in moved for name in frozen)
    for kind in ("mbox_loc", "mbox_conf"):
        assert {name for name in rates if kind in name and name.endswith("/1")} & moved
