"""Which layers Caffe calls Backward of, and for which bottoms: Net::Init's own bookkeeping."""

from __future__ import annotations

from collections.abc import Sequence

from netrun.engine.pass_plan import loss_weight
from netrun.layers import Layer


class BackwardFlow:
    """Where gradients go in a net.

    layers: for each layer, whether Caffe calls its Backward.
    bottoms: for each layer, whether that computes a gradient of each bottom.
    rated: for each layer, whether that computes a gradient of each parameter blob.
    """

    def __init__(self, layers: Sequence[Layer], force_backward: bool) -> None:
        """layers: of the net, in order. force_backward: the net's own field."""
        self.layers: list[bool] = []
        self.bottoms: list[list[bool]] = []
        learns = [[not _frozen(layer, j) for j in range(len(layer.blobs))] for layer in layers]
        self._follow(layers, learns)
        self._stop_where_no_loss_is(layers)
        self.rated = learns
        if force_backward:
            self.layers = [True] * len(self.layers)
            self.bottoms = [
                _forced(flags, layer) for flags, layer in zip(self.bottoms, layers, strict=True)
            ]
            self.rated = [[True] * len(flags) for flags in learns]

    def _follow(self, layers: Sequence[Layer], learns: Sequence[Sequence[bool]]) -> None:
        """From the data on: a layer goes back where it learns, or a bottom wants a gradient."""
        wanted: dict[str, bool] = {}
        for i, layer in enumerate(layers):
            flags, names = layer.param.propagate_down, layer.param.bottom
            if flags:
                self.bottoms.append([bool(flags[j]) for j in range(len(names))])
            else:
                self.bottoms.append([wanted[name] for name in names])
            self.layers.append(any(wanted[name] for name in names) or any(learns[i]))
            wanted.update(dict.fromkeys(layer.param.top, self.layers[i]))

    def _stop_where_no_loss_is(self, layers: Sequence[Layer]) -> None:
        """From the losses back: two kinds of layers are left out.

        Those that no loss depends on, and those whose every top is read only by layers that
        compute no gradient of it.
        """
        under_loss: set[str] = set()
        skipped: set[str] = set()
        for i in reversed(range(len(self.layers))):
            layer = layers[i].param
            if self.layers[i] and all(top in skipped for top in layer.top):
                self._skip(i)
            weighed = any(loss_weight(layer, j) for j in range(len(layer.top)))
            if weighed or any(top in under_loss for top in layer.top):
                under_loss.update(layer.bottom)
            else:
                self._skip(i)
            for name, known in zip(layer.bottom, self.bottoms[i], strict=True):
                if not known:
                    skipped.add(name)

    def _skip(self, position: int) -> None:
        self.layers[position] = False
        self.bottoms[position] = [False] * len(self.bottoms[position])


def _frozen(layer: Layer, blob: int) -> bool:
    specs = layer.param.param
    return blob < len(specs) and specs[blob].lr_mult == 0


def _forced(flags: Sequence[bool], layer: Layer) -> list[bool]:
    """The bottoms of a layer under force_backward: all but those that take no gradient."""
    return [known or j not in layer.no_gradient_to for j, known in enumerate(flags)]
