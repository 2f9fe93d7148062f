"""Update rules: from gradients to new weights, as Caffe's solvers do it (weiliu89/caffe, src/caffe/solvers/*.cpp).

Every rule works on lists of tensors that share one local learning rate, so that a net of many small blobs costs a few
kernel launches. Caffe's order holds throughout: clip, divide by iter_size, add the weight decay, update.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from caffe_ir import caffe_ir_pb2 as pb
from netrun.runtime import log
from ssd_common.errors import CaffeError
from ssd_common.suggest import suggest


class Learnable(Protocol):
    """What an update needs of a parameter blob: its leaf tensor, whose `.grad` is None where no gradient reached it."""

    tensor: Tensor
    lr_mult: float
    decay_mult: float


Tensors = list[Tensor]


@dataclass(frozen=True)
class _Group:
    """Parameters of one lr_mult and decay_mult, as indices into the list of all."""

    lr_mult: float
    decay_mult: float
    members: list[int]


@dataclass(frozen=True)
class _Work:
    """What a rule updates: weights, gradients (which it may spend), first and second history; rate with its lr_mult."""

    p: pb.SolverParameter
    w: Tensors
    g: Tensors
    h: Tensors
    h2: Tensors
    rate: float
    iteration: int


def _sgd(x: _Work) -> None:
    torch._foreach_mul_(x.h, x.p.momentum)
    torch._foreach_add_(x.h, x.g, alpha=x.rate)
    torch._foreach_sub_(x.w, x.h)


def _nesterov(x: _Work) -> None:
    torch._foreach_add_(x.w, x.h, alpha=x.p.momentum)
    torch._foreach_mul_(x.h, x.p.momentum)
    torch._foreach_add_(x.h, x.g, alpha=x.rate)
    torch._foreach_sub_(x.w, x.h, alpha=1 + x.p.momentum)


def _adagrad(x: _Work) -> None:
    torch._foreach_addcmul_(x.h, x.g, x.g)
    _descend(x.w, x.g, x.h, x.p.delta, x.rate)


def _rmsprop(x: _Work) -> None:
    _average_squares(x.h, x.g, x.p.rms_decay)
    _descend(x.w, x.g, x.h, x.p.delta, x.rate)


def _adadelta(x: _Work) -> None:
    _average_squares(x.h, x.g, x.p.momentum)
    ratio = torch._foreach_add(x.h2, x.p.delta)
    torch._foreach_div_(ratio, torch._foreach_add(x.h, x.p.delta))
    torch._foreach_sqrt_(ratio)
    torch._foreach_mul_(x.g, ratio)  # from here on, g is the update before its learning rate
    _average_squares(x.h2, x.g, x.p.momentum)
    torch._foreach_add_(x.w, x.g, alpha=-x.rate)


def _adam(x: _Work) -> None:
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


def _descend(w: Tensors, g: Tensors, squares: Tensors, delta: float, rate: float) -> None:
    """w -= rate * g / (sqrt(squares) + delta)"""
    roots = torch._foreach_sqrt(squares)
    torch._foreach_add_(roots, delta)
    torch._foreach_addcdiv_(w, g, roots, -rate)


_RULES: dict[str, Callable[[_Work], None]] = {
    "SGD": _sgd,
    "Nesterov": _nesterov,
    "AdaGrad": _adagrad,
    "RMSProp": _rmsprop,
    "AdaDelta": _adadelta,
    "Adam": _adam,
}
_TWO_HISTORIES = ("AdaDelta", "Adam")


def solver_types() -> list[str]:
    """The solver types that netrun has, by Caffe's names."""
    return list(_RULES)


class Updater:
    """Turns the gradients of `learnable` into new weights.

    history: Caffe's history blobs in Caffe's order: one per parameter, then a second one each for AdaDelta and Adam.
    Raises CaffeError for an unknown solver or regularization type, or fields that the type does not take.
    """

    def __init__(self, param: pb.SolverParameter, learnable: Sequence[Learnable]) -> None:
        _check(param)
        self.param, self.learnable = param, list(learnable)
        rounds = 2 if param.type in _TWO_HISTORIES else 1
        self.history = [torch.zeros_like(p.tensor, requires_grad=False) for _ in range(rounds) for p in self.learnable]
        self._groups: list[_Group] | None = None

    def restore(self, history: Sequence[Tensor]) -> None:
        """Take over the history blobs of a snapshot. Raises CaffeError where their number or sizes differ."""
        if len(history) != len(self.history):
            raise CaffeError(
                f"the snapshot has {len(history)} history blobs, a {self.param.type} solver of this net has {len(self.history)}: "
                "it belongs to another net or solver type"
            )
        for i, (mine, theirs) in enumerate(zip(self.history, history, strict=True)):
            if mine.shape != theirs.shape:
                raise CaffeError(f"history blob {i} of the snapshot has shape {tuple(theirs.shape)}, this net's has {tuple(mine.shape)}")
            if not theirs.isfinite().all():
                raise CaffeError(f"history blob {i} of the snapshot holds values that are not finite: it is corrupt")
        for mine, theirs in zip(self.history, history, strict=True):
            mine.copy_(theirs)
        self._groups = None

    def clear(self) -> None:
        """Forget the gradients."""
        for p in self.learnable:
            p.tensor.grad = None

    @torch.no_grad()
    def apply(self, rate: float, iteration: int) -> None:
        """One update of all weights by the gradients accumulated over iter_size passes, which it spends.

        Under snapshot_diff they then hold what the weights have lost by it: what Caffe leaves in `diff`, and its snapshots show.
        """
        if self._groups is None:
            self._groups = self._grouped()
        scale = self._clip_scale()
        for group in self._groups:
            self._update(group, scale, rate, iteration)
        if self.param.snapshot_diff:
            moving = {i for group in self._groups for i in group.members}
            for i in set(range(len(self.learnable))) - moving:
                self.learnable[i].tensor.grad = None

    def _update(self, group: _Group, scale: Tensor | None, rate: float, iteration: int) -> None:
        """Update the weights of one group. scale: of all gradients, by clip_gradients."""
        weights = [self.learnable[i].tensor.data for i in group.members]
        gradients = self._gradients(group, weights, scale)
        n = len(self.learnable)
        first = [self.history[i] for i in group.members]
        second = [self.history[n + i] for i in group.members] if len(self.history) > n else []
        rule, rate = _RULES[self.param.type], rate * group.lr_mult
        if not self.param.snapshot_diff:
            rule(_Work(self.param, weights, gradients, first, second, rate, iteration))
            return
        moved = [torch.zeros_like(w) for w in weights]
        rule(_Work(self.param, moved, gradients, first, second, rate, iteration))
        torch._foreach_add_(weights, moved)
        for i, move in zip(group.members, moved, strict=True):
            self.learnable[i].tensor.grad = -move

    def _gradients(self, group: _Group, weights: Tensors, scale: Tensor | None) -> Tensors:
        """A group's gradients: clipped, averaged over iter_size passes, with the weight decay."""
        gradients = [self._gradient(i) for i in group.members]
        if scale is not None:
            torch._foreach_mul_(gradients, scale)
        if self.param.iter_size > 1:
            torch._foreach_mul_(gradients, 1 / self.param.iter_size)
        decay = self.param.weight_decay * group.decay_mult
        if decay:
            pull = weights if self.param.regularization_type == "L2" else torch._foreach_sign(weights)
            torch._foreach_add_(gradients, pull, alpha=decay)
        return gradients

    def _gradient(self, index: int) -> Tensor:
        tensor = self.learnable[index].tensor
        return tensor.data.new_zeros(tensor.shape) if tensor.grad is None else tensor.grad

    def _clip_scale(self) -> Tensor | None:
        """The factor that brings the norm of all gradients together down to clip_gradients, or None without clipping."""
        limit = self.param.clip_gradients
        grads = [p.tensor.grad for p in self.learnable if p.tensor.grad is not None]
        if limit < 0 or not grads:
            return None
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(grads)))
        scale = torch.where(norm > limit, limit / norm, torch.ones_like(norm))
        if norm.device.type == "cpu" and norm > limit:  # on a GPU, asking would stall the step
            log.info(
                f"Gradient clipping: scaling down gradients (L2 norm {norm:g} > {limit:g}) by scale factor {scale:g}",
                at="sgd_solver.cpp:124",
            )
        return scale

    def _grouped(self) -> list[_Group]:
        """Parameters by multipliers, without those that no update can move: frozen, at rest, and out of the decay's reach."""
        groups: dict[tuple[float, float], _Group] = {}
        n = len(self.learnable)
        for i, p in enumerate(self.learnable):
            decays = self.param.type not in ("SGD", "Nesterov") and p.decay_mult * self.param.weight_decay != 0
            if p.lr_mult == 0 and not decays and not any(h.any() for h in self.history[i::n]):
                continue
            key = (p.lr_mult, p.decay_mult)
            groups.setdefault(key, _Group(*key, [])).members.append(i)
        return list(groups.values())


def _check(param: pb.SolverParameter) -> None:
    if param.type not in _RULES:
        raise CaffeError(f"solver: unknown type '{param.type}'{suggest(param.type, _RULES)}")
    if param.type in ("AdaGrad", "RMSProp") and param.momentum:
        raise CaffeError(f"solver: type '{param.type}' takes no momentum (found {param.momentum:g})")
    if param.type == "RMSProp" and not 0 <= param.rms_decay < 1:
        raise CaffeError(f"solver: rms_decay must lie in [0, 1), not be {param.rms_decay:g}")
    if param.weight_decay and param.regularization_type not in ("L1", "L2"):
        raise CaffeError(f"solver: unknown regularization_type '{param.regularization_type}': L1 or L2")
