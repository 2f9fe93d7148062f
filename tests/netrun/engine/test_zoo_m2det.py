"""M2Det trains, with an update at reduced size; its modules compute what the paper prints."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import netgen
import netrun
from netgen.backbones.registry import NeckOnBackbone
from netgen.backbones.vgg16 import VGG16
from netgen.graph import Net
from netgen.necks.m2det import attention, tum
from netgen.zoo.m2det import RELEASED_NECK, VGG_NECK
from tests.netrun.solvers_on import solver_on

SIDE = 288  # pixels: maps of 36, 18, 9, 5, 3 and 1 cells


@pytest.mark.parametrize("release", [False, True])
def test_trains(release: bool) -> None:
    zoo_id, neck = (
        ("m2det320_vgg_coco_release", RELEASED_NECK) if release else ("m2det320_vgg_coco", VGG_NECK)
    )
    run = netgen.configure(zoo_id, size=SIDE, gpus=[], batch_per_gpu=2)
    small = NeckOnBackbone(replace(neck, levels=2, channels=16, sfam=True), VGG16)
    net = replace(run, recipe=replace(run.recipe, features=small)).build("train")
    solver = solver_on(
        net, np.random.default_rng(0).normal(0, 50, (2, 3, SIDE, SIDE)), last_class=80
    )
    before = {
        name: blob.data.copy()
        for name in ("conv1_1", "leach" if release else "leach2", "sfam_1_fc1", "unet2_down3")
        for blob in solver.net.params[name][:1]
    }
    solver.step(1)
    assert np.isfinite(solver.net.loss.item())
    for name, old in before.items():
        new = solver.net.params[name][0].data
        assert np.isfinite(new).all()
        assert not np.array_equal(new, old), f"{name} has not learned"
    assert (solver.net.params["unet1_up5"][0].data == 1).all(), (
        "the ones that repeat cells stay ones"
    )
    shared = np.array_equal(
        solver.net.params["sfam_1_fc1"][0].data, solver.net.params["sfam_4_fc1"][0].data
    )
    assert shared == release


@pytest.mark.parametrize("smooth", [True, False])
@pytest.mark.parametrize(("height", "width"), [(10, 10), (13, 20)])
def test_u_shape_module(height: int, width: int, smooth: bool) -> None:
    """Figure 4 c, written down once more in PyTorch: 10, 5, 3 and 1 cells, and 13, 7, 4, 2 by 20,
    10, 5, 3.
    """
    net = Net("n", "deploy")
    outputs = tum(net, "u", net.input("x", (1, 3, height, width)), 4, 4, smooth=smooth)
    engine = netrun.Net(net.proto, netrun.TEST)
    rng = np.random.default_rng(0)
    for name, blobs in engine.params.items():
        if name.endswith("_bn"):
            for blob, values in zip(
                blobs, (rng.normal(size=4), rng.uniform(0.5, 2, 4), [2]), strict=True
            ):
                blob.data[...] = values
    value = rng.normal(size=(1, 3, height, width)).astype(np.float32)
    engine.blobs["x"].data[...] = value
    engine.forward()

    def learned(name: str) -> list[torch.Tensor]:
        return [torch.from_numpy(blob.data) for blob in engine.params[name]]

    def unit(name: str, x: torch.Tensor, **options: int) -> torch.Tensor:
        (weight,) = learned(name)
        mean, variance, count = learned(f"{name}_bn")
        gamma, beta = learned(f"{name}_scale")
        return F.relu(
            F.batch_norm(
                F.conv2d(x, weight, **options), mean / count, variance / count, gamma, beta
            )
        )

    x = torch.from_numpy(value)
    down2 = unit("u_down2", x, stride=2, padding=1)
    down3 = unit("u_down3", down2, stride=2, padding=1)
    sums = [unit("u_top", unit("u_down4", down3))]
    for scale, source in ((3, down3), (2, down2), (1, x)):
        lateral = unit(f"u_lat{scale}", source, padding=1)
        sums.append(F.interpolate(sums[-1], size=lateral.shape[2:], mode="nearest") + lateral)
    want = [unit(f"u_smooth{4 - i}", y) if smooth and i else y for i, y in enumerate(sums)]
    for blob, expected in zip(outputs, reversed(want), strict=True):
        assert engine.blobs[blob.name].data == pytest.approx(expected.numpy(), abs=1e-5)


def test_attention_by_hand() -> None:
    """Two channels of means 1 and 3, one hidden value: 0.5·1 + 1·3 = 3.5.

    Factors σ(2·3.5 − 7) = 1/2 and σ(−3.5 + 3.5 + ln 3) = 3/4.
    """
    net = Net("n", "deploy")
    attention(net, "se", net.input("x", (1, 2, 1, 2)), "y", shared=False)
    engine = netrun.Net(net.proto, netrun.TEST)
    engine.params["se_fc1"][0].data[...] = [[0.5, 1]]
    engine.params["se_fc2"][0].data[...] = [[2], [-1]]
    engine.params["se_fc2"][1].data[...] = [-7, 3.5 + np.log(3)]
    engine.blobs["x"].data[...] = np.array([[0, 2], [2, 4]]).reshape(1, 2, 1, 2)
    engine.forward()
    assert engine.blobs["y"].data.reshape(2, 2) == pytest.approx(
        np.array([[0, 1], [1.5, 3]]), abs=1e-6
    )
