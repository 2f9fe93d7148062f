"""Ways to spoil a text, a message or bytes, all drawn from one generator."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from google.protobuf.message import Message

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir.schema import is_repeated

NUMBERS = (
    "0",
    "-1",
    "1",
    "2",
    "3",
    "7",
    "255",
    "65536",
    "2147483647",
    "2147483648",
    "-2147483648",
    "4294967295",
    "4294967296",
    "1e9",
)
ODD = (
    "1e38",
    "1e39",
    "-1e38",
    "1e-45",
    "nan",
    "inf",
    "-inf",
    "0.5",
    "1.5",
    "99999999999999999999",
    "0x7fffffff",
    "010",
    "true",
    "MAX",
    '"x"',
)
_TOKEN = re.compile(r'"[^"\n]*"|[A-Za-z_]\w*|-?\d[\w.+-]*|[{}:]|\s+|.', re.DOTALL)
_FIELDS = sorted(
    {
        field.name
        for message in pb.DESCRIPTOR.message_types_by_name.values()
        for field in message.fields
    }
)


def spoil_text(draw: random.Random, text: str, others: Sequence[str]) -> str:
    """The text after one to four changes to its tokens, blocks or characters.

    others: texts to borrow words and layers from.
    """
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        tokens = _TOKEN.findall(text)
        if not tokens:
            return text
        at = draw.randrange(len(tokens))
        kind = draw.randrange(11)
        if kind > 8:
            text = _spoil_blocks(draw, text, kind, others)
            continue
        text = "".join(_spoil_tokens(draw, tokens, at, kind, others))
    return text


def _spoil_tokens(
    draw: random.Random, tokens: list[str], at: int, kind: int, others: Sequence[str]
) -> list[str]:
    """The tokens after one change of a kind from 0 to 8. at: the token that some kinds change."""
    if kind <= 2:
        places = [i for i, token in enumerate(tokens) if re.fullmatch(r"-?\d[\w.+-]*", token)]
        if places:
            tokens[draw.choice(places)] = draw.choice(NUMBERS if kind else ODD)
    elif kind == 3:
        del tokens[at : at + draw.choice((1, 1, 5))]
    elif kind == 4:
        tokens[at:at] = tokens[at : at + draw.choice((1, 4, 12))]
    elif kind == 5:
        _spoil_word(draw, tokens, others)
    elif kind == 6:
        strings = [i for i, token in enumerate(tokens) if token[0] == '"']
        if strings:  # another blob, type or name; or no end
            tokens[draw.choice(strings)] = draw.choice(
                [*(tokens[i] for i in strings), '""', '"\\', '"x', "'", '"\\377"', '"é"']
            )
    elif kind == 7:
        return tokens[:at]
    else:
        tokens[at] = _odd_character(draw)
    return tokens


def _spoil_word(draw: random.Random, tokens: list[str], others: Sequence[str]) -> None:
    """Put another word in place of one, in place: a field's name, or any token of another text."""
    places = [i for i, token in enumerate(tokens) if token[0].isalpha()]
    if places:
        tokens[draw.choice(places)] = draw.choice(
            _FIELDS if draw.random() < 0.5 else _TOKEN.findall(draw.choice(others))
        )


def _odd_character(draw: random.Random) -> str:
    many = "{" * draw.choice((1, 200))
    return draw.choice(
        ("\0", "\x80", many, "}", "#", "<", ">", "[", "]", ":", "\n", "layer {", "'")
    )


def _spoil_blocks(draw: random.Random, text: str, kind: int, others: Sequence[str]) -> str:
    """The text without a block (kind 9), or with one more, its own or another text's (kind 10)."""
    blocks = _blocks(text)
    if not blocks:
        return text
    start, end = draw.choice(blocks)
    if kind == 9:
        return text[:start] + text[end:]
    if draw.random() < 0.5:
        return text[:end] + text[start:end] + text[end:]
    other = draw.choice(others)
    foreign = _blocks(other)
    a, b = draw.choice(foreign) if foreign else (0, 0)
    return text[:end] + other[a:b] + text[end:]


def _blocks(text: str) -> list[tuple[int, int]]:
    """Where the outermost blocks with their names stand."""
    found, depth, start = [], 0, 0
    for match in re.finditer(r"[{}]", text):
        if match[0] == "{":
            if depth == 0:
                start = len(re.sub(r"\w+\s*$", "", text[: match.start()]))
            depth += 1
        else:
            depth -= 1
            if depth == 0:
                found.append((start, match.end()))
    return found


def spoil_message(draw: random.Random, message: Message) -> None:
    """Set, repeat, swap or clear one field, somewhere inside; a present submessage is more likely
    gone into than made.
    """
    present = [(field, value) for field, value in message.ListFields() if field.message_type]
    if present and draw.random() < 0.8:
        field, value = draw.choice(present)
        spoil_message(draw, draw.choice(list(value)) if is_repeated(field) else value)
        return
    field = draw.choice([field for field, _ in message.ListFields()] or message.DESCRIPTOR.fields)
    if draw.random() < 0.4:
        field = draw.choice(message.DESCRIPTOR.fields)
    if draw.random() < 0.2:
        message.ClearField(field.name)
        return
    if field.message_type:
        child = getattr(message, field.name)
        child = child.add() if is_repeated(field) else child
        if not is_repeated(field):
            child.SetInParent()
        if draw.random() < 0.7:
            spoil_message(draw, child)
        return
    value = _value(draw, field, message)
    if not is_repeated(field):
        setattr(message, field.name, value)
    else:
        values = list(getattr(message, field.name))
        if values and draw.random() < 0.6:
            values[draw.randrange(len(values))] = value
        elif values and draw.random() < 0.3:
            draw.shuffle(values)
        else:
            values += [value] * draw.choice((1, 1, 3))
        message.ClearField(field.name)
        getattr(message, field.name).extend(values)


def _value(draw: random.Random, field, message: Message) -> object:
    kind = field.cpp_type
    if kind in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE):
        return draw.choice(
            (
                0.0,
                -1.0,
                1.0,
                0.5,
                1e-30,
                1e30,
                -1e30,
                float("nan"),
                float("inf"),
                float("-inf"),
                3.0,
                1e6,
            )
        )
    if kind == field.CPPTYPE_BOOL:
        return draw.random() < 0.5
    if kind == field.CPPTYPE_ENUM:
        return draw.choice(field.enum_type.values).number
    if field.type == field.TYPE_BYTES:
        return draw.randbytes(draw.choice((0, 1, 30)))
    if kind == field.CPPTYPE_STRING:
        return draw.choice(
            (
                "",
                "x",
                "data",
                "label",
                "conv1",
                "é",
                "a/b",
                "../x",
                "y" * 300,
                "Python",
                "AUTO",
                "lmdb",
            )
        )
    low, high = {
        field.CPPTYPE_INT32: (-(1 << 31), (1 << 31) - 1),
        field.CPPTYPE_UINT32: (0, (1 << 32) - 1),
    }.get(kind, (-(1 << 63), (1 << 63) - 1))
    choice = draw.choice(
        (0, 1, 2, 3, 4, 7, 31, 100, 255, 4096, 65536, 1 << 20, high, high // 2, -1, -2, low)
    )
    return min(max(choice, low), high)


def spoil_bytes(draw: random.Random, data: bytes) -> bytes:
    """Cut short, bits flipped, a piece overwritten, doubled, moved or left out."""
    out = bytearray(data)
    kind = draw.randrange(7)
    if not out:
        return bytes(out)
    at = draw.randrange(
        min(len(out), draw.choice((64, 1024, len(out))))
    )  # most of what says how to read stands in front
    length = min(draw.choice((1, 4, 16, 300)), len(out) - at)
    if kind == 0:
        del out[at:]
    elif kind <= 3:
        for _ in range(draw.choice((1, 1, 2, 8))):
            out[draw.randrange(at, len(out)) if draw.random() < 0.3 else at] ^= 1 << draw.randrange(
                8
            )
    elif kind == 4:
        out[at : at + length] = draw.choice((b"\0", b"\xff", b"\x7f", draw.randbytes(1))) * length
    elif kind == 5:
        out[at:at] = out[at : at + length]
    else:
        del out[at : at + length]
    return bytes(out)


_STRING = r'"(?:[^"\\]|\\.)*"'
_VALUE = re.compile(rf"({_STRING}\s*:)|{_STRING}|-?\d+(?:\.\d+)?|\[(?=\d)[^\]]*\]")
_ODD_JSON = (
    "null",
    "true",
    "0",
    "-1",
    "0.5",
    "256",
    "NaN",
    "Infinity",
    "1e308",
    "1" + "0" * 400,
    "1" * 5000,
    '""',
    '"x"',
    r'"a\u0000b"',
    r'"\ud800"',
    r'"a\nb"',
    "{}",
    '{"id": 1}',
    "[]",
    "[0, 0]",
    "[1, 2, 3, null]",
    "[" * 100_000,
)


def spoil_json(draw: random.Random, text: str) -> str:
    """The text with other values in one to three places, or spoilt as any other bytes."""
    if draw.random() < 0.15:
        return spoil_bytes(draw, text.encode()).decode("utf-8", "replace")
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        places = [found for found in _VALUE.finditer(text) if not found[1]]  # no keys
        if not places:
            return text
        place = draw.choice(places)
        text = text[: place.start()] + draw.choice(_ODD_JSON) + text[place.end() :]
    return text
