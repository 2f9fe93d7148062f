"""The engine's layers. Importing this package registers every module in it."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from netrun.layers.registry import Context, Layer, create, layer, layer_types
from netrun.runtime import extensions

__all__ = ["Context", "Layer", "create", "layer", "layer_types"]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")


def __getattr__(name: str) -> Any:
    """`from netrun import layers as L`: pycaffe's builders of layers, `L.Convolution(...)`."""
    if not name[:1].isupper():
        raise AttributeError(f"module 'netrun.layers' has no attribute '{name}'")
    return extensions.layer_function(name)
