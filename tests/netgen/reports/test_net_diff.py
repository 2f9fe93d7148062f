"""The lines of `netgen diff`."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffe_ir import binary, text
from caffe_ir import caffe_ir_pb2 as pb
from netgen.cli import main
from netgen.reports.net_diff import diff
from ssd_common.errors import CaffeError

NET = """name: "n"
    layer {
      name: "data" type: "Input" top: "data"
      input_param { shape { dim: [1, 3, 8, 8] } }
    }
    layer {
      name: "c" type: "Convolution" bottom: "data" top: "c"
      convolution_param { num_output: 2 kernel_size: 3 }
    }
    layer { name: "r" type: "ReLU" bottom: "c" top: "c" }"""


def net(change: str = "") -> str:
    """NET, its first OLD replaced as in "OLD => NEW"."""
    old, _, new = change.partition(" => ")
    assert old in NET
    return NET.replace(old, new, 1)


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        ("", []),
        ('"n" => "m"', []),
        (
            '"ReLU" => "PReLU"',
            [
                "~ PReLU r",
                "type: ReLU -> PReLU",
                "parameters: none -> 2",
                "parameters: 56 -> 58 (+2)",
            ],
        ),
        # 2 x 3 x 3 x 3 + 2 = 56; 2 x 3 x 5 x 5 + 2 = 152; 6² x 2 x 27 and 4² x 2 x 75 multiply-adds
        (
            "kernel_size: 3 => kernel_size: 5",
            [
                "~ Convolution c",
                "convolution_param.kernel_size: 3 -> 5",
                "shape of c: 1x2x6x6 -> 1x2x4x4",
                "parameters: 2x3x3x3, 2 -> 2x3x5x5, 2",
                "parameters: 56 -> 152 (+96)",
                "multiply-adds: 1,944 -> 2,400 (+456)",
            ],
        ),
        ('"r" => "s"', ["- ReLU r 1x2x6x6", "+ ReLU s 1x2x6x6"]),
        (
            "1, 3, 8, 8 => 1, 3, 9, 8",
            ["shape of data: 1x3x8x8 -> 1x3x9x8", "shape of c: 1x2x6x6 -> 1x2x7x6"],
        ),
    ],
)
def test_prototxt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: str, lines: list[str]
) -> None:
    a = tmp_path / "a.prototxt"
    b = tmp_path / "b.prototxt"
    a.write_text(net())
    b.write_text(net(change))
    assert main(["diff", str(a), str(b)]) == int(bool(lines)), "exit status as diff's"
    out = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert set(lines) <= set(out)
    assert bool(out) == bool(lines)


def test_another_order(tmp_path: Path) -> None:
    layers = [f'layer {{ name: "{n}" type: "ReLU" bottom: "data" top: "{n}" }}' for n in "xy"]
    for name, order in (("a", layers), ("b", layers[::-1])):
        (tmp_path / name).write_text('input: "data" input_shape { dim: [1, 1] } ' + " ".join(order))
    assert diff(str(tmp_path / "a"), str(tmp_path / "b")).splitlines() == [
        "~ another order, from layer x on"
    ]


def test_ids() -> None:
    out = diff("ssd300_coco", "ssd300_voc0712").splitlines()
    assert "  parameters: 34,305,206 -> 26,285,486 (-8,019,720)" in out
    assert "    convolution_param.num_output: 324 -> 84" in out
    assert diff("fssd300", "fssd300_voc0712") == ""
    assert "interp_param" not in diff("fssd300", "fssd300_voc0712_plus_bottleneck", target="fssd")


def weights(path: Path, net: pb.NetParameter, value: float, shape: tuple[int, ...]) -> str:
    written = pb.NetParameter(name=net.name)
    layer = written.layer.add(name="c", type="Convolution")
    layer.blobs.add(data=[value] * 54, shape={"dim": shape})
    layer.blobs.add(data=[0, 0], shape={"dim": [2]})
    binary.write(written, path)
    return str(path)


def test_caffemodels(tmp_path: Path) -> None:
    proto = text.parse(net(), pb.NetParameter)
    (tmp_path / "n.prototxt").write_text(net())
    a = weights(tmp_path / "a.caffemodel", proto, 1, (2, 3, 3, 3))
    assert diff(a, a) == ""
    assert diff(a, str(tmp_path / "n.prototxt")) == ""
    b = weights(tmp_path / "b.caffemodel", proto, 2, (2, 3, 3, 3))
    assert diff(a, b) == "~ c other values"
    c = weights(tmp_path / "c.caffemodel", proto, 1, (2, 27, 1, 1))
    assert diff(a, c) == "~ c 2x3x3x3, 2 -> 2x27x1x1, 2"
    out = diff(a, "ssd300").splitlines()
    assert out[0] == "- c 2x3x3x3, 2"
    assert "+ conv1_1 64x3x3x3, 64" in out


def test_what_is_not_there() -> None:
    with pytest.raises(CaffeError, match="no detector 'sdd300'"):
        diff("sdd300", "ssd300")
    with pytest.raises(CaffeError, match=r"nowhere\.caffemodel"):
        diff("nowhere.caffemodel", "ssd300")
