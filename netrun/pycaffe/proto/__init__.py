"""`from caffe.proto import caffe_pb2`."""

from __future__ import annotations

from caffe_ir import caffe_ir_pb2 as caffe_pb2

__all__ = ["caffe_pb2"]
