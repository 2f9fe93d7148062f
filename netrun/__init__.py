"""netrun: the embedded engine, Caffe's nets on PyTorch. `netrun.Net` in the manner of pycaffe."""

from __future__ import annotations

from caffe_ir.caffe_ir_pb2 import TEST, TRAIN

__all__ = ["TEST", "TRAIN"]
