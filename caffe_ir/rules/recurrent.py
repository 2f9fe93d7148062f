"""Layers over sequences, time first (T x N x ...): RNN, LSTM, and the step that LSTM is made of, LSTMUnit."""

from __future__ import annotations

from collections.abc import Sequence

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules.checks import check, count, count_blobs, learned
from caffe_ir.rules.registry import Facts, Param, Shape, rule, shape_text

STATES = {"RNN": 1, "LSTM": 2}  # blobs that one step hands to the next: h, and c


def has_static_input(layer: pb.LayerParameter) -> bool:
    """Whether the third bottom of an RNN or LSTM is an input to every step rather than a first state."""
    return len(layer.bottom) > 2 + STATES[layer.type] * layer.recurrent_param.expose_hidden


@rule("RNN", "LSTM")
def recurrent(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """T x N x num_output; with expose_hidden the last state(s) too, 1 x N x num_output.

    Bottoms: x (T x N x ...), cont (T x N), optionally a static input (N x ...), with expose_hidden the first state(s). Parameters:
    weights and bias of x, weights of the static input, weights of h, and of RNN's output weights and bias.
    Source: recurrent_layer.cpp, rnn_layer.cpp and lstm_layer.cpp of the SSD fork.
    """
    param = layer.recurrent_param
    exposed = STATES[layer.type] * param.expose_hidden
    count_blobs(layer, bottoms, (2 + exposed, 3 + exposed), 1 + exposed)
    outputs, x = param.num_output, bottoms[0]
    check(outputs > 0, layer, "num_output", "must be specified and positive")
    check(len(x) >= 3, layer, "bottom", f"'{layer.bottom[0]}' must be T x N x ..., found {shape_text(x)}")
    steps, streams = x[:2]
    cont = tuple(bottoms[1])
    check(cont == (steps, streams), layer, "bottom", f"'{layer.bottom[1]}' must be {steps}x{streams}, found {shape_text(cont)}")
    rows = outputs * (4 if layer.type == "LSTM" else 1)
    weights = [[rows, count(x[2:])], [rows, outputs]]
    macs = steps * streams * (count(weights[0]) + count(weights[1]))
    if has_static_input(layer):
        static = bottoms[2]
        fits = len(static) >= 2 and static[0] == streams
        check(fits, layer, "bottom", f"the static input '{layer.bottom[2]}' must be {streams} x ..., found {shape_text(static)}")
        weights.insert(1, [rows, count(static[1:])])
        macs += streams * count(weights[1])
    for name, shape in zip(layer.bottom[len(bottoms) - exposed :], bottoms[len(bottoms) - exposed :], strict=True):
        state = (1, streams, outputs)
        check(tuple(shape) == state, layer, "bottom", f"the first state '{name}' must be {shape_text(state)}, found {shape_text(shape)}")
    params: list[Param] = [learned(layer, shape, param, "weight_filler") for shape in weights]
    params.insert(1, learned(layer, [rows], param, "bias_filler"))
    if layer.type == "RNN":
        params += [learned(layer, [outputs, outputs], param, "weight_filler"), learned(layer, [outputs], param, "bias_filler")]
        macs += steps * streams * outputs * outputs
    return Facts([(steps, streams, outputs), *[(1, streams, outputs)] * exposed], params, macs)


@rule("LSTMUnit")
def lstm_unit(layer: pb.LayerParameter, bottoms: Sequence[Shape]) -> Facts:
    """Next c and h, both 1 x N x D. Bottoms: c (1 x N x D), gates before their sigmoids (1 x N x 4D), cont (1 x N)."""
    count_blobs(layer, bottoms, 3, 2)
    cell = tuple(bottoms[0])
    check(len(cell) == 3 and cell[0] == 1, layer, "bottom", f"'{layer.bottom[0]}' must be 1 x N x D, found {shape_text(cell)}")
    for name, shape, wanted in zip(layer.bottom[1:], bottoms[1:], ((1, cell[1], 4 * cell[2]), cell[:2]), strict=True):
        check(tuple(shape) == wanted, layer, "bottom", f"'{name}' must be {shape_text(wanted)}, found {shape_text(shape)}")
    return Facts([cell, cell])
