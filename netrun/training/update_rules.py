"""Update rules of Caffe's solvers: SGD, Nesterov, AdaGrad, RMSProp, AdaDelta and Adam.

Every rule works on lists of tensors that share one local learning rate, so that a net of many
small blobs costs a few kernel launches.
Source: weiliu89/caffe, src/caffe/solvers/*.cpp.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from caffe_ir import caffe_ir_pb2 as pb

Tensors = list[Tensor]


@dataclass(frozen=True)
class Work:
    """The tensors that a rule updates, and its numbers.

    p: the solver.
    w: weights.
    g: gradients, which the rule may overwrite.
    h, h2: first and second history.
    rate: the learning rate, times lr_mult.
    """

    p: pb.SolverParameter
    w: Tensors
    g: Tensors
    h: Tensors
    h2: Tensors
    rate: float
    iteration: int


def _sgd(x: Work) -> None:
    torch._foreach_mul_(x.h, x.p.momentum)
    torch._foreach_add_(x.h, x.g, alpha=x.rate)
    torch._foreach_sub_(x.w, x.h)


def _nesterov(x: Work) -> None:
    torch._foreach_add_(x.w, x.h, alpha=x.p.momentum)
    torch._foreach_mul_(x.h, x.p.momentum)
    torch._foreach_add_(x.h, x.g, alpha=x.rate)
    torch._foreach_sub_(x.w, x.h, alpha=1 + x.p.momentum)


def _adagrad(x: Work) -> None:
    torch._foreach_addcmul_(x.h, x.g, x.g)
    _descend(x.w, x.g, x.h, x.p.delta, x.rate)


def _rmsprop(x: Work) -> None:
    _average_squares(x.h, x.g, x.p.rms_decay)
    _descend(x.w, x.g, x.h, x.p.delta, x.rate)


def _adadelta(x: Work) -> None:
    _average_squares(x.h, x.g, x.p.momentum)
    ratio = torch._foreach_add(x.h2, x.p.delta)
    torch._foreach_div_(ratio, torch._foreach_add(x.h, x.p.delta))
    torch._foreach_sqrt_(ratio)
    torch._foreach_mul_(x.g, ratio)  # from here on, g is the update before its learning rate
    _average_squares(x.h2, x.g, x.p.momentum)
    torch._foreach_add_(x.w, x.g, alpha=-x.rate)


def _adam(x: Work) -> None:
    t = x.iteration + 1
    correction = (1 - x.p.momentum2**t) ** 0.5 / (1 - x.p.momentum**t)
    torch._foreach_mul_(x.h, x.p.momentum)
    torch._foreach_add_(x.h, x.g, alpha=1 - x.p.momentum)
    _average_squares(x.h2, x.g, x.p.momentum2)
    _descend(x.w, x.h, x.h2, x.p.delta, x.rate * correction)


def _average_squares(h: Tensors, g: Tensors, decay: float) -> None:
    """h = decay * h + (1 - decay) * g^2"""
    torch._foreach_mul_(h, decay)
    torch._foreach_addcmul_(h, g, g, 1 - decay)


def _descend(
    w: Tensors,
    g: Tensors,
    squares: Tensors,
    delta: float,
    rate: float,
) -> None:
    """w -= rate * g / (sqrt(squares) + delta)"""
    roots = torch._foreach_sqrt(squares)
    torch._foreach_add_(roots, delta)
    torch._foreach_addcdiv_(w, g, roots, -rate)


RULES: dict[str, Callable[[Work], None]] = {
    "SGD": _sgd,
    "Nesterov": _nesterov,
    "AdaGrad": _adagrad,
    "RMSProp": _rmsprop,
    "AdaDelta": _adadelta,
    "Adam": _adam,
}
TWO_HISTORIES = ("AdaDelta", "Adam")
