"""SSD on ResNet-101 and DSSD run: the generated release detects what the reference Caffe does, and narrow ones train."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import netgen
from caffe_ir import caffe_ir_pb2 as pb
from netgen.backbones.registry import RESNET101, Stack
from netgen.backbones.resnet101 import FIXED_STATISTICS, FROZEN, LEARNING, Learning, resnet101
from netgen.recipe import Detector
from netgen.zoo import dssd, get, resnet
from netrun import Solver
from tests.netrun.engine.test_golden_nets import check
from tests.netrun.solvers_on import solver_on
from tests.support import SHARED, needs_shared

SIDE = 97  # pixels: maps of 12, 6, 3 and 1 cells
WIDTH = 1 / 16  # of the channels


@needs_shared
def test_the_generated_release_detects_as_recorded() -> None:
    check(SHARED / "golden/nets/dssd321_voc0712.npz", netgen.build("dssd321_voc0712_release", "deploy"))


def narrow(zoo_id: str, **options) -> Detector:
    """A detector of the zoo with a sixteenth of the channels, for small images. options: of `netgen.zoo.dssd.neck`."""
    features = partial(dssd.neck, width=WIDTH, pixel_offsets=False, **options)
    backbone = replace(RESNET101, build=partial(resnet101, width=WIDTH, learning=options["encoder"]))
    return replace(get(zoo_id), size=SIDE, features=Stack(features, backbone), gpus=[], batch_per_gpu=2)


def train_once(net: pb.NetParameter) -> tuple[Solver, dict[str, np.ndarray]]:
    """One update on two random images with an object each; and every blob that learning may change, as it was before."""
    solver = solver_on(net, np.random.default_rng(0).normal(0, 50, (2, 3, SIDE, SIDE)))
    # Statistics that a trained net would have: those of a new one, variance 0, would make every map 30 times larger.
    for layer in net.layer:
        if layer.type == "BatchNorm":
            for blob, value in zip(solver.net.params[layer.name], (0, 0.01, 1), strict=True):
                blob.data[...] = value
    before = {f"{name}/{i}": blob.data.copy() for name, blobs in solver.net.params.items() for i, blob in enumerate(blobs)}
    solver.step(1)
    return solver, before


@pytest.mark.parametrize(
    ("zoo_id", "encoder", "decoder", "method", "module"),
    [
        ("dssd321_voc0712", FROZEN, LEARNING, "product", "c"),
        ("dssd321_voc0712_sum", FROZEN, LEARNING, "sum", "b"),
        ("dssd321_voc0712_ft_release", FIXED_STATISTICS, FIXED_STATISTICS, "product", "d"),
        ("dssd513_voc0712_ft", LEARNING, LEARNING, "product", "c"),
    ],
)
def test_dssd_trains(zoo_id: str, encoder: Learning, decoder: Learning, method: str, module: str) -> None:
    """What learns has moved, what is frozen has not, and nothing has become infinite."""
    detector = narrow(zoo_id, encoder=encoder, decoder=decoder, method=method, module=module)
    assert_trains(detector.build("train"), frozen=("conv1", "res6_branch1") if encoder == FROZEN else ())


@pytest.mark.parametrize("module", ["a", "c"])
def test_ssd_trains(module: str) -> None:
    features = partial(resnet.neck, width=WIDTH, channels=(16,), module=module, pixel_offsets=False)
    backbone = replace(RESNET101, build=partial(resnet101, width=WIDTH))
    detector = replace(get("ssd321_resnet101"), size=SIDE, features=Stack(features, backbone), gpus=[], batch_per_gpu=2)
    assert_trains(detector.build("train"))


def assert_trains(net: pb.NetParameter, frozen: Sequence[str] = ()) -> None:
    rates = {f"{layer.name}/{i}": param.lr_mult for layer in net.layer for i, param in enumerate(layer.param) if layer.type != "BatchNorm"}
    solver, before = train_once(net)
    assert np.isfinite(solver.net.loss.item())
    assert solver.net.loss.item() > 0
    after = {f"{name}/{i}": blob.data for name, blobs in solver.net.params.items() for i, blob in enumerate(blobs)}
    assert all(np.isfinite(blob).all() for blob in after.values())
    moved = {name for name in rates if not np.array_equal(before[name], after[name])}
    assert not {name for name in moved if not rates[name]}
    assert {name for name in rates if name.startswith("conv1/") and rates[name]} <= moved
    assert all(f"{name}/0" not in moved for name in frozen)
    for kind in ("mbox_loc", "mbox_conf"):
        assert {name for name in rates if kind in name and name.endswith("/1")} & moved
