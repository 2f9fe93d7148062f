"""Reading and writing text: the published files, every kind of mistake, exact round trips."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import text_format

import caffe_ir
from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import label_map, text
from ssd_common.errors import ParseError
from tests.support import NO_SHARED, ROOT, SHARED

WILD = SHARED / "reference" / "wild"
READERS = {"net": text.read_net, "solver": text.read_solver, "labelmap": label_map.read}


def _wild() -> list:
    if not WILD.is_dir():
        return [pytest.param(None, "", "", marks=pytest.mark.skip(reason=NO_SHARED))]
    with (WILD / "TRUTH.tsv").open() as file:
        return [
            pytest.param(WILD / row[0], row[1], row[2], id=row[0])
            for row in list(csv.reader(file, delimiter="\t"))[1:]
        ]


def _reference() -> list:
    files = sorted((SHARED / "reference" / "prototxt").glob("*/*.prototxt"))
    return [pytest.param(f, id=f"{f.parent.name}/{f.stem}") for f in files] or [
        pytest.param(None, marks=pytest.mark.skip(reason=NO_SHARED))
    ]


@pytest.mark.parametrize(("path", "kind", "what"), _wild())
def test_published_files_read_as_the_ssd_fork_reads_them(path: Path, kind: str, what: str) -> None:
    if kind != "error":
        message = READERS[kind](path)
        if kind == "net":
            assert isinstance(message, pb.NetParameter)
            assert len(message.layer) == int(what.split(maxsplit=1)[0])
            assert not message.layers
        return
    with pytest.raises(ParseError) as caught:
        text.read_net(path)
    lines = path.read_text().split("\n")
    # Layers of Faster R-CNN's own Caffe: the first field that the SSD fork does not know.
    offending = 1 + next(
        i
        for i, line in enumerate(lines)
        if "roi_pooling_param" in line or "smooth_l1_loss_param" in line
    )
    field = lines[offending - 1].split()[0]
    assert str(caught.value).startswith(
        f"{path}:{offending}:3: LayerParameter has no field '{field}'"
    )
    assert (caught.value.line, caught.value.column) == (offending, 3)


@pytest.mark.parametrize("path", _reference())
def test_writing_and_reading_again_is_identity(path: Path, tmp_path: Path) -> None:
    cls = pb.SolverParameter if "solver" in path.stem else pb.NetParameter
    message = text.read(path, cls)
    assert text.parse(text.dumps(message), cls) == message
    text.write(message, tmp_path / "copy.prototxt")
    assert text.read(tmp_path / "copy.prototxt", cls) == message


def test_dumps_is_protobufs_own_text() -> None:
    net = pb.NetParameter(name='a"\n\\é', force_backward=True)
    layer = net.layer.add(type="Pooling", top=["x", "y"])
    layer.pooling_param.pool = pb.PoolingParameter.AVE
    layer.blobs.add(
        data=[0.0, -0.0, 0.0, float("nan"), float("-inf"), 1e-30, 0.1, 3],
        double_data=[-0.0, 0.0, 0.1],
        diff=[],
    )
    layer.softmax_param.SetInParent()
    assert text.dumps(net) == text_format.MessageToString(net, as_utf8=True)


def test_floats_are_written_as_the_shortest_decimal() -> None:
    solver = pb.SolverParameter(
        base_lr=0.1,
        gamma=1 / 3,
        momentum=1,
        weight_decay=5e-4,
        clip_gradients=1e-12,
        delta=16777216.0,
    )
    written = {line.split(": ")[0]: line.split(": ")[1] for line in text.dumps(solver).splitlines()}
    assert written["base_lr"] == "0.1"
    assert written["gamma"] == "0.33333334"
    assert float(written["momentum"]) == 1
    assert written["weight_decay"] == "0.0005"
    assert written["clip_gradients"] == "1e-12"
    assert text.parse(text.dumps(solver), pb.SolverParameter) == solver


def test_caffes_style() -> None:
    net = pb.NetParameter(name="né")
    layer = net.layer.add(name="a", type="ReLU")
    layer.relu_param.negative_slope = 0.5
    assert text.dumps(net) == (
        'name: "né"\nlayer {\n  name: "a"\n  type: "ReLU"\n  '
        "relu_param {\n    negative_slope: 0.5\n  }\n}\n"
    )


NO_LAYER = (
    "LayerParameter has no field 'layer' (it is a field of NetParameter: is a '}' missing above?)"
)
NO_OUTPUT = "ConvolutionParameter has no field 'num_ouput' (did you mean 'num_output'?)"
NO_MAXX = "no PoolingParameter.PoolMethod 'MAXX' (did you mean 'MAX'?)"
MISTAKES = [
    ("misspelt field", "layer {\n  convolution_param {\n    num_ouput: 8 } }", f"3:5: {NO_OUTPUT}"),
    (
        "misspelt field of the net",
        'nmae: "x"',
        "1:1: NetParameter has no field 'nmae' (did you mean 'name'?)",
    ),
    (
        "field of another file",
        "base_lr: 0.1",
        "1:1: NetParameter has no field 'base_lr' (it is a field of SolverParameter)",
    ),
    ("misspelt enum value", "layer { pooling_param { pool: MAXX } }", f"1:31: pool: {NO_MAXX}"),
    (
        "enum number",
        "layer { pooling_param { pool: 7 } }",
        "1:31: pool: no PoolingParameter.PoolMethod '7' (one of MAX, AVE, STOCHASTIC)",
    ),
    (
        "word for a number",
        "layer { convolution_param { num_output: many } }",
        "1:41: num_output: couldn't parse integer: many",
    ),
    (
        "fraction for a count",
        "layer { convolution_param { num_output: 8.5 } }",
        "1:41: num_output: couldn't parse integer: 8.5",
    ),
    (
        "negative size",
        "layer { convolution_param { num_output: -8 } }",
        "1:41: num_output: value out of range: -8",
    ),
    ("bare word for text", "name: net", "1:7: name: expected string but found: 'net'"),
    (
        "neither true nor false",
        "force_backward: yes",
        '1:17: force_backward: expected "true" or "false"',
    ),
    ("field twice", 'name: "a"\nname: "b"', "2:7: NetParameter has 'name' twice, but takes one"),
    ("no colon", 'name "a"', '1:6: expected ":"'),
    ("brace left open", 'layer {\n  name: "}" # }\n', "1:7: '{' is never closed"),
    ("inner brace left open", "layer {\n  relu_param {\n", "2:14: '{' is never closed"),
    ("brace left open before the next layer", 'layer { name: "a"\nlayer { }', f"2:1: {NO_LAYER}"),
    ("brace too many", "layer { } }", "1:11: '}' without a '{'"),
    ("quote left open", 'name: "a\nlayer { }', "1:7: name: string has no closing quote"),
    (
        "no such escape",
        'name: "C:\\data"',
        "1:10: strings have no escape '\\d'; write a backslash as '\\\\'",
    ),
    ("web page", "<!DOCTYPE html>", "1:1: expected identifier or number, got <"),
]


@pytest.mark.parametrize(
    ("source", "said"), [pytest.param(*case[1:], id=case[0]) for case in MISTAKES]
)
def test_a_mistake_is_one_line_with_its_place(tmp_path: Path, source: str, said: str) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(source)
    with pytest.raises(ParseError) as caught:
        text.read_net(path)
    assert str(caught.value) == f"{path}:{said}"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b" \r\n\t", "is empty"),
        (b"\x0a\x03net\x00\x01", "is a binary file, not a NetParameter in text"),
        (b'name: "\xff"', "1:7: name: string is not UTF-8"),
        *(
            (b'# \\0\nname: "a%sb"' % zero, "2:9: a string may not have a zero byte, as no path")
            for zero in (rb"\0", rb"\000", rb"\x00", rb"\u0000")
        ),
    ],
)
def test_files_that_are_no_text(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "net.prototxt"
    path.write_bytes(data)
    with pytest.raises(ParseError, match=said):
        text.read_net(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(ParseError, match=r"none\.prototxt: No such file or directory"):
        text.read_net(tmp_path / "none.prototxt")
    with pytest.raises(ParseError, match="Is a directory"):
        text.read_net(tmp_path)


@pytest.mark.parametrize(
    "data",
    [
        b'\xef\xbb\xbfname: "x"',
        b'# \xd6\xd0\xce\xc4 in GBK, "one quote\nname: "x"\n',
        b"name: 'x' # \\q is no escape, but in a comment\r\n",
        b'name: "\\x78"',
        b'name: "" "x"',
        b'name: "x"; force_backward: true,',
    ],
)
def test_what_caffe_reads_too(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "net.prototxt"
    path.write_bytes(data)
    assert text.read_net(path).name == "x"


def test_modules_load_when_first_named() -> None:
    """In a process of its own: here the other tests have imported them."""
    code = (
        "import caffe_ir as c; c.text.read_net, c.binary.read_weights, c.walk.walk, c.rules.facts"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    with pytest.raises(AttributeError, match="'caffe_ir' has no attribute 'texts'"):
        _ = caffe_ir.texts
