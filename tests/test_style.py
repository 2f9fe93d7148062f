"""One idea a line: what the linter has no rule for."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ROOT

CODE = ("ssd_common", "caffe_ir", "netgen", "data_prep", "netrun", "bench", "tools")
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
MOST = 9  # conditional expressions in 1,000 lines of code; well-kept libraries have 5 to 12


def files(folder: str) -> list[Path]:
    return [
        path for path in sorted((ROOT / folder).rglob("*.py")) if not path.name.endswith("_pb2.py")
    ]


def own_expressions(statement: ast.stmt) -> Iterator[ast.AST]:
    """The expressions of a statement, without those of the statements inside it."""
    waiting = [node for node in ast.iter_child_nodes(statement) if not isinstance(node, ast.stmt)]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += [
            child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.stmt)
        ]


def code_lines(text: str) -> int:
    """Lines that are neither empty nor a comment nor part of a docstring."""
    spoken: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            spoken.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = enumerate(text.splitlines(), start=1)
    return sum(
        1
        for number, line in lines
        if number not in spoken and line.strip() and line.strip()[0] != "#"
    )


@pytest.mark.parametrize("folder", [*CODE, "tests"])
def test_a_statement_has_one_conditional_expression_at_most(folder: str) -> None:
    found = []
    for path in files(folder):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.stmt):
                continue
            if sum(isinstance(part, ast.IfExp) for part in own_expressions(node)) > 1:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize("folder", [*CODE, "tests"])
def test_no_comprehension_stands_inside_another(folder: str) -> None:
    found = []
    for path in files(folder):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, COMPREHENSIONS):
                continue
            inner = [
                part
                for part in ast.walk(node)
                if part is not node and isinstance(part, COMPREHENSIONS)
            ]
            found += [f"{path.relative_to(ROOT)}:{part.lineno}" for part in inner]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("folder", CODE)
def test_conditional_expressions_are_few(folder: str) -> None:
    lines = conditions = 0
    for path in files(folder):
        text = path.read_text(encoding="utf-8")
        lines += code_lines(text)
        conditions += sum(isinstance(node, ast.IfExp) for node in ast.walk(ast.parse(text)))
    assert conditions <= MOST * lines / 1000, f"{conditions} in {lines} lines"
