"""Builds the nets of a solver."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.solver_nets import NetSource
from netrun.engine.engine import Engine
from netrun.layers.annotated_data import log_coding
from netrun.runtime.options import RunOptions


@dataclass(frozen=True)
class NetBuilder:
    """Builds the nets of one solver.

    net_class: Engine or a subclass.
    device: where the nets compute.
    options: the run's options.
    """

    net_class: type[Engine]
    device: torch.device | str | None
    options: RunOptions

    def build(self, source: NetSource, *, debug_info: bool) -> Engine:
        """Build a net, and log whether its images are encoded as JPEG again.

        Only rank 0 tests: a net in phase TEST sees all test data, and its statistics come from this
        process alone.

        debug_info: whether its passes log what layers compute.
        Raises CaffeError where the net or its data are wrong.
        """
        net = pb.NetParameter()
        net.CopyFrom(source.net)
        net.ClearField("state")  # source.state already has it
        net.debug_info = debug_info
        state = source.state
        options = self.options
        if state.phase != pb.TRAIN:
            options = replace(options, rank=0, world=1, sync_batch_norm=False)
        built = self.net_class(
            net,
            state.phase,
            level=state.level,
            stages=list(state.stage),
            device=self.device,
            options=options,
        )
        log_coding(built.layer_list)
        return built
