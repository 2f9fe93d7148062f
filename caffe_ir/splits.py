"""Split layers, one behind every blob that several readers share, as Caffe adds them to a net (src/caffe/util/insert_splits.cpp)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.rules.loss import is_loss
from ssd_common.errors import LayerError
from ssd_common.suggest import suggest

Top = tuple[int, int]  # of layer number, top number


def insert_splits(net: pb.NetParameter, elsewhere: Collection[str] = ()) -> pb.NetParameter:
    """A copy of a net, filtered for its phase, in which every blob has one reader.

    Blob `x`, top 0 of layer `a`, goes into layer `x_a_0_split`, from which its readers take `x_a_0_split_0`, `x_a_0_split_1` and so on.
    A loss_weight counts as a reader, the first; it moves to the Split layer. A net with all its splits comes back the same.
    elsewhere: tops of layers that the filter left out, for messages.
    Raises LayerError for a bottom that no layer before makes, and for a layer that works in place on a blob with other readers.
    """
    sources = _sources(net, elsewhere)
    readers = Counter(top for tops in sources for top in tops)
    weights = {(i, j): weight for i, layer in enumerate(net.layer) for j, weight in enumerate(layer.loss_weight[: len(layer.top)])}
    readers.update(top for top, weight in weights.items() if weight)
    taken = Counter(top for top, weight in weights.items() if weight)
    found = pb.NetParameter()
    found.CopyFrom(net)
    found.ClearField("layer")
    for i, layer in enumerate(net.layer):
        copy = found.layer.add()
        copy.CopyFrom(layer)
        for j, top in enumerate(sources[i]):
            if readers[top] > 1:
                if layer.bottom[j] in layer.top:
                    message = f"works in place on blob '{layer.bottom[j]}', which others use as well; give it a top of its own"
                    raise LayerError(layer.name, message, "top")
                copy.bottom[j] = f"{_split_name(net, top)}_{taken[top]}"
                taken[top] += 1
        for j in range(len(layer.top)):
            if (count := readers[i, j]) < 2:
                continue
            name = _split_name(net, (i, j))
            split = found.layer.add(name=name, type="Split", bottom=[layer.top[j]], top=[f"{name}_{k}" for k in range(count)])
            if weights.get((i, j)):
                split.loss_weight.extend([weights[i, j]] + [0.0] * (count - 1))
                copy.ClearField("loss_weight")  # of its other tops too, as in Caffe
                if is_loss(layer):  # Caffe leaves it the 1 that goes without saying, and overwrites the gradient of that
                    copy.loss_weight.extend([0.0] * len(layer.top))
    return found


def _sources(net: pb.NetParameter, elsewhere: Collection[str]) -> list[list[Top]]:
    """For every layer the tops that its bottoms are: of each name the last one so far."""
    last: dict[str, Top] = {}
    sources = []
    for i, layer in enumerate(net.layer):
        for name in layer.bottom:
            if name not in last:
                known = ": only a layer of another phase, level or stage makes it" if name in elsewhere else suggest(name, last)
                raise LayerError(layer.name, f"unknown blob '{name}'{known}", "bottom")
        sources.append([last[name] for name in layer.bottom])
        last.update({name: (i, j) for j, name in enumerate(layer.top)})
    return sources


def _split_name(net: pb.NetParameter, top: Top) -> str:
    layer = net.layer[top[0]]
    return f"{layer.top[top[1]]}_{layer.name}_{top[1]}_split"
