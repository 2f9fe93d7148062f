"""Runs scripts written for pycaffe: their `import caffe` imports netrun's."""

from __future__ import annotations

import builtins
import logging
import os
import runpy
import sys
import tokenize
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import CodeType, ModuleType, TracebackType

import numpy as np

import caffe_ir
import ssd_common
from netrun.pycaffe import import_hook, python2
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

    A Python 2 script is translated where that suffices. If NETRUN_TRACEBACK is set in the
    environment, errors show the whole traceback, netrun's part included.
    arguments: the script's sys.argv[1:].
    module: whether `script` is a module's name.
    code: whether `script` is Python code; a script `-` is read from standard input.
    Returns 0, or 1 after an error of the script's own, which is shown as Python shows it.
    Raises CaffeError, with the script's line in front, for an error of netrun's, for a file that is
    not Python, and for names that only Python 2 has.
    Raises BrokenPipeError, and SystemExit where the script does.
    """
    log.setup(level=max(log.logger.level, logging.INFO))
    _add_python2_names()
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
    return 0


def _show(error: Exception, steps: TracebackType | None) -> None:
    """Show an error of the script's own as Python does, and where a name that it misses may be."""
    traceback.print_exception(type(error), error, steps)
    advice = import_hook.advice(error)
    if advice:
        log.warning(advice)


def _add_python2_names() -> None:
    for name, value in python2.RENAMED.items():
        if not hasattr(builtins, name):
            setattr(builtins, name, value)
    for name, meaning in python2.NUMPY.items():
        if name not in vars(np):
            setattr(np, name, meaning)


def _run_source(source: str, name: str) -> None:
    """Run a script that has no file. name: what tracebacks call it."""
    try:
        compiled = compile(source, name, "exec", dont_inherit=True)
    except SyntaxError as error:
        translated = _translated_source(source, name, error)
        if translated is None:
            raise
        compiled = translated
        log.warning(f"{name} is for Python 2: it is read as Python 3, where 1 / 2 is 0.5")
    with _main_module(name) as names:
        exec(compiled, names)


# What sys.argv[0] is, and what Python's tracebacks call the script.
_SOURCE_NAMES = {"-c": "<string>", "-": "<stdin>"}


def _run_main(script: str, module: bool) -> None:
    if module:
        runpy.run_module(script, run_name="__main__", alter_sys=True)
        return
    code = _translated(script)
    if code:
        log.warning(f"{script} is for Python 2: it is read as Python 3, where 1 / 2 is 0.5")
        with _main_module(script) as names:
            exec(code, names)
    else:
        runpy.run_path(script, run_name="__main__")


def _explained(error: Exception, steps: TracebackType | None) -> str:
    """One line for an error that the user can correct; empty for an error of the script itself.

    steps: its traceback from the script's first line on.
    """
    hint = python2.hint(error)
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


def _translated(path: str) -> CodeType | None:
    """Translate a Python 2 script for Python 3.

    None for every other script, and for one that cannot be translated.
    """
    try:
        with tokenize.open(path) as file:
            source = file.read()
        compile(source, path, "exec", dont_inherit=True)
    except SyntaxError as error:
        return _translated_source(source, path, error)
    except ValueError:  # the file is not text
        pass
    return None


def _translated_source(source: str, path: str, error: SyntaxError) -> CodeType | None:
    """A script that Python 3 refuses with this error, as _translated returns it."""
    if not python2.hint(error):
        return None
    with suppress(SyntaxError, tokenize.TokenError):
        return compile(python2.translate(source), path, "exec", dont_inherit=True)
    return None


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


def _from_script(step: TracebackType | None) -> TracebackType | None:
    """The traceback from the script's first line on."""
    while step is not None and not _is_user_file(step.tb_frame.f_code.co_filename):
        step = step.tb_next
    return step
