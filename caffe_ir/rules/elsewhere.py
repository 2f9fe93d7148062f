"""Layer types and fields that neither SSD fork has, and the Caffe builds that have them."""

from __future__ import annotations

_FASTER_RCNN = "rbgirshick/caffe-fast-rcnn, the Caffe of py-faster-rcnn"
_RFCN = "daijifeng001/caffe-rfcn, the Caffe of py-R-FCN"
_MASK_RCNN = "Caffe builds for Mask R-CNN"
_SEGNET = "alexgkendall/caffe-segnet, the Caffe of SegNet"
_SHUFFLENET = "farmingyard/ShuffleNet"

_TYPES = {
    "BoxAnnotatorOHEM": _RFCN,
    "PSROIPooling": _RFCN,
    "ROIAlign": _MASK_RCNN,
    "ROIPooling": _FASTER_RCNN,
    "ShuffleChannel": _SHUFFLENET,
    "SmoothL1LossOHEM": _RFCN,
    "SoftmaxWithLossOHEM": _RFCN,
    "Upsample": _SEGNET,
}
_FIELDS = {
    "box_annotator_ohem_param": _RFCN,
    "psroi_pooling_param": _RFCN,
    "roi_align_param": _MASK_RCNN,
    "roi_pooling_param": _FASTER_RCNN,
    "shuffle_channel_param": _SHUFFLENET,
    "smooth_l1_loss_param": _FASTER_RCNN,
    "upsample_param": _SEGNET,
}


def who_has(name: str) -> str:
    """Say which Caffe has a layer type, or a field of a layer: ` (… has it)`; else ""."""
    found = _TYPES.get(name) or _FIELDS.get(name)
    if found is None:
        return ""
    return f" ({found}, has it; the SSD forks and netrun do not)"
