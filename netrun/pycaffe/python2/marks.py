"""Tells whether a file is Python 2."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator

from netrun.pycaffe.python2.lists import taken_for_list
from netrun.pycaffe.python2.modern import is_python3
from netrun.pycaffe.python2.modules import RENAMED
from netrun.pycaffe.python2.names import GONE

# Methods of Python 2's dict, and how many arguments they take.
_METHODS = {"iteritems": 0, "iterkeys": 0, "itervalues": 0, "has_key": 1}
# Files that have one of these words run in either Python, by their authors' care.
_CARE = {"six", "version_info", "PY2", "PY3", "hexversion", "python_version", "future", "past"}
# Names that no library gives another meaning.
_PLAIN = {"basestring", "execfile", "raw_input", "unichr", "unicode", "xrange"}
_MISSING = {"AttributeError", "ImportError", "ModuleNotFoundError", "NameError"}
_FUTURE = {"print_function", "unicode_literals", "absolute_import", "with_statement"}


def mark(tree: ast.Module) -> str:
    """Say what makes a file that Python 3 accepts one of Python 2; "" for all other files."""
    if is_python3(tree):
        return ""
    future = _future(tree)
    if "division" in future:
        future.clear()
    found = sorted(future & _FUTURE)
    if found:
        return f"imports {found[0]} without division"
    for node in ast.walk(tree):
        said = _print(node)
        if said:
            return _at(node, said)
    return _name_gone(tree)


def _at(node: ast.AST, what: str) -> str:
    return f"line {getattr(node, 'lineno', 1)}: {what}"


def _future(tree: ast.Module) -> set[str]:
    """The names that a file imports from __future__."""
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            found.update(alias.name for alias in node.names)
    return found


def has_future(tree: ast.Module, name: str) -> bool:
    """Tell whether a file imports this name from __future__."""
    return name in _future(tree)


def division(tree: ast.Module) -> int:
    """The first line that may divide whole numbers by Python 3's `/`, or 0.

    0 also for a file that is for Python 3, or for both.
    """
    if is_python3(tree) or has_future(tree, "division"):
        return 0
    nodes = list(ast.walk(tree))
    if any(word in _CARE for node in nodes for word in _words(node)):
        return 0
    lines = [node.lineno for node in nodes if isinstance(node, ast.BinOp) and _may_floor(node)]
    return min(lines, default=0)


def _may_floor(node: ast.BinOp) -> bool:
    if not isinstance(node.op, ast.Div):
        return False
    sides = (node.left, node.right)
    return not any(isinstance(s, ast.Constant) and isinstance(s.value, float) for s in sides)


def _print(node: ast.AST) -> str:
    """Tell a print statement that Python 3 takes for an expression, such as `print -1`."""
    first: ast.AST | None = None
    if isinstance(node, (ast.BinOp, ast.Compare)):
        first = node.left
    elif isinstance(node, (ast.Attribute, ast.Subscript, ast.Expr)):
        first = node.value
    if isinstance(first, ast.Name) and first.id == "print":
        if isinstance(node, (ast.Attribute, ast.Compare)):
            return ""
        return "print statement"
    if isinstance(first, ast.Call) and not isinstance(node, ast.Expr) and _is_print(first.func):
        return "print statement"
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Tuple):
        calls = [isinstance(e, ast.Call) and _is_print(e.func) for e in node.value.elts]
        if calls[:1] == [True] and not any(calls[1:]):
            return "print statement"
    return ""


def _is_print(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "print"


def _name_gone(tree: ast.Module) -> str:
    """Tell a use of what Python 3 has no more, in a file that does not care for both."""
    nodes = list(ast.walk(tree))
    if any(word in _CARE for node in nodes for word in _words(node)):
        return ""
    bound = {word for node in nodes for word in _bound(node)}
    listed = taken_for_list(tree, bound)
    if listed is not None:
        return _at(listed, "takes what zip or its like return for a list")
    tried = {id(part) for node in nodes if _tries(node) for part in ast.walk(node)}
    for node in nodes:
        if id(node) not in tried:
            name = _gone(node)
            if name and name not in bound and not _may_be_anothers(name, bound):
                return _at(node, name)
    return ""


def _may_be_anothers(name: str, bound: set[str]) -> bool:
    """Whether a name may come from `import *`, or a method be one of pandas' tables."""
    if name in _METHODS:
        return "pandas" in bound or "pd" in bound
    return "*" in bound and name in GONE and name not in _PLAIN


def _tries(node: ast.AST) -> bool:
    """Tell a `try` for what the other Python may not have."""
    if not isinstance(node, ast.Try):
        return False
    for handler in node.handlers:
        if handler.type is None:
            return True
        names = {part.id for part in ast.walk(handler.type) if isinstance(part, ast.Name)}
        if names & _MISSING:
            return True
    return False


def _words(node: ast.AST) -> Iterator[str]:
    """The names in a node that tell of care for both Pythons."""
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.Attribute):
        yield node.attr
    elif isinstance(node, ast.alias):
        yield node.name.split(".")[0]
    elif isinstance(node, ast.ImportFrom):
        yield (node.module or "").split(".")[0]


def _bound(node: ast.AST) -> Iterator[str]:
    """The names that a node gives a meaning."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        yield node.name
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, ast.alias):
        yield (node.asname or node.name).split(".")[0]


def _gone(node: ast.AST) -> str:
    """The name of Python 2 that a node uses, or ""."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in GONE:
        return node.id
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        attribute = node.func.attr
        if _METHODS.get(attribute) == len(node.args):
            return attribute
    modules: list[str] = []
    if isinstance(node, ast.Import):
        modules = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        modules = [node.module]
    for module in modules:
        if module in RENAMED and importlib.util.find_spec(module) is None:
            return f"import of {module}"
    return ""
