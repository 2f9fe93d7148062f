"""Reads, writes and checks Caffe's files.

It covers the schema, text and binary files, upgrades, phases, shapes and records. A module loads on
first use: after `import caffe_ir`, `caffe_ir.text.read_net(path)` works.
"""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = [
    "binary",
    "caffe_ir_pb2",
    "cautions",
    "dataset_file",
    "label_map",
    "lmdb_reader",
    "name_size",
    "phase",
    "plain_text",
    "prior_boxes",
    "records",
    "rules",
    "schema",
    "solver_nets",
    "splits",
    "text",
    "upgrade",
    "upgrade_v0",
    "walk",
]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return importlib.import_module(f"caffe_ir.{name}")
    raise AttributeError(f"module 'caffe_ir' has no attribute '{name}'")
