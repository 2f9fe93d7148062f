"""Errors that a user can correct, each one clear line."""

from __future__ import annotations


class CaffeError(Exception):
    """A mistake in what the user gave.

    `str(error)` is one line that names file, place and remedy. It may quote a spoilt file: a dot
    stands for every character that a terminal would not print.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


def printable(text: str) -> str:
    """Return a text with a dot for every character that a terminal would not print."""
    if text.isprintable():
        return text
    return "".join(map(_printable, text))


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    return "·"


class UsageError(CaffeError):
    """A command line that no command understands: the process exits with 2, not with 1."""


class ParseError(CaffeError):
    """A file that is not what it should be.

    path: the file as the user named it.
    line, column: the place in a text file, from 1, or None.
    """

    def __init__(
        self,
        path: str,
        message: str,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        place = "".join(f":{n}" for n in (line, column) if n is not None)
        super().__init__(f"{path}{place}: {message}")
        self.path = str(path)
        self.line = line
        self.column = column


class LayerError(CaffeError):
    """A layer that cannot be built as its prototxt says.

    layer: its name.
    field: the field at fault, or None.
    """

    def __init__(
        self,
        layer: str,
        message: str,
        field: str | None = None,
    ) -> None:
        place = f"layer '{layer}'"
        if field:
            place += f", {field}"
        super().__init__(f"{place}: {message}")
        self.layer = layer
        self.field = field


class UnknownShape(LayerError):
    """A top shape that depends on data or on other code; a caller may give it."""
