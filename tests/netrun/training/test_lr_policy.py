"""The learning rate of every lr policy, computed by hand."""

from __future__ import annotations

import math

import pytest

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from netrun.training.lr_policy import Schedule
from ssd_common.errors import CaffeError


def schedule(fields: str) -> Schedule:
    return Schedule(text.parse(f"base_lr: 0.5 max_iter: 100 {fields}", pb.SolverParameter))


@pytest.mark.parametrize(
    ("fields", "iteration", "expected"),
    [
        ('lr_policy: "fixed"', 7, 0.5),
        ('lr_policy: "step" gamma: 0.5 stepsize: 5', 4, 0.5),
        ('lr_policy: "step" gamma: 0.5 stepsize: 5', 5, 0.25),
        ('lr_policy: "step" gamma: 0.5 stepsize: 5', 10, 0.125),
        ('lr_policy: "exp" gamma: 0.5', 3, 0.5 / 8),
        ('lr_policy: "inv" gamma: 1 power: 2', 3, 0.5 / 16),  # (1 + 1 * 3) ** -2
        ('lr_policy: "poly" power: 2', 50, 0.125),  # (1 - 50 / 100) ** 2
        ('lr_policy: "poly" power: 2', 100, 0.0),
        ('lr_policy: "sigmoid" gamma: -1 stepsize: 8', 8, 0.25),  # half way at stepsize
        ('lr_policy: "sigmoid" gamma: -1 stepsize: 8', 9, 0.5 / (1 + math.e)),
        ('lr_policy: "sigmoid" gamma: -1 stepsize: 8', 100000, 0.0),
    ],
)
def test_rate(fields: str, iteration: int, expected: float) -> None:
    assert schedule(fields).rate(iteration, 0.0) == pytest.approx(expected, rel=1e-6)


def test_multistep_takes_one_step_an_iteration() -> None:
    s = schedule('lr_policy: "multistep" gamma: 0.5 stepvalue: 2 stepvalue: 3')
    assert [s.rate(i, 0.0) for i in range(5)] == [0.5, 0.5, 0.25, 0.125, 0.125]
    late = schedule('lr_policy: "multistep" gamma: 0.5 stepvalue: 2 stepvalue: 3')
    assert [late.rate(i, 0.0) for i in (10, 11, 12)] == [
        0.25,
        0.125,
        0.125,
    ]  # as Caffe, whose test is an if, no while


def test_plateau_counts_from_the_last_minimum() -> None:
    s = schedule('lr_policy: "plateau" gamma: 0.5 plateau_winsize: 2 plateau_winsize: 3')
    losses = [4, 3, 3, 3, 3, 2, 2, 2, 2, 2]
    # minimum at 1; two iterations on, at 3, the first lowering; minimum at 5; three on, at 8, the
    # second
    assert [s.rate(i, loss) for i, loss in enumerate(losses)] == [0.5] * 3 + [0.25] * 5 + [
        0.125
    ] * 2
    assert (s.current_step, s.minimum_loss, s.last_event) == (2, 2, 8)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ('lr_policy: "multistop"', "did you mean 'multistep'"),
        ("", "set it to one of fixed, step"),
        ('lr_policy: "step" gamma: 0.1', "stepsize"),
    ],
)
def test_refuses(fields: str, message: str) -> None:
    with pytest.raises(CaffeError, match=message):
        schedule(fields)
