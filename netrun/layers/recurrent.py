"""Layers over sequences, time first (T x N x ...): RNN, LSTM, LSTMUnit.

`cont` (T x N) is 0 where a sequence begins, and 1 where it goes on.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from caffe_ir.rules.recurrent import STATES, has_static_input
from netrun.layers.registry import Layer, Tensors, layer, pass_through


def lstm_step(
    cell: Tensor,
    gates: Tensor,
    cont: Tensor,
) -> tuple[Tensor, Tensor]:
    """Compute c and h (N, D) of the next step.

    cell: c of this step, (N, D). gates: input, forget, output and candidate, (N, 4 D).
    cont: (N, 1).
    """
    i, f, o, g = gates.chunk(4, 1)
    kept = cont * torch.sigmoid(f)
    # Caffe takes the slope of the whole factor as if cont were inside the sigmoid; for cont 0 or 1,
    # that is the derivative.
    kept = pass_through(kept, (kept * (1 - kept)).detach() * f)
    cell = kept * cell + torch.sigmoid(i) * torch.tanh(g)
    return cell, torch.sigmoid(o) * torch.tanh(cell)


@layer("LSTMUnit")
class LSTMUnit(Layer):
    """One step of an LSTM.

    Source: weiliu89/caffe (ssd), lstm_unit_layer.cpp.
    """

    no_gradient_to = frozenset({2})

    def forward(self, bottoms: Tensors) -> Tensors:
        """Compute the next c and h from c, gates and cont."""
        cell, gates, cont = bottoms
        goes_on = cont.reshape(-1, 1)
        tops = lstm_step(cell[0], gates[0], goes_on)
        return [x[None] for x in tops]


class _Recurrent(Layer):
    """The base of RNN and LSTM.

    They start from the final state of the last batch or, with expose_hidden, from a given state.
    After a seek, as in a resumed run, a batch starts from zeros. No gradient passes from batch to
    batch, or through exposed states.

    state: blobs (N, num_output) that the next batch starts from.
    Source: weiliu89/caffe (ssd), recurrent_layer.cpp.
    """

    def set_up(self) -> None:
        """Start from zeros."""
        self.static = has_static_input(self.param)
        exposed = range(2 + self.static, len(self.param.bottom))
        self.no_gradient_to = frozenset({1, *exposed})
        self.state: Tensors = []

    def seek(self, batch: int) -> None:
        """Make the next batch start from zeros."""
        self.state = []

    def forward(self, bottoms: Tensors) -> Tensors:
        """The outputs of all steps, and with expose_hidden the last state."""
        x, cont, *given = bottoms
        weight, bias, *weights = self.blobs
        inputs = F.linear(x.flatten(2), weight, bias)
        if self.static:
            static = given.pop(0).flatten(1)
            inputs = inputs + F.linear(static, weights.pop(0))
        state = [blob[0] for blob in given] or self.state
        if not state or state[0].shape[0] != x.shape[1]:
            state = self._zeros(x)
        tops = []
        for now, goes_on in zip(inputs, cont.unsqueeze(-1), strict=True):
            state, top = self.step(now, state, goes_on, weights)
            tops.append(top)
        self.state = [blob.detach() for blob in state]
        last = [blob[None] for blob in self.state]
        return [torch.stack(tops), *last][: len(self.param.top)]

    def _zeros(self, x: Tensor) -> Tensors:
        """The state in which a sequence begins."""
        shape = (x.shape[1], self.param.recurrent_param.num_output)
        return [x.new_zeros(shape) for _ in range(STATES[self.type])]

    def step(
        self,
        inputs: Tensor,
        state: Tensors,
        cont: Tensor,
        weights: Sequence[Tensor],
    ) -> tuple[Tensors, Tensor]:
        """The next state and its output.

        inputs: what x and the static input contribute, (N, ...). cont: (N, 1).
        weights: the blobs after those for the inputs.
        """
        raise NotImplementedError


@layer("RNN")
class RNN(_Recurrent):
    """A recurrent net of one hidden state.

    blobs: W_xh, b_h, (of the static input,) W_hh, W_ho, b_o.
    Source: weiliu89/caffe (ssd), rnn_layer.cpp.
    """

    def step(
        self,
        inputs: Tensor,
        state: Tensors,
        cont: Tensor,
        weights: Sequence[Tensor],
    ) -> tuple[Tensors, Tensor]:
        """h = tanh(W_hh (cont h) + W_xh x + b_h), output tanh(W_ho h + b_o)."""
        recurrence, output, bias = weights
        kept = F.linear(state[0] * cont, recurrence)
        hidden = torch.tanh(inputs + kept)
        return [hidden], torch.tanh(F.linear(hidden, output, bias))


@layer("LSTM")
class LSTM(_Recurrent):
    """Long short-term memory without peepholes.

    blobs: W_xc, b_c, (of the static input,) W_hc.
    Source: Zaremba & Sutskever 2014; weiliu89/caffe (ssd), lstm_layer.cpp.
    """

    def step(
        self,
        inputs: Tensor,
        state: Tensors,
        cont: Tensor,
        weights: Sequence[Tensor],
    ) -> tuple[Tensors, Tensor]:
        """h and c by lstm_step, output h."""
        hidden, cell = state
        gates = inputs + F.linear(hidden * cont, weights[0])
        cell, hidden = lstm_step(cell, gates, cont)
        return [hidden, cell], hidden
