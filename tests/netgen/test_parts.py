"""Priors, schedules and the spread of a batch, beside values worked out by hand."""

from __future__ import annotations

import pytest

import netgen
from netgen.backbones.vgg16 import vgg16
from netgen.blocks.convolution import shrinking
from netgen.graph import Net
from netgen.heads.priors import SSD300, SSD300_SMALL, SSD512, SSD512_SMALL, Scales, derive
from netgen.necks.ssd import ssd_neck
from netgen.schedules import Schedule, plan
from ssd_common.errors import CaffeError

SCHEDULE = Schedule(steps=(800, 1000), max_iter=1000)  # batch 32, at most 8 per GPU


@pytest.mark.parametrize(
    ("scales", "size", "maps", "low", "last"),
    [
        (SSD300, 300, 6, [30, 60, 111, 162, 213, 264], 315),  # step (90 - 20) // 4 = 17 %
        (SSD300_SMALL, 300, 6, [21, 45, 99, 153, 207, 261], 315),  # (90 - 15) // 4 = 18 %
        # (90 - 15) // 5 = 15 %
        (SSD512, 512, 7, [35.84, 76.8, 153.6, 230.4, 307.2, 384, 460.8], 537.6),
        # (90 - 10) // 5 = 16 %
        (SSD512_SMALL, 512, 7, [20.48, 51.2, 133.12, 215.04, 296.96, 378.88, 460.8], 542.72),
        (Scales((10, 20), 20), 100, 5, [10, 20, 43, 66, 89], 112),  # (90 - 20) // 3 = 23 %
    ],
)
def test_prior_sizes(scales: Scales, size: int, maps: int, low: list[float], last: float) -> None:
    priors = derive(scales, size, maps)
    assert [p.min_size for p in priors] == pytest.approx(low)
    assert [p.max_size for p in priors] == pytest.approx([*low[1:], last])
    assert [p.count for p in priors] == [4, *[6] * (maps - 3), 4, 4]


@pytest.mark.parametrize(
    ("size", "cells", "steps"),
    [
        (300, [38, 19, 10, 5, 3, 1], [8, 16, 32, 64, 100, 300]),
        (512, [64, 32, 16, 8, 4, 2, 1], [8, 16, 32, 64, 128, 256, 512]),
    ],
)
def test_ssd_maps_and_steps(size: int, cells: list[int], steps: list[float]) -> None:
    net = Net("n", "deploy")
    image = net.input("data", (1, 3, size, size))
    sources = ssd_neck(net, vgg16(net, image), image)
    assert [s.blob.size for s in sources] == [(c, c) for c in cells]
    assert [s.step for s in sources] == steps


@pytest.mark.parametrize("cells", range(2, 200))
def test_a_pyramid_ends_in_one_cell(cells: int) -> None:
    while cells > 1:
        kernel, pad, stride = shrinking(cells)
        smaller = (cells + 2 * pad - kernel) // stride + 1
        assert 1 <= smaller < cells
        cells = smaller


@pytest.mark.parametrize(
    ("gpus", "per_gpu", "want"),
    [
        ([0, 1, 2, 3], None, (8, 4, 1)),
        ([0, 1], None, (8, 2, 2)),
        ([5], None, (8, 1, 4)),
        ([], None, (8, 1, 4)),  # the CPU counts as one device
        (range(8), None, (4, 8, 1)),
        (range(16), None, (2, 16, 1)),
        ([0, 1], 4, (4, 2, 4)),
        ([0], 32, (32, 1, 1)),
        ([0], 1, (1, 1, 32)),
    ],
)
def test_the_effective_batch_stays(
    gpus: list[int], per_gpu: int | None, want: tuple[int, int, int]
) -> None:
    found = plan(SCHEDULE, list(gpus), per_gpu)
    assert (found.per_gpu, found.devices, found.iter_size) == want
    assert found.effective == 32
    assert "not the" not in str(found)


@pytest.mark.parametrize(
    ("gpus", "per_gpu", "effective"),
    [
        ([0, 1, 2], None, 30),  # 32 / 3 needs two passes of at most 8: 32 / 6 is 5, 5 x 3 x 2
        ([0, 1, 2, 3], 5, 40),  # 32 / 20 is nearer to 2 passes than to 1
        ([0], 64, 64),
        (range(64), None, 64),
    ],
)
def test_a_batch_that_does_not_divide_is_said(
    gpus: list[int], per_gpu: int | None, effective: int
) -> None:
    found = plan(SCHEDULE, list(gpus), per_gpu)
    assert found.effective == effective
    assert f"= {effective}, not the 32" in str(found)


def test_the_nets_carry_the_plan() -> None:
    net = netgen.build("ssd300", "train", gpus=[0, 1])
    solver = netgen.solver("ssd300", gpus=[0, 1])
    assert net.layer[0].data_param.batch_size * 2 * solver.iter_size == 32
    assert solver.device_id == 0
    assert netgen.solver("ssd300", gpus=[3]).device_id == 3
    cpu = netgen.solver("ssd300", gpus=[])
    assert cpu.solver_mode == cpu.CPU
    assert not cpu.HasField("device_id")


@pytest.mark.parametrize(("gpus", "per_gpu"), [([0, 0], None), ([-1], None), ([0], 0)])
def test_impossible_plans_are_refused(gpus: list[int], per_gpu: int | None) -> None:
    with pytest.raises(CaffeError):
        plan(SCHEDULE, gpus, per_gpu)


@pytest.mark.parametrize(
    ("iterations", "steps", "snapshot", "display"),
    [(20, [13, 16, 20], 20, 2), (1, [1], 1, 1), (12_000, [8_000, 10_000, 12_000], 12_000, 10)],
)
def test_a_shorter_run_keeps_the_proportions(
    iterations: int, steps: list[int], snapshot: int, display: int
) -> None:
    solver = netgen.solver("ssd300", iterations=iterations)
    assert (list(solver.stepvalue), solver.max_iter) == (steps, iterations)
    assert (solver.snapshot, solver.display, solver.average_loss) == (snapshot, display, display)
    assert solver.test_interval <= iterations
    assert not solver.test_initialization


def test_a_run_of_nothing_is_refused() -> None:
    with pytest.raises(CaffeError, match="not 0"):
        netgen.solver("ssd300", iterations=0)


def test_without_published_ground_truth_nothing_is_tested_while_training() -> None:
    solver = netgen.solver("ssd300_voc0712pp")
    assert solver.test_interval > solver.max_iter
