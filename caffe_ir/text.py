"""Text files of Caffe's format: nets, solvers, label maps.

read_net and read_solver upgrade old forms. Every error names file, line and field.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, TypeVar

from google.protobuf import text_format
from google.protobuf.message import Message

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.plain_text import read_plain
from caffe_ir.rules.elsewhere import who_has
from caffe_ir.schema import is_repeated
from caffe_ir.upgrade import upgrade_net, upgrade_solver
from ssd_common.errors import ParseError
from ssd_common.files import PathLike, read_bytes, write_atomic
from ssd_common.suggest import suggest

M = TypeVar("M", bound=Message)


def read_net(path: PathLike, notes: list[str] | None = None) -> pb.NetParameter:
    """Read the net of a prototxt, and upgrade old forms.

    notes: takes what `upgrade_net` notes.
    Raises ParseError.
    """
    net = read(path, pb.NetParameter)
    upgrade_net(net, str(path), notes)
    return net


def read_solver(path: PathLike) -> pb.SolverParameter:
    """Read the solver of a prototxt, and upgrade old forms. Raises ParseError."""
    solver = read(path, pb.SolverParameter)
    upgrade_solver(solver, str(path))
    return solver


def read(path: PathLike, cls: type[M]) -> M:
    """Read a text file as the message type cls, without upgrading old forms.

    Raises ParseError where the file is missing, is binary or does not parse.
    """
    data = read_bytes(path)
    if b"\0" in data:
        raise ParseError(str(path), f"is a binary file, not a {cls.DESCRIPTOR.name} in text")
    # Comments may be in any encoding, as in published nets with Chinese ones. The parser refuses a
    # string that is not UTF-8.
    return parse(data.decode("utf-8-sig", "surrogateescape"), cls, str(path))


def parse(text: str, cls: type[M], path: str = "<string>") -> M:
    """Parse text as the message type cls.

    path: the file that errors name.
    Raises ParseError with line and column.
    """
    message = cls()
    if "\\" in text:
        _check_escapes(text, path)
    if read_plain(text, message):
        return message
    message = cls()
    try:
        text_format.Parse(text, message)
    except text_format.ParseError as error:
        raise _explain(error, text, cls, path) from None
    return message


def dumps(message: Message) -> str:
    """Return the message as text in Caffe's style.

    A float is the shortest decimal that reads back as the same float32.
    """
    lines: list[str] = []
    _print(message, "", lines)
    return "".join(lines)


def _print(message: Message, indent: str, lines: list[str]) -> None:
    """Append the message's lines, as text_format.MessageToString would write them.

    This is three times as fast: it spells each field's name and each value once.
    """
    for field, value in message.ListFields():
        name, repeated, spell = _spelling(field)
        for one in value if repeated else (value,):
            if spell is None:
                lines.append(f"{indent}{name} {{\n")
                _print(one, f"{indent}  ", lines)
                lines.append(f"{indent}}}\n")
            else:
                lines.append(f"{indent}{name}: {spell(one)}\n")


@cache
def _spelling(field: Any) -> tuple[str, bool, Callable[[Any], str] | None]:
    """Return a field's name, whether it is a list, and a function that spells a value.

    For a field of messages, there is no function.
    """
    if field.message_type:
        return field.name, is_repeated(field), None

    @lru_cache(maxsize=4096)
    def known(value: Any) -> str:
        out = io.StringIO()
        text_format.PrintFieldValue(field, value, out, as_utf8=True)
        return out.getvalue()

    def spell(value: Any) -> str:
        if value:
            return known(value)
        # The cache would take 0.0 and -0.0 for one key.
        return known.__wrapped__(value)

    return field.name, is_repeated(field), spell


def write(message: Message, path: PathLike) -> None:
    """Write the message as text, atomically.

    Raises CaffeError where the folder cannot be written.
    """
    write_atomic(path, dumps(message))


# ---- Wording of errors

_NO_FIELD = re.compile(r'Message type "(.+?)" has no field named "(.+?)"')
_NO_VALUE = re.compile(r'Enum type "(.+?)" has no value (?:named|with number) (\S+?)\.?$')
_TWICE = re.compile(r'Message type "(.+?)" should not have multiple "(.+?)" fields')


def _explain(
    error: text_format.ParseError,
    text: str,
    cls: type[Message],
    path: str,
) -> ParseError:
    """Reword the parser's error as one clear line.

    The parser's own wording names types by package and repeats the source line.
    """
    line = error.GetLine() or 1
    column = error.GetColumn() or 1
    source = text.split("\n")[line - 1]
    wording = re.sub(r"^\d+:\d+ : ", "", str(error))
    wording = wording.removeprefix(f"'{source}': ").removeprefix("'': ").strip()
    if wording.startswith('Expected "}"'):
        opened = _unclosed(text)
        if opened is not None:
            return ParseError(path, "'{' is never closed", *_place(text, opened))
    message = _reworded(wording, _field_before(source, column), cls)
    return ParseError(path, message, line, column)


def _reworded(wording: str, field: str, cls: type[Message]) -> str:
    """Reword the parser's message, without file and place.

    wording: the parser's message.
    field: `name: ` of the field whose value is wrong, or "".
    cls: the type of the whole file.
    """
    found = _NO_FIELD.match(wording)
    if found:
        return _no_field(found[1], found[2], cls)
    found = _NO_VALUE.match(wording)
    if found:
        hint = _values(found[1], found[2])
        return f"{field}no {_short(found[1])} '{found[2]}'{hint}"
    found = _TWICE.match(wording)
    if found:
        return f"{_short(found[1])} has '{found[2]}' twice, but takes one"
    if "missing ending quote" in wording:
        return f"{field}string has no closing quote"
    if "codec can't" in wording:
        return f"{field}string is not UTF-8"
    if wording == "Expected identifier or number, got }.":
        return "'}' without a '{'"
    return field + wording[:1].lower() + wording[1:].rstrip(".")


def _short(name: str) -> str:
    """Strip the package of a type: `caffe_ir.PoolingParameter` -> `PoolingParameter`."""
    return name.removeprefix(f"{pb.DESCRIPTOR.package}.")


def _no_field(type_name: str, field: str, cls: type[Message]) -> str:
    """Say that a message has no such field, and where the field could belong."""
    descriptor = pb.DESCRIPTOR.pool.FindMessageTypeByName(type_name)
    hint = suggest(field, descriptor.fields_by_name)
    if descriptor is not cls.DESCRIPTOR and field in cls.DESCRIPTOR.fields_by_name:
        hint = f" (it is a field of {cls.DESCRIPTOR.name}: is a '}}' missing above?)"
    hint = who_has(field) or hint or _other_messages(field)
    return f"{_short(type_name)} has no field '{field}'{hint}"


def _other_messages(field: str) -> str:
    """Name up to three messages that have a field, or return ""."""
    messages = pb.DESCRIPTOR.message_types_by_name.values()
    others = [message.name for message in messages if field in message.fields_by_name]
    if not others:
        return ""
    return f" (it is a field of {', '.join(others[:3])})"


def _values(enum_name: str, value: str) -> str:
    """Name the nearest value of an enum, or else all of them."""
    enum = pb.DESCRIPTOR.pool.FindEnumTypeByName(enum_name)
    names = list(enum.values_by_name)
    return suggest(value, names) or f" (one of {', '.join(names)})"


def _field_before(source: str, column: int) -> str:
    """Return `num_output: ` where the error is at the value of a field of this line, else ""."""
    found = re.search(r"([A-Za-z_]\w*)\s*:\s*$", source[: column - 1])
    if not found:
        return ""
    return f"{found[1]}: "


_LEXEMES = re.compile(r"""#[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|[{}]""")
_ESCAPE = re.compile(r"\\(.)")
_ZERO_BYTE = re.compile(r"\\(?:0(?![0-7])|00(?![0-7])|000|[xX]0(?![0-9a-fA-F])|[xX]00|u0000|U0{8})")
_KNOWN_ESCAPES = "abfnrtv\\?'\"01234567xXuU"


def _place(text: str, at: int) -> tuple[int, int]:
    """Return line and column, from 1, of a position in the text."""
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


def _check_escapes(text: str, path: str) -> None:
    """Refuse a string with an escape that does not exist, as in "C:\\data", or of a zero byte.

    Caffe's parser refuses the first too; Python's lets it pass. No path can have a zero byte.
    """
    for lexeme in _LEXEMES.finditer(text):
        if lexeme[0][0] not in "\"'":
            continue
        for escape in _ESCAPE.finditer(lexeme[0]):
            message = f"strings have no escape '{escape[0]}'; write a backslash as '\\\\'"
            if _ZERO_BYTE.match(lexeme[0], escape.start()):
                message = "a string may not have a zero byte, as no path can"
            elif escape[1] in _KNOWN_ESCAPES:
                continue
            place = _place(text, lexeme.start() + escape.start())
            raise ParseError(path, message, *place)


def _unclosed(text: str) -> int | None:
    """Find the position of the innermost '{' that has no '}', else None."""
    opened: list[int] = []
    for lexeme in _LEXEMES.finditer(text):
        if lexeme[0] == "{":
            opened.append(lexeme.start())
        elif lexeme[0] == "}" and opened:
            opened.pop()
    if not opened:
        return None
    return opened[-1]
