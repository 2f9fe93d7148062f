"""Gives protobuf's text_format the arguments that its newer versions lack, for older scripts."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from google.protobuf import text_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

_FLOATS = (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE)
_FORMATS = ("float_format", "double_format")


def add() -> None:
    """Let MessageToString and PrintMessage take float_format and double_format again.

    Source: protobuf 3.20, python/google/protobuf/text_format.py.
    """
    for name in ("MessageToString", "PrintMessage"):
        function = getattr(text_format, name)
        if "float_format" not in inspect.signature(function).parameters:
            setattr(text_format, name, _with_formats(function))


def _with_formats(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(message: Message, *args: Any, **named: Any) -> Any:
        float_format, double_format = (named.pop(name, None) for name in _FORMATS)
        if float_format or double_format:
            formats = (float_format, double_format or float_format)
            message = _rounded(message, dict(zip(_FLOATS, formats, strict=True)))
        return function(message, *args, **named)

    call.__signature__ = _signature(function)  # type: ignore[attr-defined]
    return call


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    """The function's signature, with the two formats."""
    signature = inspect.signature(function)
    kind = inspect.Parameter.KEYWORD_ONLY
    formats = [inspect.Parameter(name, kind, default=None) for name in _FORMATS]
    return signature.replace(parameters=[*signature.parameters.values(), *formats])


def _rounded(message: Message, formats: dict[int, str | None]) -> Message:
    """Copy a message; its floats are the numbers that they read as in their formats.

    formats: by the fields' types; None leaves the numbers as they are.
    """
    copy = type(message)()
    copy.CopyFrom(message)
    _round(copy, formats)
    return copy


def _round(message: Message, formats: dict[int, str | None]) -> None:
    for field, value in message.ListFields():
        form = formats.get(field.cpp_type)
        if field.message_type:
            for part in _messages(value):
                _round(part, formats)
        elif form and isinstance(value, float):
            setattr(message, field.name, float(format(value, form)))
        elif form:
            value[:] = [float(format(number, form)) for number in value]


def _messages(value: Any) -> list[Message]:
    """The messages of a field; none of a map's."""
    if isinstance(value, Message):
        return [value]
    return [part for part in value if isinstance(part, Message)]
