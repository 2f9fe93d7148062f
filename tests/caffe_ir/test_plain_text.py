"""The fast reader of plain text: what it takes, text_format reads as the same message."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from google.protobuf import text_format
from google.protobuf.message import Message

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from caffe_ir.plain_text import read_plain
from tests.support import ROOT

CASES = 3000
NETS = sorted((ROOT / "prototxt").glob("*/train.prototxt"))
SOURCE = """# a net
name: 'n' input: "data" input_shape { dim: 1 dim: 3 dim: 8 dim: 8 }
layer {
  name: "c"  # of the net
  type: "Convolution" bottom: "data" top: "c"
  param { lr_mult: 1.5 decay_mult: 0 } include { phase: TRAIN }
  convolution_param: { num_output: 8 pad: 1 kernel_size: 3 bias_term: true
    weight_filler { type: "xavier" std: -1e-3 } engine: CAFFE }
}
layer { name: "p" type: "Pooling" bottom: "c" top: "p" pooling_param { pool: MAX stride: 2 } }
layer { name: "m" type: "Data" top: "m" transform_param { mean_value: 104 mean_value: 117 } }
"""
JUNK = (
    *('"', "'", "{", "}", "[", "]", "<", ">", ":", ",", ";", "#", "\\", "\n", "\r", " ", "\t"),
    *("\0", "é", "\u2028", "\udc80", "\x1c", "-", "+", ".", "0", "1", "9" * 25, "0x1f", "007"),
    *("-0", ".5", "1.", "1e5", "1f", "inf", "-inf", "nanf", "true", "t", "1e999", "-1", "TRAIN"),
    *('name: "a" "b"', "dim: [1, 2]", "top: []", "include <", "pad: 08", "pad: 1_0", "pad:1"),
    *("bias_term: f", "lr_mult: 1.5.5", "lr_mult: 00.5", "lr_mult: +1", "lr_mult: Infinity"),
    *("kernel_size: -1", "kernel_size: 4294967296", "convolution_param { }", 'data: "\\001"'),
    *('# c "', "top: 'q'", "pool: MAX-1", "num_output-1: 2", "mean_value: 1e40", "[x.y]: 1"),
    *("blobs { data: 1 }", 'top: "a\rb"', "phase: 7", "phase: 0", 'name: "日本"', "layer: {"),
    *("name", 'top: "a" # b', "top:\n'a'", "pad :1", "top :'a'", "input_shape"),
)


def changed(source: str, rng: random.Random) -> str:
    """The text with words or characters put in, left out, replaced or doubled."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        at, to = sorted(rng.randrange(len(source) + 1) for _ in range(2))
        how = rng.randrange(4)
        if how == 0:
            source = source[:at] + rng.choice(JUNK) + source[at:]
        elif how == 1:
            source = source[:at] + source[min(to, at + 12) :]
        elif how == 2:
            words = re.split(r"(\W)", source)
            words[rng.randrange(len(words))] = rng.choice(JUNK)
            source = "".join(words)
        else:
            source = source[:to] + source[at : at + 30] + source[to:]
    return source


def read(source: str, cls: type[Message] = pb.NetParameter) -> Message | None:
    message = cls()
    if read_plain(source, message):
        return message
    return None


@pytest.mark.parametrize("seed", range(2))
def test_changed_texts_are_left_alone_or_read_as_protobuf_reads_them(seed: int) -> None:
    rng = random.Random(seed)
    taken = 0
    for _ in range(CASES):
        source = changed(SOURCE, rng)
        message = read(source)
        if message is None:
            continue
        taken += 1
        right = text_format.Parse(source, pb.NetParameter())
        assert message.SerializeToString() == right.SerializeToString(), source
    assert taken > CASES / 25


def test_the_committed_nets_are_plain() -> None:
    left = [path for path in NETS if read(path.read_text()) is None]
    assert all("\\" in path.read_text() for path in left)
    assert len(left) < len(NETS) / 10


@pytest.mark.parametrize("path", NETS[:: len(NETS) // 8], ids=lambda path: path.parent.name)
def test_committed_nets_are_read_as_protobuf_reads_them(path: Path) -> None:
    right = text_format.Parse(path.read_text(), pb.NetParameter())
    assert text.parse(path.read_text(), pb.NetParameter) == right


def test_plain_text_needs_no_slow_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    right = text_format.Parse(SOURCE, pb.NetParameter())
    monkeypatch.setattr(text_format, "Parse", None)
    assert text.parse(SOURCE, pb.NetParameter) == right


@pytest.mark.parametrize(
    "source",
    [
        *("name: 1", "name: n", "name { }", 'layer: "l"', "layer: 1", "force_backward: 2"),
        *('name: "a" name: "b"', "state { } state { }", "input_dim: 1 }", "layer {"),
        *('name: "a', 'name: "a\nb"', 'name: "\udc80"', "input_dim: 2147483648", "inptu: 'a'"),
        *("input_dim: 1.5", "input_dim: 'x'", "state { phase: NONE }", "layer { name }"),
        *("name", "name:", "name: #", "input_dim: 1x", "input_dim: -", "input-dim: 1"),
    ],
)
def test_no_error_is_its_own(source: str) -> None:
    with pytest.raises(text_format.ParseError):
        text_format.Parse(source, pb.NetParameter())
    assert read(source) is None


def test_bytes_are_left_to_protobuf() -> None:
    assert read('data: "x"', pb.Datum) is None
    assert text.parse('data: "\xff"', pb.Datum).data == "\xff".encode()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", pb.NetParameter()),
        ("# nothing  \n \n", pb.NetParameter()),
        ("state { } # end", pb.NetParameter(state=pb.NetState())),
        ("state:{phase:TEST}", pb.NetParameter(state=pb.NetState(phase=pb.TEST))),
        ("state { phase: 1 }", pb.NetParameter(state=pb.NetState(phase=pb.TEST))),
        ("name: 'a # \"b\"'#c", pb.NetParameter(name='a # "b"')),
        ('name: "日本"\r\nforce_backward:true', pb.NetParameter(name="日本", force_backward=True)),
        ("input_dim: 0x10 input_dim: 010 input_dim: -1", pb.NetParameter(input_dim=[16, 8, -1])),
    ],
)
def test_values(source: str, message: Message) -> None:
    found = read(source)
    assert found is not None
    assert found.SerializeToString() == message.SerializeToString()
