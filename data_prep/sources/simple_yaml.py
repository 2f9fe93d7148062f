"""The part of YAML that data.yaml needs: scalars, and lists and mappings of scalars."""

from __future__ import annotations

import re
from pathlib import Path

from data_prep.sources import fields
from ssd_common.errors import CaffeError, ParseError

Value = str | list[str] | dict[str, str]

_CLOSING = {"[": "]", "{": "}"}
_KEY = re.compile(r"([A-Za-z_][\w-]*)\s*:(?:\s+(.*))?$")
_PAIR = re.compile(r"""(?:'([^']*)'|"([^"]*)"|([^:]+?))\s*:(?:\s+(.*))?$""")
_ELEMENT = re.compile(r"""\s*((?:'[^']*'|"[^"]*"|[^,'"]|['"])+)\s*(?:,|$)""")
# A comment is # at the line's start or after a space, outside quotes.
_UNCOMMENTED = re.compile(
    r"""^((?:[^'"#]|(?<!\s)(?<!^)#|'[^']*'|"[^"]*"|['"])*?)(?:(?:^|\s)#.*)?$"""
)


def read_yaml(path: Path) -> dict[str, Value]:
    """Return the top-level values of a YAML file, by key.

    Raises ParseError, and CaffeError for a file that is no UTF-8 text.
    """
    values: dict[str, Value] = {}
    # The key whose value or block is being read.
    key = ""
    # What its value has so far: [lists] and {mappings} go over several lines.
    flow = ""
    for number, line in _lines(path):
        text = _without_comment(line)
        found = _KEY.match(text)
        if flow or not text.strip():
            flow += text.strip()
        elif found:
            key = found[1]
            flow = (found[2] or "").strip()
            values[key] = ""
        elif not key:
            given = fields.excerpt(text.strip())
            fault = f"'{given}' where 'key: value' should be"
            raise ParseError(str(path), fault, number)
        else:
            _add(values, key, text.strip(), path, number)
        if flow and not _is_open(flow):
            values[key] = _scalar_or_flow(flow)
            flow = ""
    if flow:
        raise ParseError(str(path), f"{key}: '{flow[0]}' is never closed")
    return values


def _lines(path: Path) -> list[tuple[int, str]]:
    """Return number, from 1, and text of each line but those that separate documents."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise CaffeError(f"{path}: not a YAML file: it is no UTF-8 text") from None
    lines = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() not in ("---", "..."):
            lines.append((number, line))
    return lines


def _add(values: dict[str, Value], key: str, text: str, path: Path, number: int) -> None:
    """Add a line of the block below a key: `- item`, or `0: item`. Raises ParseError."""
    if text.startswith("-"):
        items = values[key] or []
        if isinstance(items, list):
            values[key] = [*items, _scalar(text[1:])]
            return
    else:
        pair = _PAIR.match(text)
        entries = values[key] or {}
        if pair and isinstance(entries, dict):
            name = pair[1] or pair[2] or pair[3]
            if name:
                values[key] = {**entries, name: _scalar(pair[4] or "")}
                return
    given = fields.excerpt(text)
    fault = f"'{given}' is neither '- item' nor '0: item'"
    raise ParseError(str(path), fault, number)


def _is_open(flow: str) -> bool:
    """Return whether a value begins with a bracket and does not end with its counterpart."""
    return flow[0] in _CLOSING and flow[-1] != _CLOSING[flow[0]]


def _without_comment(line: str) -> str:
    return _UNCOMMENTED.sub(r"\1", line.rstrip("\r\n")).rstrip()


def _scalar(text: str) -> str:
    """Return a value without spaces and quotes around it."""
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    return text


def _scalar_or_flow(text: str) -> Value:
    """Return the value of a scalar, a [list] or a {mapping}."""
    if text[0] not in _CLOSING:
        return _scalar(text)
    elements = [part for part in _ELEMENT.findall(text[1:-1]) if part.strip()]
    if text[0] == "[":
        return [_scalar(part) for part in elements]
    pairs = [part.partition(":") for part in elements]
    return {_scalar(key): _scalar(value) for key, _, value in pairs}
