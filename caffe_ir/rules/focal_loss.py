"""SSDFocalLoss: the one Python layer whose code is known. netgen writes its file beside a net, netrun has a faster one of its own."""

from __future__ import annotations

from caffe_ir import caffe_ir_pb2 as pb

MODULE = "ssd_focal_loss"
CLASS = "SSDFocalLoss"


def is_focal_loss(layer: pb.LayerParameter) -> bool:
    """Whether a Python layer is this one."""
    param = layer.python_param
    return (param.module, param.layer) == (MODULE, CLASS)
