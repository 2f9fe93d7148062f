"""Reads a file of Python 2 to code that Python 3 runs with Python 2's meaning."""

from __future__ import annotations

import ast
import io
import os
import sys
import tokenize
import warnings
from types import CodeType
from typing import Any

from netrun.pycaffe.python2 import marks, modern, names
from netrun.pycaffe.python2.passes import give_meaning, helper
from netrun.pycaffe.python2.syntax import Rewritten, rewrite
from netrun.runtime import log

_SAID: set[str] = set()


def decode(source: bytes) -> str:
    """Decode a source file; its lines end in a line feed alone.

    Raises SyntaxError for an unknown encoding, and UnicodeDecodeError.
    """
    encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
    return _one_newline(source.decode(encoding))


def _one_newline(source: str) -> str:
    return source.replace("\r\n", "\n").replace("\r", "\n")


def code(source: str, path: str) -> CodeType | None:
    """Compile a source if it is Python 2, and say so in the log, once per file.

    path: of the file, for tracebacks.
    Returns None for a source of Python 3, and for one that is of neither.
    Raises SyntaxError at what is wrong in a source of Python 2 as well.
    """
    source = _one_newline(source)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        why = _why(source, path)
        if not why:
            return None
        compiled = _compiled(source, path, "exec")
    if _is_new(path):
        log.warning(f"{path} is read as Python 2 ({why}): 7 / 2 is 3, zip gives a list")
    return compiled


def warn_of_division(source: str, path: str) -> None:
    """Log that a file without a mark of Python 2 divides, though one of Python 2 imports it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            line = marks.division(ast.parse(source, path))
        except (SyntaxError, ValueError, RecursionError):
            return
    if line and _is_new(path):
        log.warning(
            f"{path} has no mark of Python 2, so in line {line} 7 / 2 is 3.5, though a file of"
            " Python 2 imports it"
        )


def _is_new(path: str) -> bool:
    """Tell whether nothing has been said of a file yet, and remember that."""
    whole = os.path.abspath(path)
    new = whole not in _SAID
    _SAID.add(whole)
    return new


def _why(source: str, path: str) -> str:
    """Say what makes a source one of Python 2, or ""."""
    try:
        tree = ast.parse(source, path)
        compile(source, path, "exec", dont_inherit=True)
        return marks.mark(tree)
    except (ValueError, RecursionError):  # null bytes, or nested too deep
        return ""
    except SyntaxError as error:
        refused = error
    try:
        tree = ast.parse(rewrite(source).text, path)
        _compiled(source, path, "exec")
    except SyntaxError as error:
        _blame_later(error, refused, source)
        return ""
    if modern.has_new_syntax(tree):
        return ""
    return f"line {refused.lineno}: {_what(refused)}"


def _what(refused: SyntaxError) -> str:
    """Name the mark of Python 2 that Python 3 refuses, in its own words where they say it."""
    line = (refused.text or "").strip()
    for word in ("print", "exec", "raise", "except"):
        if line.startswith(word) or f"'{word}'" in str(refused.msg):
            return f"{word} statement"
    return str(refused.msg)


def _blame_later(error: SyntaxError, refused: SyntaxError, source: str) -> None:
    """Raise the error of the rewritten text, if Python 3 came less far in the user's."""
    line = error.lineno or 0
    if line <= (refused.lineno or 0):
        return
    text = source.split("\n")[line - 1]
    raise SyntaxError(error.msg, (refused.filename, line, None, text))


def _compiled(source: str, path: str, mode: str) -> Any:
    rewritten = rewrite(source)
    return compile(_tree(rewritten, path, mode), path, mode, dont_inherit=True)


def _tree(rewritten: Rewritten, path: str, mode: str) -> Any:
    tree: Any = ast.parse(rewritten.text, path, mode)
    division = mode == "exec" and marks.has_future(tree, "division")
    return give_meaning(tree, rewritten.targets, division=division)


def _dynamic(mode: str) -> Any:
    """Make what compiles the text that Python 2 code gives to exec or eval."""

    def compiled(source: Any) -> Any:
        if not isinstance(source, str):
            return source
        if mode == "eval":
            source = source.strip()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _compiled(_one_newline(source), "<string>", mode)

    return compiled


def _input(prompt: str = "") -> Any:
    """Read an expression, and evaluate it where the call stands."""
    frame = sys._getframe(1)
    return eval(_dynamic("eval")(input(prompt)), frame.f_globals, frame.f_locals)


def _file(path: str) -> CodeType:
    """Compile the file that Python 2 code gives to execfile."""
    with open(path, "rb") as file:
        source = decode(file.read())
    return _compiled(source, path, "exec")


def _execfile(path: str, globals: Any = None, locals: Any = None) -> None:
    """Run a file where the call stands, or with these names."""
    frame = sys._getframe(1)
    if globals is None:
        globals = frame.f_globals
        locals = frame.f_locals
    exec(_file(path), globals, locals)


vars(names.MODULE).update(
    {
        "execfile": _execfile,
        "input": _input,
        helper("code"): _dynamic("exec"),
        helper("expression"): _dynamic("eval"),
        helper("file"): _file,
    }
)
