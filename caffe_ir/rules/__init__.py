"""The rules of layer types: each turns a layer's fields and bottom shapes into its facts.

Each type has one function; `facts` finds it.
"""

from __future__ import annotations

import importlib
import pkgutil

from caffe_ir.rules.registry import (
    VALUE_BYTES,
    Facts,
    Layer,
    Param,
    Shape,
    Shapes,
    blob_shape_text,
    facts,
    layer_types,
    rule,
    shape_text,
)

__all__ = [
    "VALUE_BYTES",
    "Facts",
    "Layer",
    "Param",
    "Shape",
    "Shapes",
    "blob_shape_text",
    "facts",
    "layer_types",
    "rule",
    "shape_text",
]

# Importing a module registers its rules.
for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
