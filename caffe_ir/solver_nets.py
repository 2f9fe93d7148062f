"""Finds the nets that a solver names: train_net, test_net, net, inline or as files.

Each net comes with the state that filters its layers.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from caffe_ir.phase import filter_net
from ssd_common.errors import CaffeError

_TRAIN_FIELDS = ("net", "net_param", "train_net", "train_net_param")


@dataclass(frozen=True)
class NetSource:
    """A net that a solver names.

    origin: the solver's field that names the net, in Caffe's words.
    state: the phase, level and stages of the net.
    notes: what reading it changed (see `caffe_ir.upgrade.upgrade_net`).
    """

    net: pb.NetParameter
    origin: str
    state: pb.NetState = field(default_factory=pb.NetState)
    notes: tuple[str, ...] = ()

    def filtered(self) -> pb.NetParameter:
        """Copy the net with the layers that belong to its state. Raises LayerError."""
        state = self.state
        return filter_net(self.net, state.phase, state.level, state.stage)


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
    name = given[0]
    source = _read(getattr(param, name), name, folder)
    return _in_state(source, pb.TRAIN, param.train_state)


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
    pairs = zip(nets, states, strict=True)
    return [_in_state(source, pb.TEST, state) for source, state in pairs]


def _test_nets(param: pb.SolverParameter, folder: Path | None) -> list[NetSource]:
    """The test nets, not yet in a state."""
    nets = [NetSource(net, "test_net_param") for net in param.test_net_param]
    nets += [_read(path, "test_net", folder) for path in param.test_net]
    general = [name for name in ("net_param", "net") if param.HasField(name)]
    iters = len(param.test_iter)
    left = iters - len(nets)
    if left < 0 or (left > 0 and not general):
        counts = f"{len(nets)} test nets but {iters} test_iter"
        raise CaffeError(f"solver: {counts}; each test net needs one")
    for _ in range(left):
        name = general[0]
        nets.append(_read(getattr(param, name), name, folder))
    return nets


def _read(net: str | pb.NetParameter, named_by: str, folder: Path | None) -> NetSource:
    """Read a net, not yet in a state. named_by: the solver's field that names or holds it."""
    if isinstance(net, pb.NetParameter):
        return NetSource(net, named_by)
    path = locate(net, folder)
    notes: list[str] = []
    found = text.read_net(path, notes)
    return NetSource(found, f"{named_by} file: {path}", notes=tuple(notes))


def _in_state(source: NetSource, phase: int, asked: pb.NetState) -> NetSource:
    """The net in its state, by Caffe's precedence.

    First comes the phase's default, then the net's own state, then the solver's.
    """
    state = pb.NetState(phase=phase)  # type: ignore[arg-type]
    state.MergeFrom(source.net.state)
    state.MergeFrom(asked)
    return replace(source, state=state)
