"""Python 2's files: text and bytes go into each, and lines keep their ends."""

from __future__ import annotations

import io
from typing import Any

from netrun.pycaffe.python2.text import data, text


class _Closing:
    """A file that closes when nobody has it any more, which Python 2's scripts count on."""

    softspace = 0

    def __del__(self) -> None:
        self.close()  # type: ignore[attr-defined]


class File(_Closing, io.TextIOWrapper):
    """An open file of text: UTF-8, where other bytes come through unharmed.

    Lines end in a line feed alone, unless the mode has U.
    """

    def write(self, value: Any) -> int:
        """Write text or bytes."""
        return super().write(text(value))


class _Reader(_Closing, io.BufferedReader):
    """An open file of bytes, read."""


class _Writer(_Closing, io.BufferedWriter):
    """An open file of bytes that takes text, too."""

    def write(self, value: Any) -> int:
        """Write text or bytes."""
        return super().write(data(value))


class _Both(_Closing, io.BufferedRandom):
    """An open file of bytes, read and written."""

    def write(self, value: Any) -> int:
        """Write text or bytes."""
        return super().write(data(value))


def open_file(name: Any, mode: str = "r", buffering: int = -1, **named: Any) -> Any:
    """Open a file as Python 2's open does. name: a path, or the number of an open file.

    A call with what only Python 3's open has, such as `encoding`, is that one's.
    """
    if named:
        return open(name, mode, buffering, **named)
    newline: str | None = "\n"
    if "U" in mode:
        newline = None
    plain = mode.replace("U", "").replace("b", "").replace("t", "") or "r"
    raw = io.FileIO(name, plain)
    buffered = _buffered(raw, plain)
    if "b" in mode:
        return buffered
    return File(
        buffered,
        encoding="utf-8",
        errors="surrogateescape",
        newline=newline,
        line_buffering=buffering in (0, 1) or raw.isatty(),
        write_through=buffering == 0,
    )


def _buffered(raw: io.FileIO, mode: str) -> Any:
    if "+" in mode:
        return _Both(raw)
    if mode[0] == "r":
        return _Reader(raw)
    return _Writer(raw)


class StringIO(io.BytesIO):
    """A file in memory: it gives back text, or bytes once bytes were written."""

    softspace = 0

    def __init__(self, initial: Any = "") -> None:
        self.is_text = isinstance(initial, str)
        super().__init__(data(initial))

    def write(self, value: Any) -> int:
        """Write text or bytes."""
        if not isinstance(value, str):
            self.is_text = False
        return super().write(data(value))

    def _given(self, value: bytes) -> Any:
        if self.is_text:
            return text(value)
        return value

    def getvalue(self, *_: object) -> Any:
        """Return all of it."""
        return self._given(super().getvalue())

    def read(self, size: int | None = -1, /) -> Any:
        """Read up to so many bytes."""
        return self._given(super().read(size))

    def readline(self, size: int | None = -1, /) -> Any:
        """Read a line."""
        return self._given(super().readline(size))

    def readlines(self, hint: int | None = -1, /) -> Any:
        """Read the lines that are left."""
        return [self._given(line) for line in super().readlines(hint)]

    def __next__(self) -> Any:
        return self._given(super().__next__())
