"""SSDFocalLoss: the one Python layer that this package knows.

netgen writes its file beside a net; netrun has a faster version.
"""

from __future__ import annotations

from caffe_ir import caffe_ir_pb2 as pb

MODULE = "ssd_focal_loss"
CLASS = "SSDFocalLoss"
# The layer's options, which param_str gives as JSON; num_classes has no default. The layer's own
# file repeats these values, because Caffe runs that file without this package. netgen writes gamma
# and loc_weight as they stand here, without a point.
DEFAULTS = {
    "alpha": 0.25,
    "gamma": 2,
    "loc_weight": 1,
    "overlap_threshold": 0.5,
    "background_label_id": 0,
    "use_difficult_gt": True,
}


def is_focal_loss(layer: pb.LayerParameter) -> bool:
    """Tell whether a Python layer is SSDFocalLoss."""
    param = layer.python_param
    return (param.module, param.layer) == (MODULE, CLASS)
