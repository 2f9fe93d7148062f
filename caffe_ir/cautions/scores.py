"""Cautions about the scores that DetectionOutput reads: training's loss implies how they come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from caffe_ir import caffe_ir_pb2 as pb

# What the fork's ssd_*.py put between the predictions and DetectionOutput, by loss.
_BY_LOSS = {
    pb.MultiBoxLossParameter.SOFTMAX: "Softmax",
    pb.MultiBoxLossParameter.LOGISTIC: "Sigmoid",
}
_REARRANGE = frozenset(("Concat", "Flatten", "Permute", "Reshape", "Slice", "Split"))
_PREDICT = frozenset(("Convolution", "Eltwise", "InnerProduct", "Scale"))


def of_scores(loss: pb.LayerParameter, test: pb.NetParameter) -> Iterator[str]:
    """Say where scores do not come through what the loss of training implies.

    loss: the train net's MultiBoxLoss.
    test: the test net, filtered.
    """
    kind = loss.multibox_loss_param.conf_loss_type
    wanted = _BY_LOSS[kind]
    loss_name = pb.MultiBoxLossParameter.ConfLossType.Name(kind)
    for position, layer in enumerate(test.layer):
        if layer.type != "DetectionOutput" or len(layer.bottom) < 2:
            continue
        found = _maker(test.layer[:position], layer.bottom[1])
        if found == wanted or found not in {*_BY_LOSS.values(), *_PREDICT}:
            continue
        trained = f"training has conf_loss_type {loss_name} (layer '{loss.name}')"
        what = f"scores come from {found}, without {wanted}"
        yield f"layer '{layer.name}': {what}, but {trained}; put {wanted} before it"


def _maker(layers: Sequence[pb.LayerParameter], blob: str) -> str:
    """The type of the layer that computes a blob, before layers that only rearrange values."""
    for layer in reversed(layers):
        if blob not in layer.top:
            continue
        if layer.type not in _REARRANGE or not layer.bottom:
            return layer.type
        blob = layer.bottom[0]
    return ""
