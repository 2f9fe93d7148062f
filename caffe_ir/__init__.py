"""What a prototxt means, whoever wrote or runs it: schema, text and bytes, upgrades, phases, shapes.

Modules load when they are first named: after `import caffe_ir`, `caffe_ir.text.read_net(path)` works.
"""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = ["binary", "caffe_ir_pb2", "phase", "rules", "text", "upgrade", "walk"]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return importlib.import_module(f"caffe_ir.{name}")
    raise AttributeError(f"module 'caffe_ir' has no attribute '{name}'")
