"""The tokens of Python 2 source text.

The standard library's tokenize refuses Python 2's backquotes, `0777` and `10L` from Python 3.12 on.

Source: docs.python.org/2.7/reference/lexical_analysis.html.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_PATTERN = re.compile(
    r"""
    (?P<space> [ \t\f]+ | \\\n )
  | (?P<comment> \#[^\n]* )
  | (?P<newline> \n )
  | (?P<string> (?:[uUbB]?[rR]?)
        (?: '''(?:\\[\s\S]|(?!''')[^\\])*'''
          | \"\"\"(?:\\[\s\S]|(?!\"\"\")[^\\])*\"\"\"
          | '(?:\\[\s\S]|[^'\\\n])*'
          | "(?:\\[\s\S]|[^"\\\n])*" ) )
  | (?P<number> 0[xX][0-9a-fA-F]+[lL]?
      | 0[bB][01]+[lL]?
      | 0[oO][0-7]+[lL]?
      | (?: \d+\.\d* | \.\d+ | \d+ ) (?:[eE][+-]?\d+)? [jJlL]? )
  | (?P<name> [^\W\d]\w* )
  | (?P<operator> \*\*=? | //=? | >>=? | <<=? | <> | [!=<>]= | [-+*/%&|^]= | -> | :=
      | [-+*/%&|^~<>()\[\]{},:.;=@`] )
    """,
    re.VERBOSE,
)
_OPENING = "([{"
_CLOSING = ")]}"


@dataclass(frozen=True)
class Token:
    """One token: what it is, its text, and where it begins in the source.

    kind: name, number, string, operator; space, comment, newline.
    depth: how many brackets are open around it; a bracket itself stands outside of its pair.
    """

    kind: str
    text: str
    start: int
    depth: int

    @property
    def end(self) -> int:
        """Where the text after it begins."""
        return self.start + len(self.text)

    @property
    def is_code(self) -> bool:
        """Whether it means something, unlike a comment."""
        return self.kind not in ("space", "comment", "newline")

    def is_operator(self, text: str) -> bool:
        """Tell whether it is this operator or bracket."""
        return self.kind == "operator" and self.text == text


def tokens(source: str) -> list[Token]:
    """Split source text, whose lines end in a line feed alone, into tokens.

    Raises SyntaxError, with the line, for what is none.
    """
    found = []
    at = depth = 0
    while at < len(source):
        match = _PATTERN.match(source, at)
        if match is None:
            line = source.count("\n", 0, at) + 1
            raise SyntaxError(f"invalid character {source[at]!r}", ("<string>", line, None, None))
        kind = str(match.lastgroup)
        text = match.group()
        if kind == "operator" and text in _CLOSING:
            depth -= 1
        found.append(Token(kind, text, at, depth))
        if kind == "operator" and text in _OPENING:
            depth += 1
        at = match.end()
    return found


def statements(found: list[Token]) -> list[list[Token]]:
    """Split tokens into simple statements, and compound ones up to their colon.

    Comments and space are left out.
    """
    split: list[list[Token]] = [[]]
    lambdas = 0  # how many have not had their colon
    for token in found:
        ends = False
        if token.depth == 0:
            lambdas += token.kind == "name" and token.text == "lambda"
            ends = token.kind == "newline" or token.is_operator(";")
            if token.is_operator(":"):
                ends = lambdas == 0
                lambdas -= not ends
        if ends:
            lambdas = 0
            split.append([])
        elif token.is_code:
            split[-1].append(token)
    return [statement for statement in split if statement]
