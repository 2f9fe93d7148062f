"""Lets the variable of a list comprehension live on after it, as in Python 2."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

_FUNCTIONS = (ast.FunctionDef, ast.Lambda)
_OWN_SCOPE = (ast.GeneratorExp, ast.SetComp, ast.DictComp)
_LOOP = "__python2_loop_{}__"


def leaking(tree: ast.Module) -> None:
    """Rewrite, in place, the list comprehensions whose variable is read elsewhere in their scope.

    `[f(x) for x in xs]` becomes `[f(x) for loop_x in xs if [x := loop_x]]`.
    In the body of a class, and in what a comprehension runs over, Python 3 has no place for that.
    """
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, *_FUNCTIONS)):
            _in_scope(node)


def _in_scope(scope: ast.AST) -> None:
    own = list(_outermost(ast.iter_child_nodes(scope)))
    reads = _reads(scope, without=None)
    for one in own:
        names = set().union(*(_names(part) for part in _nested(one)))
        if names & reads and names & _reads(scope, without=one):
            for part in _nested(one):
                _leak(part)


def _outermost(nodes: Iterable[ast.AST]) -> Iterator[ast.ListComp]:
    """The list comprehensions of a scope that are in no other comprehension."""
    for node in nodes:
        if isinstance(node, ast.ListComp):
            yield node
        elif isinstance(node, _FUNCTIONS):
            yield from _outermost([*node.args.defaults])
        elif not isinstance(node, (*_OWN_SCOPE, ast.ClassDef)):
            yield from _outermost(ast.iter_child_nodes(node))


def _nested(one: ast.ListComp) -> Iterator[ast.ListComp]:
    """A list comprehension, and those in its element and conditions."""
    yield one
    parts = [one.elt]
    for loop in one.generators:
        parts += loop.ifs
    for inner in _outermost(parts):
        yield from _nested(inner)


def _names(one: ast.ListComp) -> set[str]:
    """The variables of a list comprehension."""
    return {name.id for loop in one.generators for name in _targets(loop)}


def _targets(loop: ast.comprehension) -> list[ast.Name]:
    return [node for node in ast.walk(loop.target) if isinstance(node, ast.Name)]


def _reads(node: ast.AST, without: ast.ListComp | None) -> set[str]:
    """The names that are read in a part of the tree and bound by no comprehension there.

    Names that it declares global count.
    """
    found = set()
    if isinstance(node, ast.Global):
        found.update(node.names)
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        found.add(node.id)
    for child in ast.iter_child_nodes(node):
        if child is not without:
            found |= _reads(child, without)
    if isinstance(node, (ast.ListComp, *_OWN_SCOPE)):
        for loop in node.generators:
            found -= {name.id for name in _targets(loop)}
    return found


def _leak(one: ast.ListComp) -> None:
    for loop in one.generators:
        kept: list[ast.expr] = []
        for name in _targets(loop):
            old = name.id
            name.id = _LOOP.format(old)
            value = ast.Name(name.id, ast.Load())
            kept.append(ast.NamedExpr(ast.Name(old, ast.Store()), value))
        if kept:
            condition = ast.copy_location(ast.List(kept, ast.Load()), one)
            loop.ifs.insert(0, ast.fix_missing_locations(condition))
