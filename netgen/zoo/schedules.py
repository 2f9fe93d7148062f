"""Schedules that detectors of several papers share."""

from __future__ import annotations

from netgen.schedules import Schedule

# SSD on VOC 07+12, 2 x (40k, 10k, 10k): SSD §3.6 doubles its iterations for the "zoom out" canvas.
SSD_VOC = Schedule(
    steps=(80_000, 100_000, 120_000),
    max_iter=120_000,
    snapshot=80_000,
)

# FSSD §4.3 on COCO, Light FSSD (§4.4) included.
FSSD_COCO = Schedule(
    steps=(280_000, 360_000, 400_000),
    max_iter=400_000,
    snapshot=5_000,
    test_interval=5_000,
    per_class=True,
)
