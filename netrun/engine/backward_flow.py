"""Finds the layers whose Backward Caffe calls, and the bottoms that get a gradient.

Source: weiliu89/caffe (ssd), Net::Init in src/caffe/net.cpp.
"""

from __future__ import annotations

from collections.abc import Sequence

from netrun.engine.pass_plan import loss_weight
from netrun.layers import Layer


class BackwardFlow:
    """Where gradients go in a net.

    layers: for each layer, whether Caffe calls its Backward.
    bottoms: for each layer, whether Backward computes a gradient of each bottom.
    rated: for each layer, whether Backward computes a gradient of each parameter blob.
    """

    def __init__(self, layers: Sequence[Layer], force_backward: bool) -> None:
        """layers: the net's layers, in order. force_backward: the net's own field."""
        self.layers: list[bool] = []
        self.bottoms: list[list[bool]] = []
        self.rated = [_learns(layer) for layer in layers]
        self._follow(layers)
        self._stop_where_no_loss_is(layers)
        if force_backward:
            self._force(layers)

    def _follow(self, layers: Sequence[Layer]) -> None:
        """Mark, from the data forwards, layers that learn or have a bottom with a gradient."""
        wanted: dict[str, bool] = {}
        for layer, learns in zip(layers, self.rated, strict=True):
            names = layer.param.bottom
            want = [wanted[name] for name in names]
            flags = list(map(bool, layer.param.propagate_down))[: len(names)]
            goes_back = any(want) or any(learns)
            self.bottoms.append(flags or want)
            self.layers.append(goes_back)
            wanted.update(dict.fromkeys(layer.param.top, goes_back))

    def _force(self, layers: Sequence[Layer]) -> None:
        """Mark everything except the bottoms that take no gradient, as force_backward does."""
        for i, layer in enumerate(layers):
            self.layers[i] = True
            self.rated[i] = [True] * len(self.rated[i])
            for j in range(len(self.bottoms[i])):
                if j not in layer.no_gradient_to:
                    self.bottoms[i][j] = True

    def _stop_where_no_loss_is(self, layers: Sequence[Layer]) -> None:
        """Unmark, from the losses backwards, two kinds of layers.

        No loss depends on the first kind. The tops of the second have only readers that compute no
        gradient of them.
        """
        under_loss: set[str] = set()
        skipped: set[str] = set()
        for i in reversed(range(len(self.layers))):
            layer = layers[i].param
            tops = set(layer.top)
            if self.layers[i] and tops <= skipped:
                self._skip(i)
            weighed = any(loss_weight(layer, j) for j in range(len(layer.top)))
            if weighed or tops & under_loss:
                under_loss.update(layer.bottom)
            else:
                self._skip(i)
            for name, known in zip(layer.bottom, self.bottoms[i], strict=True):
                if not known:
                    skipped.add(name)

    def _skip(self, position: int) -> None:
        self.layers[position] = False
        self.bottoms[position] = [False] * len(self.bottoms[position])


def _learns(layer: Layer) -> list[bool]:
    """For each parameter blob of a layer, whether its lr_mult lets it learn."""
    learns = [True] * len(layer.blobs)
    for j, spec in enumerate(layer.param.param[: len(learns)]):
        learns[j] = spec.lr_mult != 0
    return learns
