"""The engine's layers. Importing this package registers every module in it."""

from __future__ import annotations

import importlib
import pkgutil

from netrun.layers.registry import Context, Layer, create, layer, layer_types

__all__ = ["Context", "Layer", "create", "layer", "layer_types"]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
