"""Layers over sequences, time first (T x N x ...): RNN, LSTM, LSTMUnit. `cont` (T x N) is 0 where a sequence begins, 1 where it goes on."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules.recurrent import STATES, has_static_input
from caffe_ir.rules.registry import Facts
from netrun.layers.registry import Context, Layer, layer, pass_through


def lstm_step(cell: torch.Tensor, gates: torch.Tensor, cont: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """c and h (N, D) of the next step. cell: c of this one; gates (N, 4 D): input, forget, output, candidate; cont (N, 1)."""
    i, f, o, g = gates.chunk(4, 1)
    kept = cont * torch.sigmoid(f)
    # Caffe takes the slope of the whole factor as if cont were inside the sigmoid; for a cont of 0 or 1 that is the derivative
    kept = pass_through(kept, (kept * (1 - kept)).detach() * f)
    cell = kept * cell + torch.sigmoid(i) * torch.tanh(g)
    return cell, torch.sigmoid(o) * torch.tanh(cell)


@layer("LSTMUnit")
class LSTMUnit(Layer):
    """One step of an LSTM: from c, gates and cont to c and h."""

    no_gradient_to = frozenset({2})

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        cell, gates, cont = bottoms
        return [x[None] for x in lstm_step(cell[0], gates[0], cont.reshape(-1, 1))]


class _Recurrent(Layer):
    """What RNN and LSTM share: they start from the state in which the last batch ended, or, with expose_hidden, from a given one.

    No gradient passes from batch to batch, or through exposed states. A batch that is sought (a resumed run) starts from zeros.
    """

    def __init__(self, layer: pb.LayerParameter, facts: Facts, context: Context) -> None:
        super().__init__(layer, facts, context)
        self.static = has_static_input(layer)
        self.no_gradient_to = frozenset({1, *range(2 + self.static, len(layer.bottom))})
        self.state: list[torch.Tensor] = []  # (N, num_output) each

    def seek(self, batch: int) -> None:
        self.state = []

    def forward(self, bottoms: list[torch.Tensor]) -> list[torch.Tensor]:
        x, cont, *given = bottoms
        weight, bias, *weights = self.blobs
        inputs = F.linear(x.flatten(2), weight, bias)
        if self.static:
            inputs = inputs + F.linear(given.pop(0).flatten(1), weights.pop(0))
        state = [blob[0] for blob in given] or self.state
        if not state or state[0].shape[0] != x.shape[1]:
            state = [x.new_zeros(x.shape[1], self.param.recurrent_param.num_output) for _ in range(STATES[self.type])]
        tops = []
        for now, goes_on in zip(inputs, cont.unsqueeze(-1), strict=True):
            state, top = self.step(now, state, goes_on, weights)
            tops.append(top)
        self.state = [x.detach() for x in state]
        return [torch.stack(tops), *(x[None] for x in self.state)][: len(self.param.top)]

    def step(
        self, inputs: torch.Tensor, state: list[torch.Tensor], cont: torch.Tensor, weights: Sequence[torch.Tensor]
    ) -> tuple[list[torch.Tensor], torch.Tensor]:
        """The next state and its output."""
        raise NotImplementedError


@layer("RNN")
class RNN(_Recurrent):
    """h = tanh(W_hh (cont h) + W_xh x + b_h), top tanh(W_ho h + b_o). blobs: W_xh, b_h, (of the static input,) W_hh, W_ho, b_o."""

    def step(
        self, inputs: torch.Tensor, state: list[torch.Tensor], cont: torch.Tensor, weights: Sequence[torch.Tensor]
    ) -> tuple[list[torch.Tensor], torch.Tensor]:
        hidden = torch.tanh(inputs + F.linear(state[0] * cont, weights[0]))
        return [hidden], torch.tanh(F.linear(hidden, weights[1], weights[2]))


@layer("LSTM")
class LSTM(_Recurrent):
    """Long short-term memory without peepholes (Zaremba & Sutskever 2014). blobs: W_xc, b_c, (of the static input,) W_hc."""

    def step(
        self, inputs: torch.Tensor, state: list[torch.Tensor], cont: torch.Tensor, weights: Sequence[torch.Tensor]
    ) -> tuple[list[torch.Tensor], torch.Tensor]:
        hidden, cell = state
        cell, hidden = lstm_step(cell, inputs + F.linear(hidden * cont, weights[0]), cont)
        return [hidden, cell], hidden
