"""Turns a prototxt into the net that an engine builds: one phase, one level, with Split layers."""

from __future__ import annotations

from collections.abc import Iterable

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from caffe_ir.phase import filter_net
from caffe_ir.rules.loss import is_loss
from caffe_ir.splits import insert_splits
from caffe_ir.upgrade import upgrade_net
from netrun.engine.graph import AUTOMATIC
from netrun.runtime import log
from ssd_common.files import PathLike


def prepared_net(
    prototxt: PathLike | pb.NetParameter,
    phase: int,
    level: int,
    stages: Iterable[str],
) -> pb.NetParameter:
    """The net as Caffe's Net::Init sees it, in a new message.

    prototxt: a path or a message, which stays as it is.
    phase, level, stages: select layers by include and exclude rules.
    Raises ParseError, LayerError or CaffeError for a net that Caffe would refuse.
    """
    whole = _whole_net(prototxt)
    filtered = filter_net(whole, phase, level, stages)
    net = insert_splits(filtered, _tops(whole) - _tops(filtered))
    _name_tops_of_losses(net)
    net.state.phase = phase  # type: ignore[assignment]
    return net


def without_automatic_tops(net: pb.NetParameter) -> pb.NetParameter:
    """The net as in its prototxt, without the tops that `prepared_net` gave to losses."""
    if not any(name.endswith(AUTOMATIC) for name in _tops(net)):
        return net
    saved = pb.NetParameter()
    saved.CopyFrom(net)
    for layer in saved.layer:
        layer.top[:] = [name for name in layer.top if not name.endswith(AUTOMATIC)]
    return saved


def _whole_net(prototxt: PathLike | pb.NetParameter) -> pb.NetParameter:
    notes: list[str] = []
    if isinstance(prototxt, pb.NetParameter):
        whole = pb.NetParameter()
        whole.CopyFrom(prototxt)
        upgrade_net(whole, prototxt.name, notes)
    else:
        whole = text.read_net(prototxt, notes)
    for note in notes:
        log.warning(note)
    return whole


def _tops(net: pb.NetParameter) -> set[str]:
    return {top for layer in net.layer for top in layer.top}


def _name_tops_of_losses(net: pb.NetParameter) -> None:
    """Give each loss without a top a top, as Caffe does."""
    for layer in net.layer:
        if not layer.top and is_loss(layer):
            layer.top.append(layer.name + AUTOMATIC)
