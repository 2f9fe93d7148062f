"""Rewrites the syntax that only Python 2 has, so that Python 3 can parse a file.

Every line keeps its number, so tracebacks name the user's lines.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from netrun.pycaffe.python2.lexer import Token, statements, tokens

# Names that the rewritten text has; operations.py and passes.py give them their meaning.
PRINT = "__python2_print__"
RAISE = "__python2_raise__"
TARGET = "__python2_target_{}__"
# Names in Python 2 that Python 3 took as its own.
_TAKEN = ("async", "await", "nonlocal")
_BAD_ESCAPE = re.compile(r"(\\[^uUN])|\\(?=[uUN])", re.DOTALL)


@dataclass
class Rewritten:
    """Text that Python 3 parses, and the targets that it cannot spell.

    targets: names in `text` that stand for a target such as `(a, b)`: of an except clause or a
        parameter.
    """

    text: str
    targets: dict[str, str] = field(default_factory=dict)


class _Changes:
    """Pieces of text to put in place of others."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.changes: list[tuple[int, int, str]] = []
        self.targets: dict[str, str] = {}

    def put(self, start: int, end: int, text: str) -> None:
        """Replace the text from `start` to `end`."""
        self.changes.append((start, end, text))

    def put_target(self, start: int, end: int) -> None:
        """Put a name in place of a target, and remember what it stands for."""
        name = TARGET.format(len(self.targets))
        text = self.source[start:end]
        self.targets[name] = text
        self.put(start, end, name + "\n" * text.count("\n"))

    def rewritten(self) -> Rewritten:
        """Apply all of it. What lies inside a replaced target is gone."""
        pieces = []
        at = 0
        for start, end, new in sorted(self.changes, key=lambda change: change[:2]):
            if start >= at:
                pieces += [self.source[at:start], new]
                at = end
        return Rewritten("".join([*pieces, self.source[at:]]), self.targets)


def future_imports(found: list[list[Token]]) -> set[str]:
    """Return the names that statements import from __future__."""
    names = set()
    for statement in found:
        words = [token.text for token in statement]
        if words[:3] == ["from", "__future__", "import"]:
            names.update(words[3:])
    return names - set("(),")


def rewrite(source: str) -> Rewritten:
    """Rewrite Python 2 source text, whose lines end in a line feed alone.

    Raises SyntaxError for text that has no tokens of Python 2.
    """
    found = tokens(source)
    lines = statements(found)
    future = future_imports(lines)
    changes = _Changes(source)
    for token in found:
        _token(token, changes, "unicode_literals" in future)
    _backquotes(found, changes)
    _loops(found, changes)
    _tabs(found, changes)
    for statement in lines:
        word = statement[0].text
        if word == "print" and "print_function" not in future:
            _print(statement, changes)
        elif word in _STATEMENTS:
            _STATEMENTS[word](statement, changes)
        _lambdas(statement, changes)
    return changes.rewritten()


def _token(token: Token, changes: _Changes, unicode_literals: bool) -> None:
    """Rewrite a number, a string, a name or an operator by itself."""
    text = token.text
    if token.kind == "number":
        text = _number(text)
    elif token.kind == "string":
        text = _string(text, unicode_literals)
    elif token.kind == "name" and text in _TAKEN:
        text = f"{text}_"
    elif token.is_operator("<>"):
        text = "!="
    if text != token.text:
        changes.put(token.start, token.end, text)


def _number(text: str) -> str:
    text = text.replace("l", " ").replace("L", " ")  # `7L.real` becomes `7 .real`
    if re.fullmatch("0[0-7]+ ?", text):
        return f"0o{text[1:]}"
    return text


def _string(text: str, unicode_literals: bool) -> str:
    r"""A string literal: `ur` has no `u`, and `\u` in a string of bytes means a backslash."""
    quote = min(text.find(mark) for mark in "'\"" if mark in text)
    prefix = text[:quote].lower()
    if "b" in prefix or prefix == "u":
        return text
    if "u" in prefix:
        return text[1:]
    if "r" in prefix or unicode_literals:
        return text
    return text[:quote] + _BAD_ESCAPE.sub(_escaped, text[quote:])


def _escaped(match: re.Match[str]) -> str:
    return match.group(1) or r"\\"


def _backquotes(found: list[Token], changes: _Changes) -> None:
    closing = False
    for token in found:
        if token.is_operator("`"):
            new = "repr("
            if closing:
                new = ")"
            changes.put(token.start, token.end, new)
            closing = not closing


def _loops(found: list[Token], changes: _Changes) -> None:
    """Put brackets around `a, b` in `[x for x in a, b]`."""
    code = [token for token in found if token.is_code]
    for i, token in enumerate(code):
        if token.text == "in" and token.depth > 0 and _is_in_list(code, i):
            over = list(itertools.takewhile(_goes_on(token.depth), code[i + 1 :]))
            if any(part.depth == token.depth and part.is_operator(",") for part in over):
                changes.put(over[0].start, over[0].start, "(")
                changes.put(over[-1].end, over[-1].end, ")")


def _is_in_list(code: list[Token], at: int) -> bool:
    """Tell whether the `in` at this place is of a list comprehension."""
    depth = code[at].depth
    loop = False
    for token in reversed(code[:at]):
        if token.depth < depth:
            return loop and token.is_operator("[")
        loop |= token.depth == depth and token.text == "for"
    return False


def _goes_on(depth: int) -> Callable[[Token], bool]:
    """Tell whether a token belongs to what a comprehension at this depth runs over."""

    def goes_on(token: Token) -> bool:
        return token.depth > depth or (token.depth == depth and token.text not in ("for", "if"))

    return goes_on


def _tabs(found: list[Token], changes: _Changes) -> None:
    """Indent with spaces: a tab goes on to the next multiple of eight columns."""
    before = "newline"
    for token in found:
        indents = token.kind == "space" and before == "newline" and token.depth == 0
        if indents and "\t" in token.text:
            changes.put(token.start, token.end, token.text.expandtabs(8))
        before = token.kind


def _print(statement: list[Token], changes: _Changes) -> None:
    """Rewrite `print`, `print a, b`, `print a,` and `print >>file, a` to a call."""
    word, *rest = statement
    if rest and rest[0].text in ("=", "."):  # a name of the user's
        return
    if not rest:
        changes.put(word.start, word.end, f"{PRINT}(None)")
        return
    if rest[0].is_operator(">>"):
        changes.put(word.start, rest[0].end, f"{PRINT}(")
    else:
        changes.put(word.start, word.end, f"{PRINT}(None, ")
    last = rest[-1]
    if last.is_operator(","):
        changes.put(last.start, last.end, ", newline=False)")
    else:
        changes.put(last.end, last.end, ")")


def _exec(statement: list[Token], changes: _Changes) -> None:
    """Rewrite `exec code in names` to a call."""
    word, *rest = statement
    if not rest or rest[0].text in ("=", "."):
        return
    inside = next((token for token in rest if token.text == "in" and token.depth == 0), None)
    if inside is None and rest[0].is_operator("(") and _closing(rest, 0) is rest[-1]:
        return
    changes.put(word.end, word.end, "(")
    if inside is not None:
        changes.put(inside.start, inside.end, ",")
    changes.put(rest[-1].end, rest[-1].end, ")")


def _raise(statement: list[Token], changes: _Changes) -> None:
    """Rewrite `raise Error, value, traceback`."""
    word, *rest = statement
    if rest and _outer(rest, ",") is not None:
        changes.put(word.end, word.end, f" {RAISE}(")
        changes.put(rest[-1].end, rest[-1].end, ")")


def _except(statement: list[Token], changes: _Changes) -> None:
    """Rewrite `except Error, e`; e may be any target."""
    comma = _outer(statement, ",")
    if comma is not None:
        target = statement[statement.index(comma) + 1 :]
        changes.put(comma.start, comma.end, " as ")
        if target:
            changes.put_target(target[0].start, target[-1].end)


def _def(statement: list[Token], changes: _Changes) -> None:
    """Rewrite parameters that are tuples: `def f(a, (b, c))`."""
    for opening in _tuples(statement, depth=1):
        changes.put_target(opening.start, _closing(statement, statement.index(opening)).end)


def _lambdas(statement: list[Token], changes: _Changes) -> None:
    """Rewrite parameters that are tuples: `lambda (key, value): key`."""
    for i, token in enumerate(statement):
        if token.kind == "name" and token.text == "lambda":
            rest = statement[i:]
            for opening in _tuples(rest, depth=token.depth):
                changes.put_target(opening.start, _closing(rest, rest.index(opening)).end)


def _tuples(found: list[Token], depth: int) -> Iterator[Token]:
    """The brackets that open a parameter, up to the colon after the parameters."""
    before = found[0]
    for token in found[1:]:
        if token.depth <= depth and token.is_operator(":"):
            return
        begins = before.text in (",", "lambda") or (before.text == "(" and before.depth < depth)
        if token.depth == depth and token.is_operator("(") and begins:
            yield token
        before = token


def _outer(found: list[Token], text: str) -> Token | None:
    """The first such operator outside of brackets."""
    for token in found:
        if token.depth == 0 and token.is_operator(text):
            return token
    return None


def _closing(found: list[Token], at: int) -> Token:
    """The bracket that closes the one at this place, or the last token."""
    depth = found[at].depth
    for token in found[at + 1 :]:
        if token.depth == depth and token.text in ")]}":
            return token
    return found[-1]


_STATEMENTS = {"exec": _exec, "raise": _raise, "except": _except, "def": _def}
