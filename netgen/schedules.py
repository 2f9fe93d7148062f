"""How long a detector learns, how fast, over how many GPUs: a paper's schedule and the solver that carries it out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from caffe_ir import caffe_ir_pb2 as pb
from ssd_common.errors import CaffeError


@dataclass(frozen=True)
class Segment:
    """A part of a schedule that ends before iteration `until` and on which the rate moves evenly from `start` to `end`."""

    until: int
    start: float
    end: float

    def scaled(self, factor: float) -> Segment:
        """Return the same iterations at `factor` times the rates."""
        return Segment(self.until, self.start * factor, self.end * factor)


@dataclass(frozen=True)
class Schedule:
    """A multistep schedule: the rate is multiplied by gamma at each step, a number of iterations.

    batch: images per iteration over all GPUs and `iter_size` passes. per_gpu: the most that one GPU took at the authors'.
    segments: what comes before (a warm-up) or instead of the steps, in order of `until`; each is a solver of its own (see `solver_chain`).
    """

    steps: tuple[int, ...]
    max_iter: int
    # SSD's 4e-5 for one image of one GPU, ×25 because the VALID normalisation divides by the matched boxes, not by the images.
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
    even: bool = False  # the rate falls again after every steps[0] iterations, however many (policy "step")
    test_apart: bool = False  # test in a solver of its own, not while training
    type: str = "SGD"  # of solver; AdaGrad and RMSProp take no momentum: 0
    test_iter: int = 0  # as released, where that is not what the test images take
    names_gpu: bool = True  # the solver says on which GPU it runs, or leaves it to `caffe train --gpu`
    test_first: bool = False  # test before the first iteration, too
    average_loss: int = 0  # iterations over which the logged loss is averaged; 0 for `display`

    def with_batch(self, images: int) -> Schedule:
        """The same schedule with another effective batch, and a learning rate in proportion (Goyal et al. 2017). Raises CaffeError."""
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
        """The same schedule in so many iterations: steps in proportion, everything periodic at least once. Raises CaffeError."""
        if iterations < 1:
            raise CaffeError(f"a run takes at least 1 iteration, not {iterations}")
        steps = sorted({max(1, step * iterations // self.max_iter) for step in self.steps})
        segments: dict[int, Segment] = {}  # by their end: of those that shrink to nothing one is left
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
    """How one iteration's images are spread: per_gpu images on each of `devices` GPUs (1 for the CPU), iter_size times over."""

    per_gpu: int
    devices: int
    iter_size: int
    wanted: int

    @property
    def effective(self) -> int:
        """Images that one update of the weights really sees."""
        return self.per_gpu * self.devices * self.iter_size

    def __str__(self) -> str:
        text = f"batch {self.per_gpu} x {self.devices} device{'s' * (self.devices > 1)} x iter_size {self.iter_size} = {self.effective}"
        return (
            text if self.effective == self.wanted else f"{text}, not the {self.wanted} of the schedule, which these devices do not divide"
        )


def plan(schedule: Schedule, gpus: Sequence[int], per_gpu: int | None = None) -> Plan:
    """Spread the schedule's batch over these GPUs (none: the CPU) so that the effective batch stays, or comes as near as it can.

    per_gpu: images per GPU and pass; left out, it is the most that fits in what the authors' GPUs took and divides the batch.
    Raises CaffeError for a batch below 1 and a GPU named twice.
    """
    if per_gpu is not None and per_gpu < 1:
        raise CaffeError(f"the batch per GPU is at least 1, not {per_gpu}")
    if len(set(gpus)) < len(gpus) or any(gpu < 0 for gpu in gpus):
        raise CaffeError(f"GPUs {','.join(map(str, gpus))}: each should be named once, counting from 0")
    devices, batch = max(1, len(gpus)), schedule.batch
    if per_gpu is None:
        # Exactly divided first: the largest batch that does so without falling below half of what fits.
        exact = [b for b in range(schedule.per_gpu, schedule.per_gpu // 2, -1) if batch % (b * devices) == 0]
        passes = math.ceil(batch / (devices * schedule.per_gpu))
        per_gpu = exact[0] if exact else max(1, round(batch / (devices * passes)))
    return Plan(per_gpu, devices, max(1, round(batch / (devices * per_gpu))), batch)


def solver_message(
    schedule: Schedule,
    iter_size: int,
    gpus: Sequence[int],
    *,
    train_net: str,
    test_net: str,
    snapshot_prefix: str,
    test_images: int,
    ap_version: str,
    test_labels: bool = True,
) -> pb.SolverParameter:
    """The SolverParameter of a schedule, in the SSD fork's form (SGD, detection evaluation).

    test_iter covers every test image at least once. test_labels: False puts the first test after the last iteration.
    """
    message = pb.SolverParameter(
        train_net=train_net,
        test_net=[test_net],
        test_iter=[schedule.test_iter or math.ceil(test_images / schedule.test_batch)],
        test_interval=schedule.test_interval if test_labels else max(schedule.test_interval, schedule.max_iter + 1),
        base_lr=schedule.base_lr,
        display=schedule.display,
        max_iter=schedule.max_iter,
        gamma=schedule.gamma,
        momentum=schedule.momentum or None,
        weight_decay=schedule.weight_decay,
        snapshot=schedule.snapshot,
        snapshot_prefix=snapshot_prefix,
        solver_mode=pb.SolverParameter.GPU if gpus else pb.SolverParameter.CPU,
        debug_info=False,
        snapshot_after_train=True,
        test_initialization=schedule.test_first,
        average_loss=schedule.average_loss or schedule.display,
        iter_size=iter_size,
        type=schedule.type,
        eval_type="detection",
        ap_version=ap_version,
    )
    if schedule.even:
        message.lr_policy, message.stepsize = "step", schedule.steps[0]
    else:
        message.lr_policy = "multistep"
        message.stepvalue.extend(schedule.steps)
    if gpus and schedule.names_gpu:
        message.device_id = gpus[0]
    if schedule.per_class:
        message.show_per_class_result = True
    return message


def without_tests(whole: pb.SolverParameter) -> pb.SolverParameter:
    """The same training, untested."""
    message = pb.SolverParameter()
    message.CopyFrom(whole)
    for field in ("test_net", "test_iter", "test_interval", "test_initialization", "eval_type", "ap_version", "show_per_class_result"):
        message.ClearField(field)
    return message


def tests_alone(whole: pb.SolverParameter) -> pb.SolverParameter:
    """The same tests, once, without any training: a solver to run with the weights to be tested."""
    message = pb.SolverParameter()
    message.CopyFrom(whole)
    message.max_iter, message.test_initialization, message.snapshot_after_train = 0, True, False
    return message


def cosine(until: int, top: float, *, warm_up: int, warm_up_from: float, pieces: int = 12) -> tuple[Segment, ...]:
    """The segments of a warm-up and then half a cosine from `top` to 0, in so many straight pieces.

    Source: TensorFlow's cosine_decay_learning_rate.
    Twelve of them are nowhere off by more than 0.43 % of the top: a chord of an arc of π/12 leaves top/2 · (1 − cos(π/24)).
    """
    ends = [warm_up + (until - warm_up) * i // pieces for i in range(pieces + 1)]
    rates = [top * (1 + math.cos(math.pi * i / pieces)) / 2 for i in range(pieces)] + [0.0]
    segments = [Segment(end, *rate) for end, rate in zip(ends[1:], itertools.pairwise(rates), strict=True)]
    return (Segment(warm_up, warm_up_from, top), *segments)


def solver_chain(schedule: Schedule, final: pb.SolverParameter) -> list[pb.SolverParameter]:
    """The solvers that carry out a schedule one after the other; only `final`, that of the steps, where it has no segments.

    Each starts from the snapshot that the one before it leaves at its max_iter, momentum included. Caffe goes on counting iterations
    from there, so every solver's iterations are those of the whole run. A segment is the policy "inv" with power −1, whose rate
    base_lr·(1 + gamma·iteration) is a straight line; it leaves the snapshot's count of steps taken at 0, where "multistep" takes over.
    Raises CaffeError for segments that do not follow each other, and a rate that is not positive.
    """
    chain = []
    start = 0
    for segment in schedule.segments:
        if not start < segment.until <= schedule.max_iter:
            raise CaffeError(
                f"a segment of the schedule that starts at iteration {start} cannot end at "
                f"{segment.until} of {schedule.max_iter}"
            )
        chain.append(_segment_solver(segment, start, final))
        start = segment.until
    return chain if start == schedule.max_iter else [*chain, final]


def _segment_solver(segment: Segment, start: int, final: pb.SolverParameter) -> pb.SolverParameter:
    """The solver of one segment, which begins at iteration `start`."""
    if segment.start <= 0 or segment.end < 0:
        raise CaffeError(
            f"a learning rate is positive; a segment goes from {segment.start:g} to {segment.end:g}"
        )
    solver = pb.SolverParameter()
    solver.CopyFrom(final)
    solver.ClearField("stepvalue")
    solver.ClearField("stepsize")
    solver.max_iter = segment.until
    slope = (segment.end - segment.start) / (segment.until - start)
    if not slope:
        solver.lr_policy, solver.base_lr = "fixed", segment.start
        solver.ClearField("gamma")
        return solver
    at_zero = segment.start - slope * start
    if not at_zero:
        raise CaffeError(
            f"no solver has a learning rate that is {slope:g} times the iteration: "
            "begin the schedule above 0"
        )
    solver.lr_policy, solver.base_lr = "inv", at_zero
    solver.gamma, solver.power = slope / at_zero, -1
    return solver
