"""What follows from a layer's type, fields and bottom shapes: one function per layer type, found through `facts`."""

from __future__ import annotations

from caffe_ir.rules import combination, convolution, data, detection, elementwise, loss, normalization, pooling, recurrent, resize, shape
from caffe_ir.rules.registry import Facts, Param, Shape, facts, layer_types, rule

__all__ = ["Facts", "Param", "Shape", "facts", "layer_types", "rule"]

# Importing a module registers its rules.
_MODULES = (combination, convolution, data, detection, elementwise, loss, normalization, pooling, recurrent, resize, shape)
