"""Solvers: the messages that carry out a schedule."""

from __future__ import annotations

import math
from collections.abc import Sequence

from caffe_ir import caffe_ir_pb2 as pb
from netgen.datasets import Dataset
from netgen.schedules import Schedule, Segment
from ssd_common.errors import CaffeError

# A solver's fields about tests.
_TESTING = (
    "test_net",
    "test_iter",
    "test_interval",
    "test_initialization",
    "eval_type",
    "ap_version",
    "show_per_class_result",
)


def solver_message(
    schedule: Schedule,
    dataset: Dataset,
    iter_size: int,
    gpus: Sequence[int],
    *,
    folder: str,
    snapshot_prefix: str,
) -> pb.SolverParameter:
    """Return the solver of a schedule, with the SSD fork's detection evaluation.

    test_iter covers every test image at least once. Where the data set's ground truth is not
    published, test_interval lies beyond the last iteration.

    iter_size: passes per iteration.
    gpus: numbers of the GPUs, none for the CPU.
    folder: folder of the nets.
    snapshot_prefix: beginning of the paths of snapshots.
    """
    test_interval = schedule.test_interval
    if not dataset.test_labels:
        test_interval = max(test_interval, schedule.max_iter + 1)
    test_iter = schedule.test_iter or math.ceil(dataset.test_images / schedule.test_batch)
    mode = pb.SolverParameter.CPU
    if gpus:
        mode = pb.SolverParameter.GPU
    message = pb.SolverParameter(
        train_net=f"{folder}/train.prototxt",
        test_net=[f"{folder}/test.prototxt"],
        test_iter=[test_iter],
        test_interval=test_interval,
        base_lr=schedule.base_lr,
        display=schedule.display,
        max_iter=schedule.max_iter,
        gamma=schedule.gamma,
        momentum=schedule.momentum or None,
        weight_decay=schedule.weight_decay,
        snapshot=schedule.snapshot,
        snapshot_prefix=snapshot_prefix,
        solver_mode=mode,
        debug_info=False,
        snapshot_after_train=True,
        test_initialization=schedule.test_first,
        average_loss=schedule.average_loss or schedule.display,
        iter_size=iter_size,
        type=schedule.type,
        eval_type="detection",
        ap_version=dataset.ap_version,
    )
    if schedule.even:
        message.lr_policy = "step"
        message.stepsize = schedule.steps[0]
    else:
        message.lr_policy = "multistep"
        message.stepvalue.extend(schedule.steps)
    if gpus and schedule.names_gpu:
        message.device_id = gpus[0]
    if schedule.per_class:
        message.show_per_class_result = True
    return message


def without_tests(whole: pb.SolverParameter) -> pb.SolverParameter:
    """Return the same solver without its tests."""
    message = pb.SolverParameter()
    message.CopyFrom(whole)
    for field in _TESTING:
        message.ClearField(field)
    return message


def tests_alone(whole: pb.SolverParameter) -> pb.SolverParameter:
    """Return a solver that runs the same tests once on given weights, and trains nothing."""
    message = pb.SolverParameter()
    message.CopyFrom(whole)
    message.max_iter = 0
    message.test_initialization = True
    message.snapshot_after_train = False
    return message


def solver_chain(schedule: Schedule, final: pb.SolverParameter) -> list[pb.SolverParameter]:
    """Return the solvers that carry out a schedule one after the other.

    Each starts from the snapshot that the one before it leaves at its max_iter, momentum included.
    Caffe goes on counting iterations from there, so every solver's iterations are those of the
    whole run. A segment becomes the policy "inv" with power −1, whose rate
    base_lr·(1 + gamma·iteration) is a straight line; it leaves the snapshot's count of steps at 0,
    where "multistep" takes over.

    final: the solver of the steps, the only one of a schedule without segments.

    Raises CaffeError for segments that do not follow each other, and a rate that is not positive.
    """
    chain: list[pb.SolverParameter] = []
    start = 0
    for segment in schedule.segments:
        if not start < segment.until <= schedule.max_iter:
            raise CaffeError(
                f"a segment of the schedule that starts at iteration {start} cannot end at "
                f"{segment.until} of {schedule.max_iter}"
            )
        chain.append(_segment_solver(segment, start, final))
        start = segment.until
    if start < schedule.max_iter:
        chain.append(final)
    return chain


def _segment_solver(segment: Segment, start: int, final: pb.SolverParameter) -> pb.SolverParameter:
    """Return the solver of one segment, which begins at iteration `start`."""
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
        solver.lr_policy = "fixed"
        solver.base_lr = segment.start
        solver.ClearField("gamma")
        return solver
    at_zero = segment.start - slope * start
    if not at_zero:
        raise CaffeError(
            f"no solver has a learning rate that is {slope:g} times the iteration: "
            "begin the schedule above 0"
        )
    solver.lr_policy = "inv"
    solver.base_lr = at_zero
    solver.gamma = slope / at_zero
    solver.power = -1
    return solver
