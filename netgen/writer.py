"""Writes a detector's files: three nets, its solver or chain of solvers, and its launch script."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from netgen.launcher import GUIDE, LAUNCHER, launcher, names_guide, solver_names
from netgen.names import PHASES
from netgen.run import Run
from ssd_common.durable import make_folder
from ssd_common.errors import CaffeError
from ssd_common.files import clear_leftovers, write_atomic

NAMED = 3  # stale files that a message names at most
_PYTHON_LAYERS = Path(__file__).with_name("python_layers")
_GUIDE_TEXT = Path(__file__).with_name("weights.md")


def texts(run: Run) -> dict[str, str]:
    """Return the text of each of a detector's files by its name in `run.net_folder`."""
    nets = {phase: run.build(phase) for phase in PHASES}
    found = {f"{phase}.prototxt": text.dumps(net) for phase, net in nets.items()}
    modules = python_modules(nets.values())
    for module in modules:  # so that the folder is all that Caffe needs
        file = f"{module}.py"
        found[file] = (_PYTHON_LAYERS / file).read_text(encoding="utf-8")
    for name, solver in zip(solver_names(run), run.solvers(), strict=True):
        found[name] = text.dumps(solver)
    test_solver = run.test_solver()
    if test_solver is not None:
        found["test_solver.prototxt"] = text.dumps(test_solver)
    found[LAUNCHER] = launcher(run, python_layers=bool(modules))
    return found


def python_modules(nets: Iterable[pb.NetParameter]) -> list[str]:
    """Return the names of the modules that the nets' Python layers are in."""
    found = set()
    for net in nets:
        for layer in net.layer:
            if layer.type == "Python":
                found.add(layer.python_param.module)
    return sorted(found)


def write(run: Run) -> list[Path]:
    """Write a detector's files below the working directory and return those that changed.

    It makes the text of all files first, then writes each file whole or not at all.
    It also writes models/README.md if the launch script names it and it is missing.

    Raises CaffeError where the folder cannot be written.
    """
    folder = Path(run.net_folder)
    contents = texts(run)
    make_folder(folder)
    clear_leftovers(folder, contents.__contains__)
    changed = _stale(folder, contents)
    for path in changed:
        write_atomic(path, contents[path.name])
    (folder / LAUNCHER).chmod(0o755)
    if names_guide(run):
        changed += _write_missing_guide()
    return changed


def guide() -> str:
    """Return the text of models/README.md: which weights to fetch, and where from."""
    return _GUIDE_TEXT.read_text(encoding="utf-8")


def _write_missing_guide() -> list[Path]:
    """Write models/README.md where there is none, and return its path if it was written.

    A folder that nothing can be written to stays as it is: training needs the weights only.
    """
    path = Path(GUIDE)
    if path.exists():
        return []
    with suppress(CaffeError, OSError):
        path.parent.mkdir(exist_ok=True)
        write_atomic(path, guide())
        return [path]
    return []


def stale(run: Run) -> list[Path]:
    """Return a detector's files that are missing or differ from the text that netgen writes."""
    return _stale(Path(run.net_folder), texts(run))


def refuse_stale(files: Sequence[Path], remedy: str) -> None:
    """Raise CaffeError that names stale files, if there are any, and the remedy."""
    if not files:
        return
    names = [str(file) for file in files[:NAMED]]
    if len(files) > NAMED:
        names.append("…")
    message = f"{len(files)} files are not what netgen writes: {', '.join(names)}"
    raise CaffeError(f"{message}; {remedy}")


def _stale(folder: Path, contents: dict[str, str]) -> list[Path]:
    found = []
    for name, content in contents.items():
        path = folder / name
        if not holds(path, content):
            found.append(path)
    return found


def holds(path: Path, content: str) -> bool:
    """Return whether a file exists and holds exactly this content."""
    try:
        return path.read_bytes() == content.encode()
    except OSError:
        return False
