"""Schedules: how long a detector learns, at what rate, and on how many GPUs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ssd_common.errors import CaffeError
from ssd_common.words import counted

PIECES = 12  # straight lines that stand for a cosine


@dataclass(frozen=True)
class Segment:
    """A part of a schedule in which the learning rate follows a straight line.

    until: the iteration that the segment ends before.
    start, end: the rate at both ends.
    """

    until: int
    start: float
    end: float

    def scaled(self, factor: float) -> Segment:
        """Return the same segment at `factor` times the rates."""
        return Segment(self.until, self.start * factor, self.end * factor)


@dataclass(frozen=True)
class Schedule:
    """A multistep schedule: at each step the learning rate is multiplied by gamma.

    steps: the iterations of the steps.
    batch: images per iteration, over all GPUs and `iter_size` passes.
    per_gpu: the most images per pass that one of the authors' GPUs took.
    gpus: numbers of the authors' GPUs, none for the CPU.
    test_batch: images per pass of a test.
    snapshot, test_interval, display: iterations from one to the next.
    segments: straight lines before the steps (a warm-up) or in place of them, ordered by `until`;
        each becomes a solver of its own (see `solvers.solver_chain`).
    even: the rate falls after every steps[0] iterations, without end (policy "step").
    test_apart: a solver of its own tests; the training solver does not.
    test_iter: passes of a test, as released; 0 for as many as cover the test images.
    names_gpu: the solver names its GPU; otherwise `caffe train --gpu` does.
    test_first: test before the first iteration, too.
    per_class: log the average precision of every class.
    average_loss: iterations over which the logged loss is averaged; 0 for `display`.
    """

    steps: tuple[int, ...]
    max_iter: int
    # SSD's 4e-5 for one image of one GPU, ×25 because the VALID normalisation divides by the
    # matched boxes, not by the images.
    base_lr: float = 4e-5 * 25
    batch: int = 32
    per_gpu: int = 8
    gpus: tuple[int, ...] = (0, 1, 2, 3)
    test_batch: int = 8
    snapshot: int = 10000
    test_interval: int = 10000
    momentum: float = 0.9
    weight_decay: float = 0.0005
    display: int = 10
    per_class: bool = False  # log each class's average precision, not only their mean
    segments: tuple[Segment, ...] = ()
    gamma: float = 0.1
    even: bool = False
    test_apart: bool = False
    type: str = "SGD"  # of solver; AdaGrad and RMSProp take no momentum: 0
    test_iter: int = 0
    names_gpu: bool = True
    test_first: bool = False
    average_loss: int = 0

    def with_batch(self, images: int) -> Schedule:
        """Return the same schedule with another effective batch.

        The learning rate changes in proportion (Goyal et al. 2017).

        Raises CaffeError for a batch below 1.
        """
        if images < 1:
            raise CaffeError(f"a batch has at least 1 image, not {images}")
        factor = images / self.batch
        return replace(
            self,
            batch=images,
            per_gpu=min(self.per_gpu, images),
            base_lr=self.base_lr * factor,
            segments=tuple(segment.scaled(factor) for segment in self.segments),
        )

    def shortened(self, iterations: int) -> Schedule:
        """Return the same schedule in another number of iterations.

        Steps move in proportion; tests, snapshots and log lines come at least once.

        Raises CaffeError for fewer than 1.
        """
        if iterations < 1:
            raise CaffeError(f"a run takes at least 1 iteration, not {iterations}")
        steps = sorted({max(1, step * iterations // self.max_iter) for step in self.steps})
        # By their ends: where several segments shrink to the same end, the last one stays.
        segments: dict[int, Segment] = {}
        for segment in self.segments:
            until = segment.until * iterations // self.max_iter
            if until:
                segments[until] = replace(segment, until=until)
        return replace(
            self,
            steps=tuple(steps),
            segments=tuple(segments.values()),
            max_iter=iterations,
            snapshot=min(self.snapshot, iterations),
            test_interval=min(self.test_interval, iterations),
            display=max(1, min(self.display, iterations // 10)),
        )


@dataclass(frozen=True)
class Plan:
    """How the images of one iteration are spread over devices and passes.

    per_gpu: images per device and pass.
    devices: number of GPUs; 1 for the CPU.
    iter_size: passes per iteration.
    wanted: the schedule's batch in images.
    """

    per_gpu: int
    devices: int
    iter_size: int
    wanted: int

    @property
    def effective(self) -> int:
        """Images that one update of the weights averages over."""
        return self.per_gpu * self.devices * self.iter_size

    def __str__(self) -> str:
        devices = counted(self.devices, "device")
        factors = f"batch {self.per_gpu} x {devices} x iter_size {self.iter_size}"
        text = f"{factors} = {self.effective}"
        if self.effective == self.wanted:
            return text
        return f"{text}, not the {self.wanted} of the schedule, which these devices do not divide"


def plan(schedule: Schedule, gpus: Sequence[int], per_gpu: int | None = None) -> Plan:
    """Spread the schedule's batch over GPUs, so that the effective batch stays the same.

    Where the devices do not divide the batch, the effective one is as near to it as possible.

    gpus: numbers of the GPUs, none for the CPU.
    per_gpu: images per GPU and pass; where left out, the most that the authors' GPUs took and that
        divides the batch.

    Raises CaffeError for a batch below 1 and a GPU named twice.
    """
    if per_gpu is not None and per_gpu < 1:
        raise CaffeError(f"the batch per GPU is at least 1, not {per_gpu}")
    named_twice = len(set(gpus)) < len(gpus)
    if named_twice or any(gpu < 0 for gpu in gpus):
        named = ",".join(map(str, gpus))
        raise CaffeError(f"GPUs {named}: each should be named once, counting from 0")
    devices = max(1, len(gpus))
    if per_gpu is None:
        per_gpu = _batch_per_device(schedule, devices)
    passes = round(schedule.batch / (devices * per_gpu))
    return Plan(
        per_gpu=per_gpu,
        devices=devices,
        iter_size=max(1, passes),
        wanted=schedule.batch,
    )


def _batch_per_device(schedule: Schedule, devices: int) -> int:
    """Return the images per device and pass, at most the schedule's `per_gpu`."""
    most = schedule.per_gpu
    # The largest number that divides the batch, as long as it is more than half of `most`.
    for size in range(most, most // 2, -1):
        if schedule.batch % (size * devices) == 0:
            return size
    passes = math.ceil(schedule.batch / (devices * most))
    return max(1, round(schedule.batch / (devices * passes)))


def cosine(until: int, top: float, *, warm_up: int, warm_up_from: float) -> tuple[Segment, ...]:
    """Return the segments of a warm-up and then half a cosine from `top` to 0.

    Twelve straight lines stand for the cosine, nowhere off by more than 0.43 % of the top: a chord
    of an arc of π/12 leaves top/2 · (1 − cos(π/24)).

    until: the last iteration.
    top: the highest rate.
    warm_up: iterations of the warm-up.
    warm_up_from: the rate that the warm-up starts at.

    Source: TensorFlow's cosine_decay_learning_rate.
    """
    ends = [warm_up + (until - warm_up) * i // PIECES for i in range(1, PIECES + 1)]
    rates = [top * (1 + math.cos(math.pi * i / PIECES)) / 2 for i in range(PIECES)]
    pairs = itertools.pairwise([*rates, 0.0])
    segments = [Segment(end, *pair) for end, pair in zip(ends, pairs, strict=True)]
    return (Segment(warm_up, warm_up_from, top), *segments)
