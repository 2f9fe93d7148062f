"""Tells whether a file is for Python 3 alone."""

from __future__ import annotations

import ast
from typing import TypeGuard

_PYTHON_3 = (
    ast.AnnAssign,
    ast.AsyncFor,
    ast.AsyncFunctionDef,
    ast.AsyncWith,
    ast.Await,
    ast.JoinedStr,
    ast.MatMult,
    ast.NamedExpr,
    ast.Nonlocal,
    ast.YieldFrom,
)
_MODULES = {
    "asyncio",
    "dataclasses",
    "pathlib",
    "typing",
    "urllib.error",
    "urllib.parse",
    "urllib.request",
}
# Functions, and their arguments that Python 2 does not know.
_ARGUMENTS = {"print": "flush", "open": "encoding"}


def has_new_syntax(tree: ast.Module) -> bool:
    """Tell whether a file has syntax that Python 2 has not."""
    return any(_is_new(node) for node in ast.walk(tree))


def is_python3(tree: ast.Module) -> bool:
    """Tell whether a file fails in Python 2: by its syntax, or by what it imports and calls."""
    if has_new_syntax(tree):
        return True
    if any(module in _MODULES for node in tree.body for module in _imports(node)):
        return True
    return any(_has_new_argument(node, tree) for node in ast.walk(tree))


def _is_new(node: ast.AST) -> bool:
    if isinstance(node, _PYTHON_3) or type(node).__name__ in ("Match", "TryStar", "TemplateStr"):
        return True
    if isinstance(node, ast.arguments):
        return bool(node.kwonlyargs or node.posonlyargs)
    if isinstance(node, ast.arg):
        return node.annotation is not None
    if isinstance(node, ast.FunctionDef):
        return node.returns is not None
    if isinstance(node, ast.Raise):
        return node.cause is not None
    if isinstance(node, ast.ClassDef):
        return bool(node.keywords)
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "super" and not node.args
    return False


def _has_new_argument(node: ast.AST, tree: ast.Module) -> bool:
    """Tell a call such as `open(path, encoding="utf-8")`."""
    if not isinstance(node, ast.Call):
        return False
    given = {keyword.arg for keyword in node.keywords if keyword.arg}
    if isinstance(node.func, ast.Attribute):
        return node.func.attr == "makedirs" and "exist_ok" in given
    if not isinstance(node.func, ast.Name) or _ARGUMENTS.get(node.func.id) not in given:
        return False
    return not _is_imported(node.func.id, tree)


def _is_imported(name: str, tree: ast.Module) -> bool:
    """Tell whether a name comes from another module, as open does from io."""
    aliases = [alias for node in tree.body if _brings_names(node) for alias in node.names]
    return any((alias.asname or alias.name) in (name, "*") for alias in aliases)


def _brings_names(node: ast.stmt) -> TypeGuard[ast.ImportFrom]:
    return isinstance(node, ast.ImportFrom) and node.module != "__future__"


def _imports(node: ast.AST) -> list[str]:
    """The modules that an import names."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and not node.level:
        return [str(node.module)]
    return []
