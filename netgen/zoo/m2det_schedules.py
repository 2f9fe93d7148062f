"""M2Det's schedules: the paper's ("Implementation details") and the authors' configurations."""

from __future__ import annotations

from netgen.datasets import COCO
from netgen.schedules import Schedule, Segment

WARM_UP_FROM = 1e-6  # `end_lr` of the released configurations
EPOCH = COCO.train_images // 32  # 118,287 // 32 = 3,696 iterations
PAPER = Schedule(
    steps=(90 * EPOCH, 120 * EPOCH),
    max_iter=150 * EPOCH,
    base_lr=2e-3,
    batch=32,
    segments=(Segment(5 * EPOCH, WARM_UP_FROM, 2e-3),),
    snapshot=10 * EPOCH,
    test_interval=10 * EPOCH,
)


def released_schedule(batch: int) -> Schedule:
    """Return the schedule of the released configurations, on one GPU (train.py: --ngpu 1).

    batch: images per iteration.
    """
    epoch = COCO.train_images // batch  # 7,392 iterations of 16
    return Schedule(
        steps=(130 * epoch, 150 * epoch),
        max_iter=160 * epoch,
        base_lr=4e-4,
        batch=batch,
        per_gpu=batch,
        gpus=(0,),
        segments=(
            Segment(5 * epoch, WARM_UP_FROM, 4e-3),
            Segment(90 * epoch, 4e-3, 4e-3),
            Segment(110 * epoch, 2e-3, 2e-3),
        ),
        snapshot=10 * epoch,
        test_interval=10 * epoch,
    )
