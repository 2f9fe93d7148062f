"""Gives the syntax tree of a Python 2 file that language's meaning.

Where an operator or a method means something else in Python 3, the tree calls a function of
operations.py instead. Functions such as zip and range need no call: a file has builtins of its own
(names.py).
"""

from __future__ import annotations

import ast
from typing import TypeVar

from netrun.pycaffe.python2.leaks import leaking
from netrun.pycaffe.python2.methods import METHODS
from netrun.pycaffe.python2.scopes import mend
from netrun.pycaffe.python2.syntax import RAISE

_Node = TypeVar("_Node", bound=ast.AST)
_COMPARED: dict[type[ast.cmpop], str] = {
    ast.Lt: "lt",
    ast.Gt: "gt",
    ast.LtE: "le",
    ast.GtE: "ge",
    ast.Eq: "eq",
    ast.NotEq: "ne",
    ast.In: "in",
    ast.NotIn: "not_in",
}
_WRAPPED = {"str": "str", "exec": "code", "eval": "expression"}
_KEPT = "__python2_error_{}__"


def helper(name: str) -> str:
    """Return the name by which rewritten files call a function of operations.py."""
    return f"__python2_{name}__"


def give_meaning(tree: ast.Module, targets: dict[str, str], *, division: bool) -> ast.Module:
    """Rewrite the tree of a Python 2 file in place, and return it.

    targets: what names in it stand for, as in syntax.Rewritten.
    division: whether the file imports division from __future__.
    """
    leaking(tree)
    mend(tree)
    _Pass(targets, division).visit(tree)
    for node in ast.walk(tree):
        _without_columns(node)
    return ast.fix_missing_locations(tree)


def _without_columns(node: ast.AST) -> None:
    """Take away what would put carets at the wrong place under a line of the user's."""
    if hasattr(node, "lineno"):
        node.col_offset = node.end_col_offset = -1  # type: ignore[attr-defined]
        node.end_lineno = node.lineno  # type: ignore[attr-defined]


class _Pass(ast.NodeTransformer):
    """One walk over the tree."""

    def __init__(self, targets: dict[str, str], division: bool) -> None:
        self.targets = targets
        self.division = division
        self.classes: list[str] = []

    # Operators.

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.Div) and self._may_floor(node.left, node.right):
            return _call("div", node, node.left, node.right)
        if isinstance(node.op, ast.Mod) and not isinstance(node.right, ast.Constant):
            return _call("mod", node, node.left, node.right)
        if isinstance(node.op, ast.Mod) and _is_text_or_float(node.right):
            return _call("mod", node, node.left, node.right)
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node.op, ast.Div) or not self._may_floor(node.value, node.value):
            return node
        target = node.target
        if isinstance(target, ast.Name):
            value = _call("idiv", node, _load(target), node.value)
            return ast.copy_location(ast.Assign([target], value), node)
        if isinstance(target, ast.Attribute):
            name = ast.Constant(self._mangled(target.attr))
            call = _call("idiv_attribute", node, target.value, name, node.value)
        else:
            key = ast.Subscript(_name(helper("key")), target.slice, ast.Load())
            call = _call("idiv_item", node, target.value, key, node.value)
        return ast.copy_location(ast.Expr(call), node)

    def _may_floor(self, left: ast.expr, right: ast.expr) -> bool:
        """Whether a division may be one of whole numbers."""
        return not (self.division or _is_float(left) or _is_float(right))

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        name = _COMPARED.get(type(node.ops[0]))
        if name is None or len(node.ops) > 1:
            return node
        if name in ("eq", "ne") and (_is_number(node.left) or _is_number(node.comparators[0])):
            return node
        return _call(name, node, node.left, node.comparators[0])

    def visit_Slice(self, node: ast.Slice) -> ast.AST:
        self.generic_visit(node)
        for part in ("lower", "upper", "step"):
            bound = getattr(node, part)
            if isinstance(bound, ast.expr) and not _is_plain(bound):
                setattr(node, part, _call("whole", bound, bound))
        return node

    # Names, attributes, calls.

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node.ctx, ast.Load) or node.attr not in METHODS:
            return node
        return _call("get", node, node.value, ast.Constant(node.attr))

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node.func, ast.Name) or not node.args:
            return node
        name = node.func.id
        if name == "str" and len(node.args) == 1 and not node.keywords:
            return _call("str", node, node.func, node.args[0])
        if name == "execfile":
            node.func.id = "exec"
            node.args[0] = _call("file", node, node.args[0])
        elif name in ("exec", "eval"):
            node.args[0] = _call(_WRAPPED[name], node, node.args[0])
        return node

    # Statements.

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.exc, ast.Constant):
            node.exc = ast.copy_location(ast.Call(_name(RAISE), [node.exc], []), node)
        return node

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        """The error's name stays after the clause; it may be any target."""
        self.generic_visit(node)
        if node.name is None:
            return node
        target = ast.parse(self.targets.get(node.name, node.name)).body[0]
        assert isinstance(target, ast.Expr)
        kept = _KEPT.format(node.lineno)
        value: ast.expr = _name(kept)
        if isinstance(target.value, (ast.Tuple, ast.List)):
            value = ast.Attribute(value, "args", ast.Load())
        node.name = kept
        node.body.insert(0, _assign(target.value, value, node))
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self.classes.append(node.name)
        self.generic_visit(node)
        self.classes.pop()
        node.decorator_list.append(ast.copy_location(_name(helper("class")), node))
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        at = int(ast.get_docstring(node, clean=False) is not None)
        for name, target in self._tuples(node.args):
            node.body.insert(at, _assign(target, _name(name), node))
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        self.generic_visit(node)
        for name, target in self._tuples(node.args):
            values = ast.Tuple([_name(name)], ast.Load())
            loop = ast.comprehension(_store(target), values, [], 0)
            listed = ast.ListComp(node.body, [loop])
            only = ast.Subscript(listed, ast.Constant(0), ast.Load())
            node.body = ast.copy_location(only, node)
        return node

    def _tuples(self, args: ast.arguments) -> list[tuple[str, ast.expr]]:
        """The parameters that stand for tuples, and those."""
        found = []
        for arg in args.args:
            if arg.arg in self.targets:
                parsed = ast.parse(self.targets[arg.arg].strip()).body[0]
                assert isinstance(parsed, ast.Expr)
                for node in ast.walk(parsed.value):
                    ast.copy_location(node, arg)
                found.append((arg.arg, parsed.value))
        return found

    def _mangled(self, name: str) -> str:
        """The name of an attribute, which a class makes its own where it begins with `__`."""
        private = name.startswith("__") and not name.endswith("__")
        if self.classes and private:
            return f"_{self.classes[-1].lstrip('_')}{name}"
        return name


def _is_float(node: ast.expr) -> bool:
    """Whether an expression is a float for sure."""
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "float"
    return isinstance(node, ast.Constant) and isinstance(node.value, (float, complex))


def _is_number(node: ast.expr) -> bool:
    """Whether an expression is a number, True, False or None."""
    return isinstance(node, ast.Constant) and not isinstance(node.value, (str, bytes))


def _is_plain(node: ast.expr) -> bool:
    """Tell whether a slice's bound is an int in the text, or the length of something."""
    if isinstance(node, ast.UnaryOp):
        node = node.operand
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "len"
    return isinstance(node, ast.Constant) and not isinstance(node.value, float)


def _is_text_or_float(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes, float))


def _name(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())


def _load(name: ast.Name) -> ast.Name:
    return ast.copy_location(_name(name.id), name)


def _call(name: str, at: ast.AST, *args: ast.expr) -> ast.Call:
    """A call of a function of operations.py."""
    return ast.copy_location(ast.Call(_name(helper(name)), list(args), []), at)


def _store(target: ast.expr) -> ast.expr:
    """The same expression as a target of an assignment."""
    for node in ast.walk(target):
        inner = isinstance(node, (ast.Name, ast.Tuple, ast.List))
        if inner or node is target:
            node.ctx = ast.Store()  # type: ignore[attr-defined]
    return target


def _assign(target: ast.expr, value: ast.expr, at: ast.AST) -> ast.Assign:
    assign = ast.copy_location(ast.Assign([_store(target)], value), at)
    for node in ast.walk(assign):
        if hasattr(node, "lineno"):
            ast.copy_location(node, at)
    return assign
