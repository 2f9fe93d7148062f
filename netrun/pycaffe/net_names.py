"""pycaffe's names for a net's layers and blobs, with their numbers and types."""

from __future__ import annotations

from collections.abc import Iterable

from netrun.engine.engine import Engine
from netrun.layers.python import Python
from netrun.layers.registry import Layer as EngineLayer
from netrun.pycaffe.blob_arrays import Blob, BlobVec, LayerView, ParamBlob
from netrun.pycaffe.python_host import Layer as UserLayer
from ssd_common.errors import CaffeError
from ssd_common.suggest import suggest


class NetNames(Engine):
    """An Engine with pycaffe's names for its parts; numbers count blobs in their order."""

    blob_class = Blob
    param_blob_class = ParamBlob
    blobs: dict[str, Blob]  # type: ignore[assignment]
    params: dict[str, list[ParamBlob]]  # type: ignore[assignment]
    _param_blobs: list[list[ParamBlob]]  # type: ignore[assignment]

    def _blobs_of(self, layer: EngineLayer) -> BlobVec:
        return BlobVec(super()._blobs_of(layer))

    @property
    def layers(self) -> list[LayerView | UserLayer]:
        """The layers' types and blobs; for a Python layer, the user's own object."""
        found: list[LayerView | UserLayer] = []
        for layer, blobs in zip(self.layer_list, self._param_blobs, strict=True):
            if isinstance(layer, Python):
                found.append(layer.user)
            else:
                found.append(LayerView(layer.type, blobs))
        return found

    @property
    def layer_dict(self) -> dict[str, LayerView | UserLayer]:
        """The layers, by name."""
        return dict(zip(self._layer_names, self.layers, strict=True))

    @property
    def top_names(self) -> dict[str, list[str]]:
        """The blobs that each layer makes, by the layer's name."""
        return {layer.name: list(layer.param.top) for layer in self.layer_list}

    @property
    def bottom_names(self) -> dict[str, list[str]]:
        """The blobs that each layer reads, by the layer's name."""
        return {layer.name: list(layer.param.bottom) for layer in self.layer_list}

    @property
    def blob_loss_weights(self) -> dict[str, float]:
        """Each blob's weight in the net's loss."""
        return {name: blob.loss_weight for name, blob in self.blobs.items()}

    @property
    def output_names(self) -> list[str]:
        """The blobs that no layer reads."""
        return self.outputs

    @property
    def _layer_names(self) -> list[str]:
        return [layer.name for layer in self.layer_list]

    @property
    def _blob_names(self) -> list[str]:
        return list(self.blobs)

    @property
    def _blobs(self) -> list[Blob]:
        return list(self.blobs.values())

    @property
    def _blob_loss_weights(self) -> list[float]:
        return list(self.blob_loss_weights.values())

    @property
    def _inputs(self) -> list[int]:
        return self._ids(self.inputs)

    @property
    def _outputs(self) -> list[int]:
        return self._ids(self.outputs)

    def _bottom_ids(self, layer: int) -> list[int]:
        return self._ids(self.layer_list[layer].param.bottom)

    def _top_ids(self, layer: int) -> list[int]:
        return self._ids(self.layer_list[layer].param.top)

    def _ids(self, names: Iterable[str]) -> list[int]:
        numbers = {name: i for i, name in enumerate(self.blobs)}
        return [numbers[name] for name in names]

    def _position(self, layer: str) -> int:
        names = self._layer_names
        if layer not in names:
            raise CaffeError(f"net '{self.name}' has no layer '{layer}'{suggest(layer, names)}")
        return names.index(layer)
