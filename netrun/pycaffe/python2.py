"""Scripts for Python 2, as most for pycaffe are, in the words of Python 3."""

from __future__ import annotations

import io
import tokenize
from tokenize import TokenInfo

# Python 2's names for what Python 3 has under another.
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
_BETWEEN = (tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING)
_OPENING, _CLOSING = "([{", ")]}"


def translate(source: str) -> str:
    """A script with `print x` and `except Error, e` as Python 3 has them, line for line; the rest as it is.

    `print >>file, x` and a comma at a print's end, which keeps to the line, mean what they do there. Raises SyntaxError or
    tokenize.TokenError for what has no words in Python 3.
    """
    lines = source.splitlines(keepends=True)
    changes: list[tuple[tuple[int, int], tuple[int, int], str]] = []  # from, to, words
    for statement in _statements(list(tokenize.generate_tokens(io.StringIO(source).readline))):
        if statement[0].string == "print":
            changes += _print(statement)
        elif statement[0].string == "except" and (comma := _outer(statement, ",")):
            changes.append((comma[0].start, comma[0].end, " as"))
    for (row, start), (_, end), words in sorted(changes, reverse=True):
        line = lines[row - 1]
        lines[row - 1] = line[:start] + words + line[end:]
    return "".join(lines)


def _statements(tokens: list[TokenInfo]) -> list[list[TokenInfo]]:
    """The tokens of each simple statement, and of each beginning of another up to its colon."""
    found: list[list[TokenInfo]] = [[]]
    depth = 0
    for token in tokens:
        depth += (token.string in _OPENING) - (token.string in _CLOSING) if token.type == tokenize.OP else 0
        if token.type in (tokenize.NEWLINE, tokenize.ENDMARKER) or (depth == 0 and token.type == tokenize.OP and token.string in ";:"):
            found.append([])
        elif token.type not in _BETWEEN:
            found[-1].append(token)
    return [statement for statement in found if statement]


def _outer(tokens: list[TokenInfo], string: str) -> list[TokenInfo]:
    """The tokens with this text outside of brackets."""
    found, depth = [], 0
    for token in tokens:
        if token.type == tokenize.OP:
            depth += (token.string in _OPENING) - (token.string in _CLOSING)
            if depth == 0 and token.string == string:
                found.append(token)
    return found


def _print(statement: list[TokenInfo]) -> list[tuple[tuple[int, int], tuple[int, int], str]]:
    """What to change in a statement that begins with print; nothing where it is a call already."""
    word, *rest = statement
    if not rest:
        return [(word.end, word.end, "()")]
    if rest[0].string in ("=", ".") or (rest[0].string == "(" and _outer(rest, ")")[0] is rest[-1]):
        return []
    more, first, last = "", rest[0].start, rest[-1]
    if rest[0].string == ">>":
        commas = _outer(rest, ",")
        to = rest[-1].end if not commas else commas[0].start
        more = f", file={_text(rest[1:], to)}"
        if not commas or commas[0] is last:
            return [(word.end, last.end, f"({more[2:]})")] if first[0] == last.end[0] else []
        first = commas[0].end
    changes = [(word.end, first, "(")] if word.end[0] == first[0] else []
    if last.string == ",":
        return [*changes, (last.start, last.end, f', end=" "{more})')]
    return [*changes, (last.end, last.end, f"{more})")]


def _text(tokens: list[TokenInfo], to: tuple[int, int]) -> str:
    return "".join(token.string for token in tokens if token.end <= to)


def hint(error: BaseException) -> str:
    """What to change in a script that only Python 2 understands; empty for any other error."""
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
