"""Run a Python script that was written for pycaffe: its `import caffe` is netrun's.

example: netrun python examples/ssd/ssd_pascal.py (which starts ./build/tools/caffe: make that a link to netrun).
"""

from __future__ import annotations

import argparse
import builtins
import logging
import os
import runpy
import sys
import tokenize
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import CodeType, ModuleType, TracebackType

import caffe_ir
import netrun
import ssd_common
from netrun.pycaffe import import_hook, python2
from netrun.runtime import log
from ssd_common.errors import CaffeError

RENAMED = {"xrange": range, "raw_input": input, "unicode": str}  # Python 2's names for what there is still
GONE = {
    "basestring": "str",
    "cPickle": "pickle",
    "ConfigParser": "configparser",
    "file": "open",
    "has_key": "in",
    "iteritems": "items",
    "iterkeys": "keys",
    "itervalues": "values",
    "long": "int",
    "Queue": "queue",
    "reduce": "functools.reduce",
    "StringIO": "io.StringIO",
    "unichr": "chr",
    "urllib2": "urllib.request",
}


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-m", dest="module", action="store_true", help="SCRIPT is the name of a module, as with python -m")
    parser.add_argument("script", metavar="SCRIPT", help="what to run; all that follows is its own")


def split(argv: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """What is this command's, up to the script's name, and what is the script's."""
    end = next((i + 1 for i, argument in enumerate(argv) if not argument.startswith("-")), len(argv))
    return argv[:end], argv[end:]


def run(args: argparse.Namespace) -> int:
    log.setup(level=max(log.logger.level, logging.INFO))
    import_hook.install()
    for name, value in RENAMED.items():
        if not hasattr(builtins, name):
            setattr(builtins, name, value)
    sys.argv = [args.script, *args.rest]
    sys.path.insert(0, "" if args.module else os.path.dirname(os.path.abspath(args.script)))
    if not args.module and not os.path.isfile(args.script):
        raise CaffeError(f"{args.script}: no such script")
    try:
        if args.module:
            runpy.run_module(args.script, run_name="__main__", alter_sys=True)
        elif code := _translated(args.script):
            log.warning(f"{args.script} is for Python 2: it is read as Python 3, where 1 / 2 is 0.5")
            with _main_module(args.script) as names:
                exec(code, names)
        else:
            runpy.run_path(args.script, run_name="__main__")
    except BrokenPipeError:
        raise
    except Exception as error:
        if os.environ.get("NETRUN_TRACEBACK"):
            traceback.print_exception(error)
        steps = _theirs(error.__traceback__)
        last = traceback.extract_tb(steps)[-1] if steps else None
        if isinstance(error, SyntaxError):
            raise CaffeError(f"{error.filename}:{error.lineno}: {error.msg}{_python2(error)}") from error
        if isinstance(error, CaffeError) and last is not None:
            place = next(s for s in reversed(traceback.extract_tb(steps)) if _is_user_file(s.filename))
            raise CaffeError(f"{place.filename}:{place.lineno}: {error}") from error
        if (hint := _python2(error)) and last is not None:
            raise CaffeError(f"{last.filename}:{last.lineno}: {error}{hint}") from error
        traceback.print_exception(type(error), error, steps)  # the script's own error, as Python shows it
        return 1
    return 0


def _translated(path: str) -> CodeType | None:
    """A script for Python 2 as Python 3 runs it; None for every other, and for what cannot be translated."""
    try:
        with tokenize.open(path) as file:
            source = file.read()
        compile(source, path, "exec", dont_inherit=True)
    except SyntaxError as error:
        if not _python2(error):
            return None
        with suppress(SyntaxError, tokenize.TokenError):
            return compile(python2.translate(source), path, "exec", dont_inherit=True)
    except ValueError:  # no text
        pass
    return None


@contextmanager
def _main_module(path: str) -> Iterator[dict[str, object]]:
    """The names of a new module `__main__`, which is there for as long as the script runs, as with runpy."""
    module, before = ModuleType("__main__"), sys.modules["__main__"]
    module.__file__ = path
    sys.modules["__main__"] = module
    try:
        yield vars(module)
    finally:
        sys.modules["__main__"] = before


def _is_user_file(path: str) -> bool:
    rooms = (os.path.dirname(os.path.abspath(module.__file__ or "")) for module in (netrun, caffe_ir, ssd_common, runpy))
    return not path.startswith((*rooms, "<frozen")) and "site-packages" not in path


def _theirs(step: TracebackType | None) -> TracebackType | None:
    """The traceback from the script's first line on."""
    while step is not None and not _is_user_file(step.tb_frame.f_code.co_filename):
        step = step.tb_next
    return step


def _python2(error: BaseException) -> str:
    """What to change in a script that only Python 2 understands; empty where that is not what is wrong."""
    if isinstance(error, SyntaxError):
        line = (error.text or "").strip()
        if line.startswith("print ") or "print" in str(error.msg):
            return "; this is Python 2: write print(...) with brackets (2to3 or futurize rewrites a whole file)"
        if "except " in line and "," in line:
            return "; this is Python 2: write `except Error as e` (2to3 or futurize rewrites a whole file)"
        return ""
    if isinstance(error, TypeError) and "'float' object cannot be interpreted as an integer" in str(error):
        return "; if this is Python 2: write // for a division of whole numbers"
    name = getattr(error, "name", None) or ""
    return f"; this is Python 2: write {GONE[name]} for {name}" if name in GONE else ""
