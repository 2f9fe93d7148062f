"""Runs scripts written for pycaffe: their `import caffe` imports netrun's."""

from __future__ import annotations

import importlib.util
import logging
import os
import runpy
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, ModuleType, TracebackType

import caffe_ir
import ssd_common
from netrun.pycaffe import import_hook, numpy_names, protobuf_names
from netrun.pycaffe.python2 import hints, importing, operations, reader
from netrun.runtime import log
from ssd_common.errors import CaffeError


def run_script(
    script: str,
    arguments: Sequence[str] = (),
    *,
    module: bool = False,
    code: bool = False,
) -> int:
    """Run a script as `__main__` in this process, with netrun as its `import caffe`.

    A script of Python 2, and its modules that are, run with Python 2's meaning. If NETRUN_TRACEBACK
    is set in the environment, errors show the whole traceback, netrun's part included.
    arguments: the script's sys.argv[1:].
    module: whether `script` is a module's name.
    code: whether `script` is Python code; a script `-` is read from standard input.
    Returns 0, or 1 after an error of the script's own, which is shown as Python shows it.
    Raises CaffeError, with the script's line in front, for an error of netrun's, and for a file
    that is not Python.
    Raises BrokenPipeError, and SystemExit where the script does.
    """
    log.setup(level=max(log.logger.level, logging.INFO))
    numpy_names.add()
    protobuf_names.add()
    source = None
    if code:
        source = script
        script = "-c"
    elif script == "-":
        source = sys.stdin.read()
    sys.argv = [script, *arguments]
    folder = ""
    if source is None and not module:
        folder = os.path.dirname(os.path.abspath(script))
        if not os.path.isfile(script):
            raise CaffeError(f"{script}: no such script")
    import_hook.install(folder)
    sys.path.insert(0, folder)
    try:
        if source is None:
            _run_main(script, module)
        else:
            _run_source(source, _SOURCE_NAMES[script])
    except BrokenPipeError:
        raise
    except Exception as error:
        if os.environ.get("NETRUN_TRACEBACK"):
            traceback.print_exception(error)
        steps = _from_script(error.__traceback__)
        message = _explained(error, steps)
        if message:
            raise CaffeError(message) from error
        _show(error, steps)
        return 1
    finally:
        operations.end_line(sys.stdout)
    return 0


def _show(error: Exception, steps: TracebackType | None) -> None:
    """Show an error of the script's own as Python does, and where a name that it misses may be."""
    traceback.print_exception(type(error), error, steps)
    advice = import_hook.advice(error)
    if advice:
        log.warning(advice)


def _run_source(source: str, name: str) -> None:
    """Run a script that has no file. name: what tracebacks call it."""
    python2 = reader.code(source, name)
    compiled = python2
    if compiled is None:
        compiled = compile(source, name, "exec", dont_inherit=True)
    with _main_module(name) as names:
        if python2:
            importing.use(names)
        exec(compiled, names)


# What sys.argv[0] is, and what Python's tracebacks call the script.
_SOURCE_NAMES = {"-c": "<string>", "-": "<stdin>"}


def _run_main(script: str, module: bool) -> None:
    if module:
        _run_module(script)
        return
    code = _python2(script)
    if code is None:
        runpy.run_path(script, run_name="__main__")
        return
    with _main_module(script) as names:
        importing.use(names)
        exec(code, names)


def _run_module(name: str) -> None:
    """Do `python -m name`."""
    spec = importlib.util.find_spec(name)
    if spec is not None and spec.submodule_search_locations is not None:
        name = f"{name}.__main__"
        spec = importlib.util.find_spec(name)
    if spec is None or not isinstance(spec.loader, importing.Loader):
        runpy.run_module(name, run_name="__main__", alter_sys=True)
        return
    path = str(spec.origin)
    sys.argv[0] = path
    with _main_module(path) as names:
        names.update(__spec__=spec, __package__=spec.parent)
        importing.use(names)
        exec(spec.loader.code, names)


def _python2(path: str) -> CodeType | None:
    """The code of a script that is Python 2; None for every other."""
    try:
        return reader.code(reader.decode(Path(path).read_bytes()), path)
    except ValueError:  # the file is not text
        return None


def _explained(error: Exception, steps: TracebackType | None) -> str:
    """One line for an error that the user can correct; empty for an error of the script itself.

    steps: its traceback from the script's first line on.
    """
    hint = hints.hint(error)
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}: {error.msg}{hint}"
    if steps is None:
        return ""
    frames = traceback.extract_tb(steps)
    if isinstance(error, CaffeError):
        place = next(s for s in reversed(frames) if _is_user_file(s.filename))
        return f"{place.filename}:{place.lineno}: {error}"
    if hint:
        return f"{frames[-1].filename}:{frames[-1].lineno}: {error}{hint}"
    return ""


@contextmanager
def _main_module(path: str) -> Iterator[dict[str, object]]:
    """Install a new module `__main__` while the script runs, as runpy does.

    Yields its names.
    """
    module = ModuleType("__main__")
    before = sys.modules["__main__"]
    module.__file__ = path
    sys.modules["__main__"] = module
    try:
        yield vars(module)
    finally:
        sys.modules["__main__"] = before


def _is_user_file(path: str) -> bool:
    return not path.startswith((*_OWN_FOLDERS, "<frozen")) and "site-packages" not in path


def _own_folders() -> tuple[str, ...]:
    """The folders of netrun, of the packages below it, and of Python's library."""
    files = (str(Path(__file__).parents[0]), caffe_ir.__file__, ssd_common.__file__, runpy.__file__)
    return tuple(os.path.dirname(os.path.abspath(file)) for file in files)


_OWN_FOLDERS = _own_folders()
_PYTHON2 = os.path.join(os.path.dirname(os.path.abspath(__file__)), "python2", "")


def _from_script(step: TracebackType | None) -> TracebackType | None:
    """The traceback from the script's first line on, without what does Python 2's operators."""
    while step is not None and not _is_user_file(step.tb_frame.f_code.co_filename):
        step = step.tb_next
    steps = []
    while step is not None:
        if not step.tb_frame.f_code.co_filename.startswith(_PYTHON2):
            steps.append(step)
        step = step.tb_next
    found = None
    for step in reversed(steps):
        found = TracebackType(found, step.tb_frame, step.tb_lasti, step.tb_lineno)
    return found
