"""Text files of Caffe's format: nets, solvers, label maps. Reading upgrades old forms; every error names file, line and field."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, TypeVar

from google.protobuf import text_format
from google.protobuf.message import Message

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.schema import is_repeated
from caffe_ir.upgrade import upgrade_net, upgrade_solver
from ssd_common.errors import ParseError
from ssd_common.files import PathLike, read_bytes, write_atomic
from ssd_common.suggest import suggest

M = TypeVar("M", bound=Message)


def read_net(path: PathLike) -> pb.NetParameter:
    """The net of a prototxt, in today's form whatever form the file has. Raises ParseError."""
    net = read(path, pb.NetParameter)
    upgrade_net(net, str(path))
    return net


def read_solver(path: PathLike) -> pb.SolverParameter:
    """The solver of a prototxt, in today's form. Raises ParseError."""
    solver = read(path, pb.SolverParameter)
    upgrade_solver(solver, str(path))
    return solver


def read(path: PathLike, cls: type[M]) -> M:
    """The message of type cls that a text file holds, as written, nothing upgraded. Raises ParseError."""
    data = read_bytes(path)
    if b"\0" in data:
        raise ParseError(str(path), f"is a binary file, not a {cls.DESCRIPTOR.name} in text")
    # Comments may be in any encoding (many a published net has Chinese ones); a string that is not UTF-8 is refused by the parser.
    return parse(data.decode("utf-8-sig", "surrogateescape"), cls, str(path))


def parse(text: str, cls: type[M], path: str = "<string>") -> M:
    """The message of type cls that text holds; path is named in errors. Raises ParseError with line and column."""
    message = cls()
    if "\\" in text:
        _check_escapes(text, path)
    try:
        text_format.Parse(text, message)
    except text_format.ParseError as error:
        raise _explain(error, text, cls, path) from None
    return message


def dumps(message: Message) -> str:
    """The message as text in Caffe's style; a float is the shortest decimal that reads back as the same float32."""
    lines: list[str] = []
    _print(message, "", lines)
    return "".join(lines)


def _print(message: Message, indent: str, lines: list[str]) -> None:
    """What text_format.MessageToString does, three times as fast: nothing is asked or spelt twice."""
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
    """A field's name, whether it is a list, and what spells a value; None for messages."""

    @lru_cache(maxsize=4096)
    def known(value: Any) -> str:
        out = io.StringIO()
        text_format.PrintFieldValue(field, value, out, as_utf8=True)
        return out.getvalue()

    def spell(value: Any) -> str:
        return known(value) if value else known.__wrapped__(value)  # 0.0 and -0.0 are one key

    return field.name, is_repeated(field), None if field.message_type else spell


def write(message: Message, path: PathLike) -> None:
    """Write the message as text, atomically. Raises CaffeError where the folder cannot be written."""
    write_atomic(path, dumps(message))


# ---- What went wrong, in words


def _explain(error: text_format.ParseError, text: str, cls: type[Message], path: str) -> ParseError:
    """The parser's error as one clear line. Its own wording says types by package and repeats the source line."""
    line, column = error.GetLine() or 1, error.GetColumn() or 1
    said = re.sub(r"^\d+:\d+ : ", "", str(error))
    source = text.split("\n")[line - 1]
    said = said.removeprefix(f"'{source}': ").removeprefix("'': ").strip()
    if found := re.match(r'Message type "(.+?)" has no field named "(.+?)"', said):
        said = _no_field(found[1], found[2], cls)
    elif found := re.match(r'Enum type "(.+?)" has no value (?:named|with number) (\S+?)\.?$', said):
        said = f"{_field_before(source, column)}no {_short(found[1])} '{found[2]}'{_values(found[1], found[2])}"
    elif found := re.match(r'Message type "(.+?)" should not have multiple "(.+?)" fields', said):
        said = f"{_short(found[1])} has '{found[2]}' twice, but takes one"
    elif "missing ending quote" in said:
        said = f"{_field_before(source, column)}string has no closing quote"
    elif "codec can't" in said:
        said = f"{_field_before(source, column)}string is not UTF-8"
    elif said.startswith('Expected "}"') and (opened := _unclosed(text)) is not None:
        line, column = _place(text, opened)
        said = "'{' is never closed"
    elif said == "Expected identifier or number, got }.":
        said = "'}' without a '{'"
    else:
        said = _field_before(source, column) + said[:1].lower() + said[1:].rstrip(".")
    return ParseError(path, said, line, column)


def _short(name: str) -> str:
    """`caffe_ir.PoolingParameter.PoolMethod` -> `PoolingParameter.PoolMethod`."""
    return name.removeprefix(f"{pb.DESCRIPTOR.package}.")


def _no_field(type_name: str, field: str, cls: type[Message]) -> str:
    descriptor = pb.DESCRIPTOR.pool.FindMessageTypeByName(type_name)
    hint = suggest(field, descriptor.fields_by_name)
    if descriptor is not cls.DESCRIPTOR and field in cls.DESCRIPTOR.fields_by_name:
        hint = f" (it is a field of {cls.DESCRIPTOR.name}: is a '}}' missing above?)"
    elif not hint and (others := [m.name for m in pb.DESCRIPTOR.message_types_by_name.values() if field in m.fields_by_name]):
        hint = f" (it is a field of {', '.join(others[:3])})"
    return f"{_short(type_name)} has no field '{field}'{hint}"


def _values(enum_name: str, value: str) -> str:
    names = list(pb.DESCRIPTOR.pool.FindEnumTypeByName(enum_name).values_by_name)
    return suggest(value, names) or f" (one of {', '.join(names)})"


def _field_before(source: str, column: int) -> str:
    """`num_output: ` where the error is at the value of a field of this line, else nothing."""
    found = re.search(r"([A-Za-z_]\w*)\s*:\s*$", source[: column - 1])
    return f"{found[1]}: " if found else ""


_LEXEMES = re.compile(r"""#[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|[{}]""")


def _place(text: str, at: int) -> tuple[int, int]:
    """Line and column, from 1, of a position in the text."""
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


def _check_escapes(text: str, path: str) -> None:
    """Refuse what Caffe's parser refuses and Python's lets pass: a string with an escape that does not exist, as in "C:\\data"."""
    for lexeme in _LEXEMES.finditer(text):
        if lexeme[0][0] in "\"'":
            for escape in re.finditer(r"\\(.)", lexeme[0]):
                if escape[1] not in "abfnrtv\\?'\"01234567xXuU":
                    place = _place(text, lexeme.start() + escape.start())
                    raise ParseError(path, f"strings have no escape '{escape[0]}'; write a backslash as '\\\\'", *place)


def _unclosed(text: str) -> int | None:
    """Where the innermost '{' that has no '}' stands."""
    opened: list[int] = []
    for lexeme in _LEXEMES.finditer(text):
        if lexeme[0] == "{":
            opened.append(lexeme.start())
        elif lexeme[0] == "}" and opened:
            opened.pop()
    return opened[-1] if opened else None
