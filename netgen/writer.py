"""A detector's files: three nets, its solver or the chain of them, and its launch script."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from netgen.graph import PHASES
from netgen.launcher import LAUNCHER, launcher, solver_names
from netgen.run import Run
from ssd_common.errors import CaffeError
from ssd_common.files import write_atomic

NAMED = 3  # stale files, in a message
_PYTHON_LAYERS = Path(__file__).with_name("python_layers")


def texts(run: Run) -> dict[str, str]:
    """The text of each of a detector's files by its name in `run.net_folder`."""
    nets = {phase: run.build(phase) for phase in PHASES}
    found = {f"{phase}.prototxt": text.dumps(net) for phase, net in nets.items()}
    modules = python_modules(nets.values())
    for module in modules:  # so that the folder is all that Caffe needs
        found[f"{module}.py"] = (_PYTHON_LAYERS / f"{module}.py").read_text(encoding="utf-8")
    for name, solver in zip(solver_names(run), run.solvers(), strict=True):
        found[name] = text.dumps(solver)
    if (test_solver := run.test_solver()) is not None:
        found["test_solver.prototxt"] = text.dumps(test_solver)
    found[LAUNCHER] = launcher(run, python_layers=bool(modules))
    return found


def python_modules(nets: Iterable[pb.NetParameter]) -> list[str]:
    """The modules of the nets' Python layers."""
    layers = (layer for net in nets for layer in net.layer)
    return sorted({layer.python_param.module for layer in layers if layer.type == "Python"})


def write(run: Run) -> list[Path]:
    """Write a detector's files below the working directory and return those that changed.

    Each is written whole or not at all, and none before all are made. Raises CaffeError where the
    folder cannot be written.
    """
    folder = Path(run.net_folder)
    made = texts(run)
    folder.mkdir(parents=True, exist_ok=True)
    changed = _stale(folder, made)
    for path in changed:
        write_atomic(path, made[path.name])
    (folder / LAUNCHER).chmod(0o755)
    return changed


def stale(run: Run) -> list[Path]:
    """A detector's files that are missing or hold something else than would be written."""
    return _stale(Path(run.net_folder), texts(run))


def refuse_stale(files: Sequence[Path], remedy: str) -> None:
    """Raise CaffeError that names stale files, if there are any, and what to do."""
    if not files:
        return
    names = [str(file) for file in files[:NAMED]]
    if len(files) > NAMED:
        names.append("…")
    said = f"{len(files)} files are not what netgen writes: {', '.join(names)}"
    raise CaffeError(f"{said}; {remedy}")


def _stale(folder: Path, made: dict[str, str]) -> list[Path]:
    return [folder / name for name, content in made.items() if not holds(folder / name, content)]


def holds(path: Path, content: str) -> bool:
    """Whether a file is there with just this content."""
    try:
        return path.read_bytes() == content.encode()
    except OSError:
        return False
