"""The loss that Caffe shows, averaged over the last average_loss iterations of one Step; where it stops being finite."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from netrun.engine.engine import Engine


class NonFiniteLoss(Exception):
    """A loss was NaN or infinite. passes_ago: how many passes lie between it and the latest one."""

    def __init__(self, loss: float, passes_ago: int) -> None:
        super().__init__(loss, passes_ago)
        self.loss, self.passes_ago = loss, passes_ago


class LossWindow:
    """Smoothed loss. Losses stay on their device until somebody asks, so that a GPU need not stop for each of them.

    waiting: losses not read yet; look at value() before they are more than PATIENCE, or a NaN goes unseen for long.
    """

    PATIENCE = 20

    def __init__(self, size: int) -> None:
        self.size = size
        self._pending: list[Tensor] = []
        self._window: list[float] = []
        self._count = 0
        self._smoothed = 0.0

    def state(self) -> list[float]:
        """What a resumed run needs to smooth on as if it had never stopped."""
        return [self._count, self.value(), *self._window]

    def restore(self, state: Sequence[float]) -> None:
        """Go on from another window's state(), unless that was a longer window's."""
        if len(state) - 2 > self.size:
            return
        self._count, self._smoothed, self._window = int(state[0]), state[1], list(state[2:])

    @property
    def waiting(self) -> int:
        return len(self._pending)

    def push(self, loss: Tensor) -> None:
        """Add the loss of an iteration, a tensor of one element."""
        self._pending.append(loss.detach().reshape(()))

    def value(self) -> float:
        """The smoothed loss. Raises NonFiniteLoss for the first loss since the last call that is not finite."""
        losses = torch.stack(self._pending).tolist() if self._pending else []
        self._pending.clear()
        for i, loss in enumerate(losses):
            if not math.isfinite(loss):
                raise NonFiniteLoss(loss, len(losses) - 1 - i)
            if len(self._window) < self.size:
                self._window.append(loss)
                self._smoothed += (loss - self._smoothed) / len(self._window)
            else:
                oldest = self._count % self.size
                self._smoothed += (loss - self._window[oldest]) / self.size
                self._window[oldest] = loss
            self._count += 1
        return self._smoothed


def first_non_finite(net: Engine) -> str:
    """Names the first blob that is not finite after the latest forward, in the order of computing.

    Returns a layer's parameter or its top, in words.
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
