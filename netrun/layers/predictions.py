"""Checks that the layers over SSD's predictions share."""

from __future__ import annotations

from torch import Tensor

from netrun.layers.registry import Layer


def require_classes(layer: Layer, count: int) -> None:
    """Refuse a layer that does not say its num_classes. Raises LayerError."""
    if not count:
        what = "must say how many classes there are, background included"
        raise layer.refuse(what, "num_classes")


def require_predictions(
    layer: Layer, bottom: Tensor, shape: tuple[int, int, int], what: str
) -> None:
    """Refuse a bottom with too few or too many numbers.

    shape: images, priors, and numbers for each prior of each image.
    what: the kind of prediction, "location" or "confidence".
    Raises LayerError.
    """
    images, priors, values = shape
    wanted = priors * values
    if bottom.numel() != images * wanted:
        found = bottom.numel() // images
        counts = f"{priors} priors need {wanted} {what} predictions an image, not {found}"
        raise layer.refuse(counts)
