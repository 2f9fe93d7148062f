"""Checks to run before and after a solver builds its nets, and before it writes a snapshot."""

from __future__ import annotations

from collections.abc import Sequence

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import cautions
from caffe_ir.solver_nets import NetSource
from netrun.engine.engine import Engine
from netrun.evaluation.ap_versions import AP_VERSIONS
from netrun.runtime import log
from netrun.training import snapshot
from netrun.training.losses import remedy
from ssd_common.errors import CaffeError
from ssd_common.suggest import suggest

EVAL_TYPES = ("classification", "detection")


def check(param: pb.SolverParameter) -> None:
    """Refuse, before nets are built, a solver that would stop the run later. Raises CaffeError."""
    snapshot.check(param)
    if param.average_loss < 1:
        raise CaffeError(f"solver: average_loss must be at least 1, not {param.average_loss}")
    if param.iter_size < 1:
        raise CaffeError(f"solver: iter_size must be at least 1, not {param.iter_size}")
    kind = param.eval_type
    if kind not in EVAL_TYPES:
        raise CaffeError(f"solver: unknown eval_type '{kind}'{suggest(kind, EVAL_TYPES)}")
    version = param.ap_version
    if kind == "detection" and version not in AP_VERSIONS:
        near = suggest(version, AP_VERSIONS)
        raise CaffeError(f"solver: unknown ap_version '{version}'{near}")


def warn(param: pb.SolverParameter, train: NetSource, tests: Sequence[NetSource]) -> None:
    """Warn of what runs, but may give another result than the one meant, each once.

    train, tests: the solver's nets.
    """
    found: dict[str, None] = {}
    filtered = [source.filtered() for source in (train, *tests)]
    for source, net in zip((train, *tests), filtered, strict=True):
        for caution in (*source.notes, *cautions.of_net(net)):
            found[f"{source.origin}: {caution}"] = None
    found |= dict.fromkeys(cautions.of_solver(param, filtered[0], filtered[1:]))
    for caution in found:
        log.warning(caution)


def check_weights(net: Engine, iteration: int, base_lr: float, kept: str) -> None:
    """Refuse a snapshot with weights that are not finite.

    iteration: how often the weights have been updated.
    base_lr: the solver's.
    kept: the last good snapshot, as the end of the message.
    Raises CaffeError with the blob's layer and number, and what to try.
    """
    for blob in net.learnable:
        if not blob.tensor.isfinite().all():
            bad = f"blob {blob.index} of layer '{blob.layer}' is not finite"
            advice = remedy(net, base_lr)
            what = f"not writing a snapshot: {bad}; {advice}{kept}"
            raise CaffeError(f"iteration {iteration}: {what}")
