"""Finds the nets that a solver names: train_net, test_net, net, inline or as files.

Each net comes with the state that filters its layers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from netrun.engine.engine import Engine
from netrun.layers.annotated_data import log_coding
from netrun.runtime.options import RunOptions
from ssd_common.errors import CaffeError

_TRAIN_FIELDS = ("net", "net_param", "train_net", "train_net_param")


@dataclass(frozen=True)
class NetSource:
    """A net to build.

    origin: the solver's field that names the net, in Caffe's words.
    state: the phase, level and stages of the net.
    """

    net: pb.NetParameter
    origin: str
    state: pb.NetState


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


def folder_of(path: str | Path | None) -> Path | None:
    """The folder of a solver file; None for a solver without a file."""
    if path is None:
        return None
    return Path(path).parent


def locate(path: str, folder: Path | None) -> str:
    """Find the file for `path` as Caffe does, from the working directory.

    If there is none, it is the file of that name from the solver's own folder, if that exists.
    """
    if folder is None or Path(path).exists():
        return path
    if (folder / path).exists():
        return str(folder / path)
    return path


def source_of_train(param: pb.SolverParameter, folder: Path | None) -> NetSource:
    """Find the solver's single train net.

    folder: of the solver file.
    Raises CaffeError where there is none, or more than one, or the net cannot be read.
    """
    given = [name for name in _TRAIN_FIELDS if param.HasField(name)]
    if len(given) != 1:
        fields = f"exactly one of {', '.join(_TRAIN_FIELDS)}"
        found = ", ".join(given) or "none"
        raise CaffeError(f"solver: a train net must be given in {fields} (found {found})")
    field = given[0]
    net, origin = _read(getattr(param, field), field, folder)
    return NetSource(net, origin, _state(pb.TRAIN, net, param.train_state))


def sources_of_tests(param: pb.SolverParameter, folder: Path | None) -> list[NetSource]:
    """The test nets in Caffe's order: test_net_param, test_net, then net.

    `net` serves every remaining test_iter.

    folder: of the solver file.
    Raises CaffeError where the numbers of fields do not agree, or a net cannot be read.
    """
    nets = _test_nets(param, folder)
    if param.test_state and len(param.test_state) != len(nets):
        counts = f"{len(nets)} test nets but {len(param.test_state)} test_state"
        raise CaffeError(f"solver: {counts}; give none, or one each")
    if nets and param.test_interval < 1:
        raise CaffeError("solver: test nets need a test_interval of at least 1")
    states = param.test_state or [pb.NetState()] * len(nets)
    sources = []
    for (net, origin), state in zip(nets, states, strict=True):
        sources.append(NetSource(net, origin, _state(pb.TEST, net, state)))
    return sources


def _test_nets(param: pb.SolverParameter, folder: Path | None) -> list[tuple[pb.NetParameter, str]]:
    """The test nets, each with the solver's field that names it."""
    nets = [(net, "test_net_param") for net in param.test_net_param]
    nets += [_read(path, "test_net", folder) for path in param.test_net]
    general = [name for name in ("net_param", "net") if param.HasField(name)]
    iters = len(param.test_iter)
    left = iters - len(nets)
    if left < 0 or (left > 0 and not general):
        counts = f"{len(nets)} test nets but {iters} test_iter"
        raise CaffeError(f"solver: {counts}; each test net needs one")
    for _ in range(left):
        field = general[0]
        nets.append(_read(getattr(param, field), field, folder))
    return nets


def _read(
    net: str | pb.NetParameter, field: str, folder: Path | None
) -> tuple[pb.NetParameter, str]:
    if isinstance(net, pb.NetParameter):
        return net, field
    path = locate(net, folder)
    return text.read_net(path), f"{field} file: {path}"


def _state(phase: int, net: pb.NetParameter, asked: pb.NetState) -> pb.NetState:
    """The state of a net, by Caffe's precedence.

    First comes the phase's default, then the net's own state, then the solver's.
    """
    state = pb.NetState(phase=phase)  # type: ignore[arg-type]
    state.MergeFrom(net.state)
    state.MergeFrom(asked)
    return state
