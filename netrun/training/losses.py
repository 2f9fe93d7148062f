"""Computes the loss that Caffe shows: the mean of the last average_loss iterations of one Step.

Also finds the first blob that is not finite.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from netrun.engine.engine import Engine
from netrun.layers.registry import Layer


class NonFiniteLoss(Exception):
    """A loss was NaN or infinite.

    passes_ago: how many passes ago it was; 0 for the latest.
    """

    def __init__(self, loss: float, passes_ago: int) -> None:
        super().__init__(loss, passes_ago)
        self.loss = loss
        self.passes_ago = passes_ago


class LossWindow:
    """The smoothed loss.

    Losses stay on their device until value() reads them, so that a GPU does not stop for each.

    size: how many iterations the mean is over.
    """

    # Call value() before more losses than this wait, so that it notices a NaN early.
    PATIENCE = 20

    def __init__(self, size: int) -> None:
        self.size = size
        self._pending: list[Tensor] = []
        self._window: list[float] = []
        self._count = 0
        self._smoothed = 0.0

    def state(self) -> list[float]:
        """The state that a resumed run needs to continue as if it had never stopped.

        Returns how many losses value() has read, the smoothed loss, and the window.
        """
        return [self._count, self.value(), *self._window]

    @staticmethod
    def is_state(numbers: Sequence[float]) -> bool:
        """Whether these numbers can be a window's state()."""
        if len(numbers) < 2 or not all(map(math.isfinite, numbers)):
            return False
        count = numbers[0]
        window = numbers[2:]
        return count.is_integer() and count >= len(window)

    def restore(self, state: Sequence[float]) -> None:
        """Continue from another window's state(), unless that window was longer."""
        if len(state) - 2 > self.size:
            return
        self._count = int(state[0])
        self._smoothed = state[1]
        self._window = list(state[2:])

    @property
    def waiting(self) -> int:
        """How many losses value() has not read yet."""
        return len(self._pending)

    def push(self, loss: Tensor) -> None:
        """Add the loss of an iteration, a tensor of one element."""
        self._pending.append(loss.detach().reshape(()))

    def value(self) -> float:
        """The smoothed loss. Raises NonFiniteLoss for the first new loss that is not finite."""
        losses: list[float] = []
        if self._pending:
            losses = torch.stack(self._pending).tolist()
        self._pending.clear()
        for i, loss in enumerate(losses):
            if not math.isfinite(loss):
                raise NonFiniteLoss(loss, len(losses) - 1 - i)
            self._take(loss)
        return self._smoothed

    def _take(self, loss: float) -> None:
        """Put a loss into the window; if the window is full, the loss replaces the oldest."""
        if len(self._window) < self.size:
            self._window.append(loss)
            self._smoothed += (loss - self._smoothed) / len(self._window)
        else:
            oldest = self._count % self.size
            self._smoothed += (loss - self._window[oldest]) / self.size
            self._window[oldest] = loss
        self._count += 1


def first_non_finite(net: Engine) -> str:
    """Find the first blob, in computing order, that is not finite after the latest forward.

    Returns a description: a layer's parameter or its top.
    """
    if not net.options.keep_blobs:
        net.recompute()
    seen = set()
    for layer in net.layer_list:
        for i, blob in enumerate(layer.blobs):
            if not blob.isfinite().all():
                return f"blob {i} of layer '{layer.name}' (its parameters)"
        for name in layer.param.top:
            if name not in seen and not net.blobs[name].tensor.isfinite().all():
                return f"'{name}' (top of layer '{layer.name}')"
            seen.add(name)
    return "none any more; the loss recovered"


def remedy(net: Engine, base_lr: float) -> str:
    """Return what to try after values that are not finite, as the end of an error.

    base_lr: the solver's.
    """
    for layer in net.layer_list:
        if layer.type == "BatchNorm" and _lacks_statistics(layer):
            known = f"BatchNorm layer '{layer.name}' has use_global_stats but no statistics"
            return f"{known}: start from weights that have them"
    return f"try a base_lr below {base_lr:g}, or a warm-up (a lower rate for the first iterations)"


def _lacks_statistics(layer: Layer) -> bool:
    """Whether a BatchNorm layer in TRAIN divides by statistics that no weights have given."""
    weight_of_sums = layer.blobs[2]
    return layer.param.batch_norm_param.use_global_stats and not bool(weight_of_sums.any())
