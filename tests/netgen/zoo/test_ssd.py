"""SSD on VGG16: the schedules of the authors' released weights."""

from __future__ import annotations

import pytest

import netgen


@pytest.mark.parametrize(
    ("zoo_id", "steps"),
    [
        # VGG_coco_SSD_300x300_iter_400000, VGG_coco_SSD_512x512_iter_360000
        ("ssd300_coco_release", [280_000, 360_000, 400_000]),
        ("ssd512_coco_release", [280_000, 320_000, 360_000]),
        # VGG_VOC0712Plus_SSD_300x300_iter_240000 and 512x512
        ("ssd300_voc0712pp_release", [160_000, 200_000, 240_000]),
        ("ssd512_voc0712pp_release", [160_000, 200_000, 240_000]),
    ],
)
def test_a_release_ends_where_its_weights_were_taken(zoo_id: str, steps: list[int]) -> None:
    (solver,) = netgen.configure(zoo_id).solvers()
    assert list(solver.stepvalue) == steps
    assert solver.max_iter == steps[-1]


@pytest.mark.parametrize("size", [300, 512])
def test_a_release_has_the_papers_net(size: int) -> None:
    release = netgen.build(f"ssd{size}_voc0712pp_release", "train")
    paper = netgen.build(f"ssd{size}_voc0712pp", "train")
    assert release.layer == paper.layer
