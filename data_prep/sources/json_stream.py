"""Reads the elements of a large JSON file's top-level arrays one after another.

Its memory does not grow with the file.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Container, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeVar

from data_prep.sources import json_lines
from ssd_common.errors import ParseError
from ssd_common.files import open_regular

T = TypeVar("T")
CHUNK = 4 << 20  # bytes read at a time
LONGEST = 256 << 20  # characters that one element may have
_MARGIN = 32  # an error this near the window's end may vanish with more text
_SPACE = re.compile(r"[ \t\r\n]*")
_decode = json.JSONDecoder().raw_decode


class Element(NamedTuple):
    """One element of an array.

    section: the key of its array.
    number: its place in the array, from 0.
    line: of the file, where it begins, from 1.
    value: the element itself.
    """

    section: str
    number: int
    line: int
    value: Any


def elements(path: Path, sections: Container[str]) -> Iterator[Element]:
    """Yield every element of the arrays with these keys, in the file's order; skip the rest.

    Raises ParseError with file and line if the file is no JSON object or breaks off, OSError if it
    cannot be opened.
    """
    with open_regular(path) as file:
        window = _Window(file, path)
        try:
            yield from _top(window, sections)
        except RecursionError:
            raise window.error("nested too deeply") from None


def records(path: Path) -> Iterator[Element]:
    """Yield every element of the file's top-level list; objects in it are json_lines.Records.

    Raises ParseError with file and line if the file is no JSON list or breaks off, OSError if it
    cannot be opened.
    """
    with open_regular(path) as file:
        window = _Window(file, path)
        try:
            for index, (line, text) in enumerate(_array(window, window.text_of_value)):
                yield Element("", index, line, json_lines.parse(text, line))
        except RecursionError:
            raise window.error("nested too deeply") from None
        _end(window, "list")


def _top(window: _Window, sections: Container[str]) -> Iterator[Element]:
    """Yield the elements of the file's top-level object."""
    window.take("{", "a JSON object")
    more = window.peek() != "}"
    while more:
        yield from _entry(window, sections)
        more = window.skip(",")
    window.take("}", "',' or '}'")
    _end(window, "object")


def _end(window: _Window, what: str) -> None:
    """Raise ParseError where text follows the top-level value. what: that value, in a word."""
    if window.peek():
        raise window.error(f"text after the end of the JSON {what}")


def _entry(window: _Window, sections: Container[str]) -> Iterator[Element]:
    """Yield the elements of the next key's array, where sections have the key."""
    key = window.value()
    if not isinstance(key, str):
        raise window.error(f"{json.dumps(key)[:40]} where a key should be")
    window.take(":", f"':' after \"{key}\"")
    if window.peek() == "[":
        for index, (line, value) in enumerate(_array(window, window.value)):
            if key in sections:
                yield Element(key, index, line, value)
    elif key in sections:
        raise window.error(f"'{key}' should be a list")
    else:
        window.value()


def _array(window: _Window, read: Callable[[], T]) -> Iterator[tuple[int, T]]:
    """Yield the line of each element of the next array, and what `read` makes of it."""
    window.take("[", "a JSON list")
    more = window.peek() != "]"
    while more:
        window.peek()
        line = window.line
        yield line, read()
        more = window.skip(",")
    window.take("]", "',' or ']'")


class _Window:
    """The part of a JSON text that is being read, and its line."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._file = file
        self._path = path
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._text = ""
        self._at = 0
        self._ended = False
        self._line = 1  # the line at position _counted
        self._counted = 0

    @property
    def line(self) -> int:
        """The line that is being read, from 1."""
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line

    def error(self, message: str, at: int | None = None) -> ParseError:
        """Return an error at this line, or at the line of a position in the window."""
        if at is not None:
            self._at = at
        fault = f"not well-formed JSON: {message}"
        return ParseError(str(self._path), fault, self.line)

    def peek(self) -> str:
        """Return the next character that is no space, or "" at the file's end; it stays."""
        while True:
            found = _SPACE.match(self._text, self._at)
            if found:
                self._at = found.end()
            if self._at < len(self._text):
                return self._text[self._at]
            if self._ended:
                return ""
            self._more()

    def skip(self, character: str) -> bool:
        """Read over a character if it is the next one. Returns whether it was."""
        if self.peek() != character:
            return False
        self._at += 1
        return True

    def take(self, character: str, expected: str) -> None:
        """Read over a character.

        expected: names it in the error.
        Raises ParseError where another character comes.
        """
        if self.skip(character):
            return
        found = "the file ends"
        if self.peek():
            found = repr(self.peek())
        raise self.error(f"{found} where {expected} should be")

    def value(self) -> Any:
        """Return the next value, whatever it is. Raises ParseError where none is well-formed."""
        return self._scan()[1]

    def text_of_value(self) -> str:
        """Return the text of the next value. Raises ParseError where it is not well-formed."""
        start, _ = self._scan()
        return self._text[start : self._at]

    def _scan(self) -> tuple[int, Any]:
        """Return where the next value begins in the window, and the value. Raises ParseError."""
        if not self.peek():
            raise self.error("the file ends where a value should be")
        while True:
            try:
                value, end = _decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._ended or not self._may_be_cut(error):
                    raise self.error(_reason(error), error.pos) from None
            except ValueError as error:  # a number of thousands of digits
                raise self.error(str(error).partition(";")[0]) from None
            else:
                # A number might go on.
                if end < len(self._text) or self._ended:
                    begin = self._at
                    self._at = end
                    return begin, value
            if len(self._text) - self._at > LONGEST:
                raise self.error("a value that does not end")
            self._more()

    def _may_be_cut(self, error: json.JSONDecodeError) -> bool:
        """Return whether the window's end, and not the text, may have caused the error."""
        near_end = error.pos > len(self._text) - _MARGIN
        return near_end or error.msg.startswith("Unterminated string")

    def _more(self) -> None:
        """Read on; forget what lies before this position."""
        self._line = self.line
        self._text = self._text[self._at :]
        self._counted = 0
        self._at = 0
        data = self._file.read(CHUNK)
        self._ended = not data
        try:
            self._text += self._decoder.decode(data, final=self._ended)
        except UnicodeDecodeError:
            self._at = len(self._text)
            raise self.error("not UTF-8 text") from None


def _reason(error: json.JSONDecodeError) -> str:
    """Return the decoder's message without its place."""
    reason = error.msg[0].lower() + error.msg[1:]
    return reason.removesuffix(" at").removesuffix(" starting")
