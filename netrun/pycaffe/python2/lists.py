"""Tells a file that takes what `zip`, `map`, `filter` or `range` return for a list.

Such a line fails in Python 3. A name counts only where the file gives it no other value.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator

_ITERATORS = {"zip", "map", "filter"}
_CHANGES = {"append", "extend", "insert", "pop", "remove", "reverse", "sort"}
_TARGETS = (ast.For, ast.AsyncFor, ast.comprehension, ast.AugAssign, ast.withitem)


def taken_for_list(tree: ast.Module, bound: set[str]) -> ast.AST | None:
    """Find the first place that only a list passes, such as `zip(a, b)[0]`.

    Places in a `try` with an `except` do not count: they may be tried for either Python.
    bound: the names that the file gives a meaning of its own.
    """
    values = _Values(tree, bound)
    if "=*" in values.given:  # from a module import *: may give zip another meaning
        return None
    for node in _untried(tree):
        used = _used_as_list(node)
        if any(values.is_iterator(one) for one in used):
            return node
        if any(values.is_range(one) for one in used if not _has_ranges(node)):
            return node
    return None


def _untried(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below a node, in order, without those in a `try` with an `except`."""
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.Try) and child.handlers):
            yield child
            yield from _untried(child)


def _used_as_list(node: ast.AST) -> list[ast.expr]:
    """The values that a node indexes, changes, measures or adds to another."""
    if isinstance(node, ast.Subscript):
        return [node.value]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [node.left, node.right]
    if isinstance(node, ast.Call):
        function = node.func
        if isinstance(function, ast.Attribute) and function.attr in _CHANGES:
            return [function.value]
        if isinstance(function, ast.Name) and function.id == "len":
            return node.args
    return []


def _has_ranges(node: ast.AST) -> bool:
    """Tell whether a range of Python 3 passes here, too: it has a length and items to read."""
    if isinstance(node, ast.Subscript):
        return isinstance(node.ctx, ast.Load)
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name)


class _Values:
    """The values that a file gives to its names, its attributes, and as results of functions.

    None stands for a value that is not known.
    """

    def __init__(self, tree: ast.Module, bound: set[str]) -> None:
        self.bound = bound
        self.given: dict[str, list[ast.expr | None]] = defaultdict(list)
        for node in ast.walk(tree):
            for target, value in _assigned(node):
                self.given[target].append(value)

    def is_iterator(self, node: ast.expr) -> bool:
        """Tell whether an expression surely is what zip, map or filter return."""
        return self._is_call(node, _ITERATORS, frozenset())

    def is_range(self, node: ast.expr) -> bool:
        """Tell whether an expression surely is what range returns."""
        return self._is_call(node, {"range"}, frozenset())

    def _is_call(
        self,
        node: ast.expr | None,
        makers: set[str],
        seen: frozenset[str],
    ) -> bool:
        name = _called(node)
        if name in makers:
            return name not in self.bound
        if node is None or not name:
            name = _target(node)
        if not name or name in seen or name not in self.given:
            return False
        return all(self._is_call(one, makers, seen | {name}) for one in self.given[name])


def _called(node: ast.expr | None) -> str:
    """The function that an expression calls by its name, or ""."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id
    return ""


def _target(node: ast.expr | None) -> str:
    """How a name or an attribute of any object is called here; "" for another expression."""
    if isinstance(node, ast.Name):
        return f"={node.id}"
    if isinstance(node, ast.Attribute):
        return f".{node.attr}"
    return ""


def _assigned(node: ast.AST) -> Iterator[tuple[str, ast.expr | None]]:
    """The names and attributes that a node gives a value, and that value."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield _target(target), node.value
            if not _target(target):
                yield from _unknown(target)
    elif isinstance(node, ast.FunctionDef):
        yield from _results(node)
    elif isinstance(node, ast.ClassDef):
        for part in node.body:
            yield from ((name.replace("=", "."), value) for name, value in _assigned(part))
    elif isinstance(node, _TARGETS):
        yield from _unknown(node)
    else:
        yield f"={_named(node)}", None


def _named(node: ast.AST) -> str | None:
    """The name that a parameter, an import or an except clause gives a value."""
    if isinstance(node, ast.arg):
        return node.arg
    if isinstance(node, ast.alias):
        return (node.asname or node.name).split(".")[0]
    if isinstance(node, ast.ExceptHandler):
        return node.name
    return None


def _unknown(node: ast.AST) -> Iterator[tuple[str, None]]:
    """Every name and attribute that is stored somewhere in a node, with a value not known."""
    for part in ast.walk(node):
        if isinstance(part, (ast.Name, ast.Attribute)) and isinstance(part.ctx, ast.Store):
            yield _target(part), None


def _results(function: ast.FunctionDef) -> Iterator[tuple[str, ast.expr | None]]:
    """What a function returns, under its name; something not known for a generator."""
    yield f"={function.name}", None
    for node in ast.walk(function):
        if isinstance(node, ast.Return):
            yield function.name, node.value
        elif isinstance(node, (ast.Yield, ast.YieldFrom)):
            yield function.name, None
