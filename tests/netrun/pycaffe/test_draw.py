"""caffe.draw: nets as graphs, with pydot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import netrun
from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from netrun.pycaffe import draw
from ssd_common.errors import CaffeError
from tests.netrun.small_nets import data, layer
from tests.support import ROOT, needs_caffe

NET = (
    'name: "a net: \\"x\\""\n'
    + data("d:1", 1, 3, 8, 8)
    + layer(
        "Convolution",
        "d:1",
        "c",
        "convolution_param { num_output: 4 kernel_h: 3 kernel_w: 1 pad: 1 }",
        name="conv",
    )
    + layer("ReLU", "c", "c", name="relu")
    + layer(
        "Pooling", "c", "p", "pooling_param { pool: AVE kernel_size: 2 stride: 2 }", name="pool"
    )
    + layer("Accuracy", "p d:1", "a", "include { phase: TEST }", name="accuracy")
)
DOT = """#!/bin/sh
[ "$1" = -Tpng ] && printf picture
"""


@pytest.fixture
def net() -> pb.NetParameter:
    return text.parse(NET, pb.NetParameter)


def test_layers_and_blobs_are_nodes(net: pb.NetParameter) -> None:
    pytest.importorskip("pydot", reason="caffe.draw needs pydot")
    graph = draw.get_pydot_graph(net, "LR")
    labels = [node.get("label") for node in graph.get_nodes()]
    assert labels[:4] == ['"d:1"', '"c"', '"p"', '"a"']
    assert labels[5:8] == [
        r'"conv\n(Convolution)\nkernel size: 3 x 1\nstride: 1\npad: 1"',
        r'"relu\n(ReLU)"',
        r'"pool\n(AVE Pooling)\nkernel size: 2\nstride: 2\npad: 0"',
    ]
    edges = [
        (edge.get_source(), edge.get_destination(), edge.get("label")) for edge in graph.get_edges()
    ]
    assert ('"1 layer"', '"c blob"', '"4"') in edges
    assert {('"c blob"', '"2 layer"', None), ('"2 layer"', '"c blob"', '""')} <= set(
        edges
    )  # in place
    trained = draw.get_pydot_graph(net, "TB", label_edges=False, phase=netrun.TRAIN)
    assert len(trained.get_nodes()) == len(labels) - 2
    assert '"pool (AVE Pooling) kernel size: 2 stride: 2 pad: 0"' in [
        node.get("label") for node in trained.get_nodes()
    ]


def test_files(net: pb.NetParameter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pydot", reason="caffe.draw needs pydot")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    draw.draw_net_to_file(net, "net.raw")
    assert Path("net.raw").read_text().startswith(r'digraph "a net: \"x\""')
    with pytest.raises(CaffeError, match="needs Graphviz's program dot"):
        draw.draw_net_to_file(net, "net.png")
    Path("dot").write_text(DOT)
    Path("dot").chmod(0o755)
    draw.draw_net_to_file(net, "net.png")
    assert Path("net.png").read_text() == "picture"
    with pytest.raises(CaffeError, match="Graphviz draws no 'gpn'"):
        draw.draw_net_to_file(net, "net.gpn")
    assert sorted(os.listdir()) == ["dot", "net.png", "net.raw"]


def test_without_pydot_one_line_names_it(
    net: pb.NetParameter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pydot", None)
    with pytest.raises(CaffeError, match=r"caffe.draw needs pydot: pip install pydot"):
        draw.draw_net(net, "LR")


@needs_caffe
def test_the_forks_draw_net_runs(tmp_path: Path) -> None:
    pytest.importorskip("pydot", reason="caffe.draw needs pydot")
    (tmp_path / "net.prototxt").write_text(NET)
    script = Path(os.environ["CAFFE_ROOT"], "python/draw_net.py")
    command = [
        sys.executable,
        "-m",
        "netrun",
        "python",
        str(script),
        "net.prototxt",
        "net.raw",
        "--phase",
        "TEST",
    ]
    subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)
    assert "(Accuracy)" in (tmp_path / "net.raw").read_text()


def test_labels_show_learning_rates_where_asked() -> None:
    words = "param { lr_mult: 1 } param { lr_mult: 2 } convolution_param { num_output: 4 }"
    net = text.parse(layer("Convolution", "x", "c", words), pb.NetParameter)
    learns, pooled = net.layer[0], pb.LayerParameter(name="p", type="Pooling")
    assert "lr mult" not in draw.get_layer_label(learns, "TB")
    assert draw.get_layer_label(learns, "TB", True).endswith(" lr mult: 1.0, 2.0")
    assert draw.get_layer_label(pooled, "TB", True) == draw.get_layer_label(pooled, "TB")
    del learns.param[1]
    assert draw.get_layer_lr_mult(learns) == (1, 1)
    learns.param[0].lr_mult = 0
    assert draw.get_layer_lr_mult(learns) == (0, 1)
    learns.param.add(lr_mult=0)
    assert "lr mult" not in draw.get_layer_label(learns, "TB", True)
    with pytest.raises(ValueError, match="Pooling layers do not have"):
        draw.get_layer_lr_mult(pooled)


def test_a_picture_takes_display_lrm(tmp_path: Path) -> None:
    pytest.importorskip("pydot")
    net = text.parse(layer("InnerProduct", "x", "c"), pb.NetParameter)
    draw.draw_net_to_file(net, str(tmp_path / "net.raw"), "TB", None, True)
    assert "lr mult: 1.0, 1.0" in (tmp_path / "net.raw").read_text()
