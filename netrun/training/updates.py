"""Turns gradients into new weights, as Caffe's solvers do.

The steps follow Caffe's order: clip, divide by iter_size, add the weight decay, update.
Source: weiliu89/caffe, src/caffe/solvers/*.cpp.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from caffe_ir import caffe_ir_pb2 as pb
from netrun.runtime import log
from netrun.training.update_rules import RULES, TWO_HISTORIES, Tensors, Work
from ssd_common.errors import CaffeError
from ssd_common.suggest import suggest


class Learnable(Protocol):
    """The data of a parameter blob that an update needs.

    tensor: a leaf; its `.grad` is None where no gradient reached it.
    lr_mult, decay_mult: factors of learning rate and weight decay.
    """

    tensor: Tensor
    lr_mult: float
    decay_mult: float


@dataclass(frozen=True)
class _Group:
    """Parameters with the same lr_mult and decay_mult, as indices into the list of all."""

    lr_mult: float
    decay_mult: float
    members: list[int]


class Updater:
    """Turns gradients into new weights.

    param: the solver.
    learnable: the parameters, with their gradients.

    history: Caffe's history blobs in Caffe's order: one per parameter, then a second one each
    for AdaDelta and Adam.

    Raises CaffeError for an unknown solver or regularization type, or fields that the type does
    not take.
    """

    def __init__(
        self,
        param: pb.SolverParameter,
        learnable: Sequence[Learnable],
    ) -> None:
        _check(param)
        self.param = param
        self.learnable = list(learnable)
        self.history = self._zeros()
        if param.type in TWO_HISTORIES:
            self.history += self._zeros()
        self._groups: list[_Group] | None = None

    def _zeros(self) -> Tensors:
        """A zero tensor per parameter."""
        return [torch.zeros_like(p.tensor, requires_grad=False) for p in self.learnable]

    def restore(self, history: Sequence[Tensor]) -> None:
        """Take over the history blobs of a snapshot.

        Raises CaffeError where their number or their shapes differ, or a value is not finite.
        """
        if len(history) != len(self.history):
            own = f"a {self.param.type} solver of this net has {len(self.history)}"
            other = "it belongs to another net or solver type"
            raise CaffeError(f"the snapshot has {len(history)} history blobs, {own}: {other}")
        for i, (mine, stored) in enumerate(zip(self.history, history, strict=True)):
            if mine.shape != stored.shape:
                shapes = f"has shape {tuple(stored.shape)}, this net's has {tuple(mine.shape)}"
                raise CaffeError(f"history blob {i} of the snapshot {shapes}")
            if not stored.isfinite().all():
                corrupt = "holds values that are not finite: it is corrupt"
                raise CaffeError(f"history blob {i} of the snapshot {corrupt}")
        for mine, stored in zip(self.history, history, strict=True):
            mine.copy_(stored)
        self._groups = None

    def clear(self) -> None:
        """Forget the gradients."""
        for p in self.learnable:
            p.tensor.grad = None

    @torch.no_grad()
    def apply(self, rate: float, iteration: int) -> None:
        """Update all weights by the gradients accumulated over iter_size passes.

        The update overwrites the gradients. With snapshot_diff, they then hold the amount
        subtracted from the weights: Caffe leaves it in `diff`, and its snapshots show it.

        rate: the learning rate before lr_mult.
        iteration: from 0, for Adam's correction.
        """
        if self._groups is None:
            self._groups = self._grouped()
        scale = self._clip_scale()
        for group in self._groups:
            self._update(group, scale, rate, iteration)
        if self.param.snapshot_diff:
            self._clear_at_rest(self._groups)

    def _clear_at_rest(self, groups: Sequence[_Group]) -> None:
        """Forget the gradients of parameters that no group updates."""
        moving: set[int] = set()
        for group in groups:
            moving.update(group.members)
        for i, p in enumerate(self.learnable):
            if i not in moving:
                p.tensor.grad = None

    def _update(
        self,
        group: _Group,
        scale: Tensor | None,
        rate: float,
        iteration: int,
    ) -> None:
        """Update the weights of one group.

        scale: the factor of all gradients, from clip_gradients.
        """
        weights = [self.learnable[i].tensor.data for i in group.members]
        target = weights
        if self.param.snapshot_diff:
            target = [torch.zeros_like(weight) for weight in weights]
        count = len(self.learnable)
        second: Tensors = []
        if len(self.history) > count:
            second = [self.history[count + i] for i in group.members]
        work = Work(
            p=self.param,
            w=target,
            g=self._gradients(group, weights, scale),
            h=[self.history[i] for i in group.members],
            h2=second,
            rate=rate * group.lr_mult,
            iteration=iteration,
        )
        RULES[self.param.type](work)
        if self.param.snapshot_diff:
            torch._foreach_add_(weights, target)
            for i, moved in zip(group.members, target, strict=True):
                self.learnable[i].tensor.grad = -moved

    def _gradients(
        self,
        group: _Group,
        weights: Tensors,
        scale: Tensor | None,
    ) -> Tensors:
        """A group's gradients: clipped, averaged over iter_size passes, with the weight decay."""
        gradients = [self._gradient(i) for i in group.members]
        if scale is not None:
            torch._foreach_mul_(gradients, scale)
        if self.param.iter_size > 1:
            torch._foreach_mul_(gradients, 1 / self.param.iter_size)
        decay = self.param.weight_decay * group.decay_mult
        if decay:
            pull = weights
            if self.param.regularization_type != "L2":
                pull = list(torch._foreach_sign(weights))
            torch._foreach_add_(gradients, pull, alpha=decay)
        return gradients

    def _gradient(self, index: int) -> Tensor:
        tensor = self.learnable[index].tensor
        if tensor.grad is None:
            return tensor.data.new_zeros(tensor.shape)
        return tensor.grad

    def _clip_scale(self) -> Tensor | None:
        """The factor that reduces the norm of all gradients together to clip_gradients.

        Returns None without clipping.
        """
        limit = self.param.clip_gradients
        grads = [p.tensor.grad for p in self.learnable if p.tensor.grad is not None]
        if limit < 0 or not grads:
            return None
        norms = torch.stack(torch._foreach_norm(grads))
        norm = torch.linalg.vector_norm(norms)
        scale = torch.where(norm > limit, limit / norm, torch.ones_like(norm))
        if norm.device.type == "cpu" and norm > limit:  # on a GPU, asking would stall the step
            what = f"scaling down gradients (L2 norm {norm:g} > {limit:g})"
            line = f"Gradient clipping: {what} by scale factor {scale:g}"
            log.info(line, at="sgd_solver.cpp:124")
        return scale

    def _grouped(self) -> list[_Group]:
        """Group parameters by multipliers, without those that no update can change."""
        groups: dict[tuple[float, float], _Group] = {}
        for i, p in enumerate(self.learnable):
            if self._is_at_rest(i):
                continue
            key = (p.lr_mult, p.decay_mult)
            group = groups.setdefault(key, _Group(*key, []))
            group.members.append(i)
        return list(groups.values())

    def _is_at_rest(self, index: int) -> bool:
        """Tell whether no update can change a parameter or its history.

        That is true for a frozen parameter with zero history and no weight decay.
        """
        p = self.learnable[index]
        if p.lr_mult != 0:
            return False
        has_decay = p.decay_mult * self.param.weight_decay != 0
        if has_decay and self.param.type not in ("SGD", "Nesterov"):
            return False
        histories = self.history[index :: len(self.learnable)]
        return not any(history.any() for history in histories)


def _check(param: pb.SolverParameter) -> None:
    kind = param.type
    if kind not in RULES:
        raise CaffeError(f"solver: unknown type '{kind}'{suggest(kind, RULES)}")
    if kind in ("AdaGrad", "RMSProp") and param.momentum:
        found = f"(found {param.momentum:g})"
        raise CaffeError(f"solver: type '{kind}' takes no momentum {found}")
    if kind == "RMSProp" and not 0 <= param.rms_decay < 1:
        raise CaffeError(f"solver: rms_decay must lie in [0, 1), not be {param.rms_decay:g}")
    regularization = param.regularization_type
    if param.weight_decay and regularization not in ("L1", "L2"):
        raise CaffeError(f"solver: unknown regularization_type '{regularization}': L1 or L2")
