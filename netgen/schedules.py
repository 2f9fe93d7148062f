"""How long a detector learns, how fast, and over how many GPUs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ssd_common.errors import CaffeError

PIECES = 12  # straight ones of a cosine


@dataclass(frozen=True)
class Segment:
    """A part of a schedule.

    It ends before iteration `until`; the rate moves evenly from `start` to `end`.
    """

    until: int
    start: float
    end: float

    def scaled(self, factor: float) -> Segment:
        """Return the same iterations at `factor` times the rates."""
        return Segment(self.until, self.start * factor, self.end * factor)


@dataclass(frozen=True)
class Schedule:
    """A multistep schedule: the rate is multiplied by gamma at each step, a number of iterations.

    batch: images per iteration over all GPUs and `iter_size` passes.
    per_gpu: the most images that one of the authors' GPUs took.
    segments: what comes before (a warm-up) or instead of the steps, in order of `until`; each is a
        solver of its own (see `solvers.solver_chain`).
    even: the rate falls again after every steps[0] iterations, however many (policy "step").
    test_apart: test in a solver of its own, not while training.
    test_iter: as released, where that is not what the test images take.
    names_gpu: the solver says on which GPU it runs, or leaves it to `caffe train --gpu`.
    test_first: test before the first iteration, too.
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

        The learning rate is in proportion (Goyal et al. 2017).
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
        """Return the same schedule in so many iterations.

        Steps are in proportion, and everything periodic comes at least once.
        Raises CaffeError for fewer than 1.
        """
        if iterations < 1:
            raise CaffeError(f"a run takes at least 1 iteration, not {iterations}")
        steps = sorted({max(1, step * iterations // self.max_iter) for step in self.steps})
        segments: dict[
            int, Segment
        ] = {}  # by their end: of those that shrink to nothing one is left
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
    """How one iteration's images are spread.

    per_gpu images on each of `devices` GPUs (1 for the CPU), iter_size times over.
    wanted: the schedule's batch.
    """

    per_gpu: int
    devices: int
    iter_size: int
    wanted: int

    @property
    def effective(self) -> int:
        """Images that one update of the weights really sees."""
        return self.per_gpu * self.devices * self.iter_size

    def __str__(self) -> str:
        devices = "device" if self.devices == 1 else "devices"
        text = f"batch {self.per_gpu} x {self.devices} {devices} x iter_size {self.iter_size}"
        text = f"{text} = {self.effective}"
        if self.effective == self.wanted:
            return text
        return f"{text}, not the {self.wanted} of the schedule, which these devices do not divide"


def plan(schedule: Schedule, gpus: Sequence[int], per_gpu: int | None = None) -> Plan:
    """Spread the schedule's batch over GPUs so that the effective batch stays.

    Where the devices do not divide it, it comes as near as it can.
    gpus: none for the CPU.
    per_gpu: images per GPU and pass; left out, it is the most that fits in what the authors' GPUs
        took and divides the batch.
    Raises CaffeError for a batch below 1 and a GPU named twice.
    """
    if per_gpu is not None and per_gpu < 1:
        raise CaffeError(f"the batch per GPU is at least 1, not {per_gpu}")
    if len(set(gpus)) < len(gpus) or any(gpu < 0 for gpu in gpus):
        named = ",".join(map(str, gpus))
        raise CaffeError(f"GPUs {named}: each should be named once, counting from 0")
    devices, batch = max(1, len(gpus)), schedule.batch
    if per_gpu is None:
        per_gpu = _fitting(schedule, devices)
    return Plan(per_gpu, devices, max(1, round(batch / (devices * per_gpu))), batch)


def _fitting(schedule: Schedule, devices: int) -> int:
    """Images per device and pass, at most what fits."""
    most = schedule.per_gpu
    # Exactly divided first: the largest that does so without falling below half of what fits.
    for size in range(most, most // 2, -1):
        if schedule.batch % (size * devices) == 0:
            return size
    passes = math.ceil(schedule.batch / (devices * most))
    return max(1, round(schedule.batch / (devices * passes)))


def cosine(until: int, top: float, *, warm_up: int, warm_up_from: float) -> tuple[Segment, ...]:
    """Return the segments of a warm-up and then half a cosine from `top` to 0.

    The cosine is drawn in twelve straight pieces, nowhere off by more than 0.43 % of the top: a
    chord of an arc of π/12 leaves top/2 · (1 − cos(π/24)).
    until: the last iteration.
    warm_up: iterations, from the rate `warm_up_from` up to the top.
    Source: TensorFlow's cosine_decay_learning_rate.
    """
    ends = [warm_up + (until - warm_up) * i // PIECES for i in range(1, PIECES + 1)]
    rates = [top * (1 + math.cos(math.pi * i / PIECES)) / 2 for i in range(PIECES)]
    pairs = itertools.pairwise([*rates, 0.0])
    segments = [Segment(end, *pair) for end, pair in zip(ends, pairs, strict=True)]
    return (Segment(warm_up, warm_up_from, top), *segments)
