"""Translates Python 2 scripts, such as most of pycaffe's, to Python 3."""

from __future__ import annotations

import io
import tokenize
from tokenize import TokenInfo

import numpy as np

# Python 2's names for objects that have another name in Python 3.
RENAMED = {"xrange": range, "raw_input": input, "unicode": str}
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
# Names that NumPy 2 has no more, or NumPy 1.24 already had not, and what they meant.
NUMPY = {
    "float": float,
    "int": int,
    "bool": bool,
    "object": object,
    "str": str,
    "complex": complex,
    "long": int,
    "unicode": str,
    "float_": np.float64,
    "complex_": np.complex128,
    "string_": np.bytes_,
    "unicode_": np.str_,
    "Inf": np.inf,
    "Infinity": np.inf,
    "infty": np.inf,
    "NaN": np.nan,
    "product": np.prod,
    "cumproduct": np.cumprod,
    "alltrue": np.all,
    "sometrue": np.any,
}
_BETWEEN = (tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING)
_OPENING = "([{"
_CLOSING = ")]}"

Change = tuple[tuple[int, int], tuple[int, int], str]  # from (row, column), to, new text


def translate(source: str) -> str:
    """Rewrite a script's `print x` and `except Error, e` for Python 3, line by line.

    `print >>file, x` keeps its meaning, and so does a comma at the end of a print, which continues
    the line. All other text stays the same.
    Raises SyntaxError or tokenize.TokenError for a script that Python 3 cannot tokenize.
    """
    lines = source.splitlines(keepends=True)
    changes: list[Change] = []
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    for statement in _statements(tokens):
        if statement[0].string == "print":
            changes += _print(statement)
        elif statement[0].string == "except":
            for comma in _outer(statement, ",")[:1]:
                changes.append((comma.start, comma.end, " as"))
    for (row, start), (_, end), text in sorted(changes, reverse=True):
        line = lines[row - 1]
        lines[row - 1] = line[:start] + text + line[end:]
    return "".join(lines)


def _statements(tokens: list[TokenInfo]) -> list[list[TokenInfo]]:
    """The tokens of each simple statement, and of each compound statement up to its colon."""
    found: list[list[TokenInfo]] = [[]]
    depth = 0
    for token in tokens:
        depth += _deeper(token)
        ends = token.type in (tokenize.NEWLINE, tokenize.ENDMARKER)
        if depth == 0 and token.type == tokenize.OP and token.string in ";:":
            ends = True
        if ends:
            found.append([])
        elif token.type not in _BETWEEN:
            found[-1].append(token)
    return [statement for statement in found if statement]


def _deeper(token: TokenInfo) -> int:
    """The change in bracket depth at a token."""
    if token.type != tokenize.OP:
        return 0
    return (token.string in _OPENING) - (token.string in _CLOSING)


def _outer(tokens: list[TokenInfo], string: str) -> list[TokenInfo]:
    """The tokens with this text outside of brackets."""
    found = []
    depth = 0
    for token in tokens:
        depth += _deeper(token)
        if depth == 0 and token.type == tokenize.OP and token.string == string:
            found.append(token)
    return found


def _print(statement: list[TokenInfo]) -> list[Change]:
    """The changes to a statement that begins with print; none if it already is a call."""
    word, *rest = statement
    if not rest:
        return [(word.end, word.end, "()")]
    if _is_python3(rest):
        return []
    first = rest[0].start
    last = rest[-1]
    file = ""
    if rest[0].string == ">>":
        commas = _outer(rest, ",")
        if not commas or commas[0] is last:
            return _print_nothing(word, rest)
        file = f", file={_text(rest[1:], commas[0].start)}"
        first = commas[0].end
    changes: list[Change] = []
    if word.end[0] == first[0]:
        changes.append((word.end, first, "("))
    if last.string == ",":
        changes.append((last.start, last.end, f', end=" "{file})'))
    else:
        changes.append((last.end, last.end, f"{file})"))
    return changes


def _is_python3(rest: list[TokenInfo]) -> bool:
    """Tell whether the tokens after `print` assign to it, take its attribute or call it."""
    if rest[0].string in ("=", "."):
        return True
    return rest[0].string == "(" and _outer(rest, ")")[0] is rest[-1]


def _print_nothing(word: TokenInfo, rest: list[TokenInfo]) -> list[Change]:
    """The change to `print >>file`, with or without a comma after it, on one line."""
    last = rest[-1]
    if rest[0].start[0] != last.end[0]:
        return []
    to = last.end
    if last.string == ",":
        to = last.start
    return [(word.end, last.end, f"(file={_text(rest[1:], to)})")]


def _text(tokens: list[TokenInfo], to: tuple[int, int]) -> str:
    return "".join(token.string for token in tokens if token.end <= to)


def hint(error: BaseException) -> str:
    """Say what to change in a script that only Python 2 understands.

    Returns "" for any other error.
    """
    if isinstance(error, SyntaxError):
        return _syntax_hint(error)
    no_integer = "'float' object cannot be interpreted as an integer"
    if isinstance(error, TypeError) and no_integer in str(error):
        return "; if this is Python 2: write // for a division of whole numbers"
    name = getattr(error, "name", None) or ""
    if name in GONE:
        return f"; this is Python 2: write {GONE[name]} for {name}"
    return ""


def _syntax_hint(error: SyntaxError) -> str:
    line = (error.text or "").strip()
    rewrites = "(2to3 or futurize rewrites a whole file)"
    if line.startswith("print ") or "print" in str(error.msg):
        return f"; this is Python 2: write print(...) with brackets {rewrites}"
    if "except " in line and "," in line:
        return f"; this is Python 2: write `except Error as e` {rewrites}"
    return ""
