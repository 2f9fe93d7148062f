"""Layers over sequences, time first (T x N x ...): RNN, LSTM, and LSTMUnit, one step of LSTM."""

from __future__ import annotations

from caffe_ir.rules.checks import (
    check,
    check_bottom,
    check_positive,
    count,
    count_blobs,
    learned,
)
from caffe_ir.rules.registry import (
    Facts,
    Layer,
    Param,
    Shape,
    Shapes,
    rule,
    shape_text,
)

# Blobs that one step hands to the next: h, and LSTM's c.
STATES = {"RNN": 1, "LSTM": 2}
# Values that one step computes for each output.
GATES = {"RNN": 1, "LSTM": 4}


def has_static_input(layer: Layer) -> bool:
    """Tell whether an RNN's or LSTM's third bottom is an input to every step, not a first state."""
    first_states = STATES[layer.type] * layer.recurrent_param.expose_hidden
    return len(layer.bottom) > 2 + first_states


@rule("RNN", "LSTM")
def recurrent(layer: Layer, bottoms: Shapes) -> Facts:
    """The top is T x N x num_output; with expose_hidden the last states follow, 1 x N x num_output.

    Bottoms: x (T x N x ...), cont (T x N), optionally a static input (N x ...), and with
    expose_hidden the first states.
    Parameters: weights and bias of x, weights of the static input, weights of h, and, for RNN,
    weights and bias of the output.
    Source: recurrent_layer.cpp, rnn_layer.cpp and lstm_layer.cpp of weiliu89/caffe (ssd).
    """
    param = layer.recurrent_param
    exposed = STATES[layer.type] * param.expose_hidden
    count_blobs(layer, bottoms, (2 + exposed, 3 + exposed), 1 + exposed)
    outputs = param.num_output
    check_positive(layer, "num_output", outputs)
    x = bottoms[0]
    check_bottom(len(x) >= 3, layer, bottoms, 0, "T x N x ...")
    steps, streams = x[:2]
    _check_shape(layer, bottoms, 1, (steps, streams))
    rows = outputs * GATES[layer.type]
    weights = [[rows, count(x[2:])], [rows, outputs]]
    macs = steps * streams * (count(weights[0]) + count(weights[1]))
    if has_static_input(layer):
        static = bottoms[2]
        fits = len(static) >= 2 and static[0] == streams
        wanted = f"the static input '{layer.bottom[2]}' must be {streams} x ..."
        check(fits, layer, "bottom", f"{wanted}, found {shape_text(static)}")
        weights.insert(1, [rows, count(static[1:])])
        macs += streams * count(weights[1])
    state = (1, streams, outputs)
    first = len(bottoms) - exposed
    for name, shape in zip(layer.bottom[first:], bottoms[first:], strict=True):
        wanted = f"the first state '{name}' must be {shape_text(state)}"
        message = f"{wanted}, found {shape_text(shape)}"
        check(tuple(shape) == state, layer, "bottom", message)
    params: list[Param] = [learned(layer, shape, param, "weight_filler") for shape in weights]
    params.insert(1, learned(layer, [rows], param, "bias_filler"))
    if layer.type == "RNN":
        params.append(learned(layer, [outputs, outputs], param, "weight_filler"))
        params.append(learned(layer, [outputs], param, "bias_filler"))
        macs += steps * streams * outputs * outputs
    return Facts([(steps, streams, outputs), *[state] * exposed], params, macs)


def _check_shape(layer: Layer, bottoms: Shapes, index: int, wanted: Shape) -> None:
    """Check that a bottom has the shape that it must have."""
    fits = tuple(bottoms[index]) == wanted
    check_bottom(fits, layer, bottoms, index, shape_text(wanted))


@rule("LSTMUnit")
def lstm_unit(layer: Layer, bottoms: Shapes) -> Facts:
    """The tops are the next c and h, both 1 x N x D.

    Bottoms: c (1 x N x D), gates before their sigmoids (1 x N x 4D), cont (1 x N).
    """
    count_blobs(layer, bottoms, 3, 2)
    cell = tuple(bottoms[0])
    fits = len(cell) == 3 and cell[0] == 1
    check_bottom(fits, layer, bottoms, 0, "1 x N x D")
    _check_shape(layer, bottoms, 1, (1, cell[1], 4 * cell[2]))
    _check_shape(layer, bottoms, 2, cell[:2])
    return Facts([cell, cell])
