"""Which nets a solver asks for: train_net, test_net, net, inline or as files, each with the state that filters its layers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from netrun.engine.engine import Engine
from netrun.runtime.options import RunOptions
from ssd_common.errors import CaffeError


@dataclass(frozen=True)
class NetSource:
    """A net to be built. origin: where the solver names it, in Caffe's words. state: phase, level and stages of its layers."""

    net: pb.NetParameter
    origin: str
    state: pb.NetState


@dataclass(frozen=True)
class NetBuilder:
    """Builds the nets of one solver.

    net_class: what they are made of. device: where they compute. options: of the run.
    """

    net_class: type[Engine]
    device: torch.device | str | None
    options: RunOptions

    def build(self, source: NetSource, *, debug_info: bool) -> Engine:
        """A net. debug_info: whether its passes log what layers compute.

        Rank 0 alone tests: a net in phase TEST sees all test data, and no other process takes
        part in its statistics.
        Raises CaffeError where the net or its data are wrong.
        """
        net = pb.NetParameter()
        net.CopyFrom(source.net)
        net.ClearField("state")  # it has gone into source.state
        net.debug_info = debug_info
        state, options = source.state, self.options
        if state.phase != pb.TRAIN:
            options = replace(options, rank=0, world=1, sync_batch_norm=False)
        return self.net_class(
            net,
            state.phase,
            level=state.level,
            stages=list(state.stage),
            device=self.device,
            options=options,
        )


def locate(path: str, folder: Path | None) -> str:
    """`path` as Caffe takes it, from the working directory; where nothing is there, from the solver's own folder."""
    if folder is not None and not Path(path).exists() and (folder / path).exists():
        return str(folder / path)
    return path


def source_of_train(param: pb.SolverParameter, folder: Path | None) -> NetSource:
    """The one train net. folder: of the solver file. Raises CaffeError where there is none, or more than one, or it does not read."""
    fields = [f for f in ("net", "net_param", "train_net", "train_net_param") if param.HasField(f)]
    if len(fields) != 1:
        found = ", ".join(fields) or "none"
        raise CaffeError(f"solver: a train net must be given in exactly one of net, net_param, train_net, train_net_param (found {found})")
    net, origin = _read(getattr(param, fields[0]), fields[0], folder)
    return NetSource(net, origin, _state(pb.TRAIN, net, param.train_state))


def sources_of_tests(param: pb.SolverParameter, folder: Path | None) -> list[NetSource]:
    """The test nets in Caffe's order: test_net_param, test_net, then net for every test_iter that is left. Raises CaffeError."""
    nets = [(n, "test_net_param") for n in param.test_net_param] + [_read(n, "test_net", folder) for n in param.test_net]
    general = [f for f in ("net_param", "net") if param.HasField(f)]
    iters = len(param.test_iter)
    if iters < len(nets) or (iters > len(nets) and not general):
        raise CaffeError(f"solver: {len(nets)} test nets but {iters} test_iter; each test net needs one")
    nets += [_read(getattr(param, general[0]), general[0], folder) for _ in range(iters - len(nets))]
    if param.test_state and len(param.test_state) != len(nets):
        raise CaffeError(f"solver: {len(nets)} test nets but {len(param.test_state)} test_state; give none, or one each")
    if nets and param.test_interval < 1:
        raise CaffeError("solver: test nets need a test_interval of at least 1")
    states = param.test_state or [pb.NetState()] * len(nets)
    return [NetSource(net, origin, _state(pb.TEST, net, state)) for (net, origin), state in zip(nets, states, strict=True)]


def _read(net: str | pb.NetParameter, field: str, folder: Path | None) -> tuple[pb.NetParameter, str]:
    if isinstance(net, pb.NetParameter):
        return net, field
    path = locate(net, folder)
    return text.read_net(path), f"{field} file: {path}"


def _state(phase: int, net: pb.NetParameter, asked: pb.NetState) -> pb.NetState:
    """Caffe's precedence: the phase's default, then the net's own state, then what the solver asks for."""
    state = pb.NetState(phase=phase)  # type: ignore[arg-type]
    state.MergeFrom(net.state)
    state.MergeFrom(asked)
    return state
