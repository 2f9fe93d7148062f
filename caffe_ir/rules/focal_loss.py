"""SSDFocalLoss: the one Python layer whose code is known. netgen writes its file beside a net, netrun has a faster one of its own."""

from __future__ import annotations

from caffe_ir import caffe_ir_pb2 as pb

MODULE = "ssd_focal_loss"
CLASS = "SSDFocalLoss"
# Its options, the JSON in param_str; num_classes is the one that must be given. The file has the same, for Caffe runs it by itself.
DEFAULTS = {
    "alpha": 0.25,
    "gamma": 2.0,
    "loc_weight": 1.0,
    "overlap_threshold": 0.5,
    "background_label_id": 0,
    "use_difficult_gt": True,
}


def is_focal_loss(layer: pb.LayerParameter) -> bool:
    """Whether a Python layer is this one."""
    param = layer.python_param
    return (param.module, param.layer) == (MODULE, CLASS)
