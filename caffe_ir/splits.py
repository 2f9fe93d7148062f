"""Adds a Split layer behind every blob that several layers read, as Caffe does.

Source: src/caffe/util/insert_splits.cpp of Caffe.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules.loss import is_loss
from ssd_common.errors import LayerError
from ssd_common.suggest import suggest

Top = tuple[int, int]  # the layer's number, the top's number in the layer


def insert_splits(net: pb.NetParameter, elsewhere: Collection[str] = ()) -> pb.NetParameter:
    """Copy a net, filtered for its phase, so that every blob has one reader.

    Blob `x`, top 0 of layer `a`, goes into layer `x_a_0_split`; its readers take its tops
    `x_a_0_split_0`, `x_a_0_split_1` and so on. A loss_weight counts as the first reader, and moves
    to the Split layer. A net that already has all its splits stays the same.
    elsewhere: tops of layers that the filter left out; messages do not call them unknown.
    Raises LayerError for a bottom that no earlier layer makes, and for a layer that works in place
    on a blob with other readers.
    """
    sources = _sources(net, elsewhere)
    weights = _loss_weights(net)
    readers = Counter(weights.keys())
    for tops in sources:
        readers.update(tops)
    # How many tops of a blob's Split layer have a reader so far.
    taken = Counter(weights.keys())
    found = pb.NetParameter()
    found.CopyFrom(net)
    found.ClearField("layer")
    for i, layer in enumerate(net.layer):
        copy = found.layer.add()
        copy.CopyFrom(layer)
        for j, top in enumerate(sources[i]):
            if readers[top] < 2:
                continue
            _check_not_in_place(layer, layer.bottom[j])
            copy.bottom[j] = f"{_split_name(net, top)}_{taken[top]}"
            taken[top] += 1
        for j, blob in enumerate(layer.top):
            count = readers[i, j]
            if count < 2:
                continue
            name = _split_name(net, (i, j))
            split = found.layer.add(name=name, type="Split", bottom=[blob])
            split.top.extend(f"{name}_{k}" for k in range(count))
            if (i, j) in weights:
                split.loss_weight.extend([weights[i, j]] + [0.0] * (count - 1))
                _clear_loss_weights(copy)
    return found


def _loss_weights(net: pb.NetParameter) -> dict[Top, float]:
    """Return the loss weights of a net that are not 0."""
    weights: dict[Top, float] = {}
    for i, layer in enumerate(net.layer):
        for j, weight in enumerate(layer.loss_weight[: len(layer.top)]):
            if weight:
                weights[i, j] = weight
    return weights


def _clear_loss_weights(layer: pb.LayerParameter) -> None:
    """Clear the loss weights of a layer that gave one to a Split: all of them, as Caffe does."""
    layer.ClearField("loss_weight")
    # Caffe leaves a loss layer its default weight of 1, but overwrites the gradient that this
    # weight gives; 0 has the same effect.
    if is_loss(layer):
        layer.loss_weight.extend([0.0] * len(layer.top))


def _check_not_in_place(layer: pb.LayerParameter, blob: str) -> None:
    """Raise LayerError where a layer works in place on a blob that it shares with other readers."""
    if blob in layer.top:
        shared = f"works in place on blob '{blob}', which others use as well"
        raise LayerError(layer.name, f"{shared}; give it a top of its own", "top")


def _sources(net: pb.NetParameter, elsewhere: Collection[str]) -> list[list[Top]]:
    """Find the top that each bottom of each layer reads: the last one of that name so far."""
    last: dict[str, Top] = {}
    sources = []
    for i, layer in enumerate(net.layer):
        for name in layer.bottom:
            if name not in last:
                hint = _where_else(name, elsewhere) or suggest(name, last)
                raise LayerError(layer.name, f"unknown blob '{name}'{hint}", "bottom")
        sources.append([last[name] for name in layer.bottom])
        for j, name in enumerate(layer.top):
            last[name] = (i, j)
    return sources


def _where_else(name: str, elsewhere: Collection[str]) -> str:
    """Say that another phase makes a blob, where one does."""
    if name in elsewhere:
        return ": only a layer of another phase, level or stage makes it"
    return ""


def _split_name(net: pb.NetParameter, top: Top) -> str:
    """Name the Split layer of a top, as Caffe does: `<blob>_<layer>_<number of the top>_split`."""
    layer = net.layer[top[0]]
    return f"{layer.top[top[1]]}_{layer.name}_{top[1]}_split"
