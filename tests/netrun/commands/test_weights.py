"""`netrun weights`: what it shows of files, what it makes of them, and what it says where that
cannot be.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import netrun
from caffe_ir import binary
from caffe_ir import caffe_ir_pb2 as pb
from netrun.cli import main
from netrun.weights import files
from ssd_common.errors import CaffeError
from tests.netrun.small_nets import build, data, layer
from tests.support import SHARED, needs_shared

CONV = 'convolution_param { num_output: %d kernel_size: 3 weight_filler { type: "%s" } }'
OLD = (
    data("x", 1, 2, 8, 8)
    + layer("Convolution", "x", "c", CONV % (4, "xavier"))
    + layer("ReLU", "c", "r")
)
HEADS = layer("Convolution", "r", "loc", CONV % (6, "xavier")) + layer(
    "Convolution", "r", "conf", CONV % (21, "msra")
)
DATA = """layer { name: "data" type: "AnnotatedData" top: "x" top: "label"
  data_param { source: "nowhere" batch_size: 2 }
  transform_param { resize_param { prob: 1 height: 8 width: 8 } } }
"""
NEW = (
    DATA
    + layer("Slice", "x", "two one", name="cut", fields="slice_param { slice_point: 2 }")
    + layer("Silence", "one label", "", name="hush").replace('top: ""', "")
)
NEW += layer("Convolution", "two", "stem", CONV % (4, "xavier")) + layer("ReLU", "stem", "r")
NEW += HEADS.replace("num_output: 21", "num_output: 9") + layer(
    "Convolution", "r", "extra", CONV % (3, "gaussian")
)


@pytest.fixture(autouse=True)
def old_files(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    build(OLD + HEADS, netrun.TEST).save("old.caffemodel")
    Path("new.prototxt").write_text(NEW)


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    main(["weights", "list", "old.caffemodel"])
    assert capsys.readouterr().out.splitlines() == [
        "c     Convolution  (4 2 3 3) (4)     76",  # 4 * 18 + 4
        "loc   Convolution  (6 4 3 3) (6)    222",  # 6 * 36 + 6
        "conf  Convolution  (21 4 3 3) (21)  777",  # 21 * 37
        "3 layers with parameters, 1,075 values",
    ]


def test_fit_copies_what_fits_and_names_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    """For another number of classes, under other names, and without the net's own data."""
    status = main(
        [
            "weights",
            "fit",
            "--model",
            "new.prototxt",
            "--weights",
            "old.caffemodel",
            "--rename",
            "c=stem",
            "--out",
            "new.caffemodel",
        ]
    )
    assert (status, capsys.readouterr().out.splitlines()) == (
        0,
        [
            "conf: filled anew: is (9 4 3 3) (9) in the net, (21 4 3 3) (21) in old.caffemodel",
            "extra: filled anew: is in none of the files",
            "new.caffemodel: 2 of 4 layers with parameters copied, 2 filled anew",
        ],
    )
    old, new = files.read("old.caffemodel"), files.read("new.caffemodel")
    for mine, theirs in (("stem", "c"), ("loc", "loc")):
        for a, b in zip(new[mine], old[theirs], strict=True):
            np.testing.assert_array_equal(a, b)
    assert new["conf"][0].std() == pytest.approx((2 / 36) ** 0.5, rel=0.2)  # msra: fan in 4 * 3 * 3
    saved = binary.read_weights("new.caffemodel").layer[0]
    assert (saved.type, saved.data_param.source) == ("AnnotatedData", "nowhere")


def test_fit_takes_layers_from_several_files(capsys: pytest.CaptureFixture[str]) -> None:
    changed = build(OLD.replace('"c"', '"other"') + HEADS, netrun.TEST, seed=1)
    changed.save("late.caffemodel.h5")
    main(
        [
            "weights",
            "fit",
            "--model",
            "new.prototxt",
            "--weights",
            "old.caffemodel,late.caffemodel.h5",
            "--out",
            "new.caffemodel.h5",
        ]
    )
    said = capsys.readouterr().out
    assert "not in the net: c, other\n" in said
    assert "stem: filled anew: is in none of the files" in said
    np.testing.assert_array_equal(
        files.read("new.caffemodel.h5")["loc"][0], changed.params["loc"][0].data
    )


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("fit --model new.prototxt --weights old.caffemodel", "weights fit needs --out"),
        (
            "fit --model new.prototxt --weights old.caffemodel --out o --rename d=stem",
            "no file has a layer 'd'",
        ),
        (
            "fit --model new.prototxt --weights old.caffemodel --out o --rename c=stm",
            r"no layer 'stm' of the net .*did you mean 'stem'",
        ),
        (
            "fit --model new.prototxt --weights strange.caffemodel --out o",
            "no layer fits new.prototxt; nothing written",
        ),
        (
            "fit --model lmdb.prototxt --weights old.caffemodel --out o",
            "lmdb.prototxt: layer 'd'.*such as deploy.prototxt, will do",
        ),
        ("diff old.caffemodel", "takes 2 files, not 1"),
        ("list none.caffemodel", "none.caffemodel: No such file"),
        (
            "convert shared.h5 --out o.caffemodel",
            "layer 'b' shares parameters, which only its net knows",
        ),
        ("lst old.caffemodel", "'lst' is not one of list, fit"),
    ],
)
def test_what_cannot_be_is_said(command: str, said: str) -> None:
    binary.write(
        pb.NetParameter(
            layer=[pb.LayerParameter(name="z", blobs=[files.blob_message(np.zeros(3))])]
        ),
        "strange.caffemodel",
    )
    Path("lmdb.prototxt").write_text(
        'layer { name: "d" type: "Data" top: "x" data_param { source: "nowhere" batch_size: 2 } }'
    )
    named = 'param { name: "w" } inner_product_param { num_output: 3 }'
    build(
        data("x", 1, 3)
        + layer("InnerProduct", "x", "a", named)
        + layer("InnerProduct", "a", "b", named)
    ).save("shared.h5")
    with pytest.raises(CaffeError, match=said):
        main(["weights", *command.split()])
    assert not Path("o").exists()
    assert not Path("o.caffemodel").exists()


@needs_shared
def test_convert_there_and_back_is_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """A file that Caffe wrote, through HDF5."""
    start = str(SHARED / "golden/solver/adam/init.caffemodel")
    main(["weights", "convert", start, "--out", "w.caffemodel.h5"])
    main(["weights", "convert", "w.caffemodel.h5", "--out", "w.caffemodel"])
    capsys.readouterr()
    assert main(["weights", "diff", start, "w.caffemodel"]) == 0
    assert capsys.readouterr().out == "the same weights\n"
    assert files.read("w.caffemodel").keys() == files.read(start).keys()


def test_diff(capsys: pytest.CaptureFixture[str]) -> None:
    net = build(
        OLD + HEADS.replace("num_output: 21", "num_output: 9").replace('"loc"', '"place"'),
        netrun.TEST,
    )
    net.params["c"][0].data[...] = files.read("old.caffemodel")["c"][0]
    net.params["c"][1].data[1] = 0.5
    net.save("other.caffemodel")
    assert main(["weights", "diff", "old.caffemodel", "other.caffemodel"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "loc: only in old.caffemodel",
        "place: only in other.caffemodel",
        "c: blob 1: up to 0.5 apart, 25% of the values; the greatest is 0.5",
        "conf: blob 0: (21 4 3 3) against (9 4 3 3)",
        "conf: blob 1: (21) against (9)",
    ]


def _named(path: str, name: bytes) -> None:
    """Write a file of weights with one layer of this name, which may be no text."""
    net = pb.NetParameter()
    stored = net.layer.add(name="x" * len(name), type="Convolution")
    stored.blobs.append(files.blob_message(np.zeros(2, np.float32)))
    content = net.SerializeToString().replace(b"x" * len(name), name)
    Path(path).write_bytes(content)


@pytest.mark.parametrize(
    "words",
    [
        ["list", "odd.caffemodel"],
        ["diff", "odd.caffemodel", "old.caffemodel"],
        ["convert", "odd.caffemodel", "--out", "new.caffemodel.h5"],
    ],
)
def test_a_name_that_is_no_text(words: list[str]) -> None:
    _named("odd.caffemodel", b"\xff\xfename")
    with pytest.raises(CaffeError, match=r"odd.caffemodel: layer\[0\]: its name is not UTF-8"):
        main(["weights", *words])


def test_an_old_layers_name_that_is_no_text() -> None:
    net = pb.NetParameter()
    net.layers.add(name="xxxx")
    Path("odd.caffemodel").write_bytes(net.SerializeToString().replace(b"xxxx", b"\xff\xfeab"))
    with pytest.raises(CaffeError, match="a text in its layers is not UTF-8"):
        main(["weights", "list", "odd.caffemodel"])


def test_a_name_that_hdf5_cannot_hold() -> None:
    _named("odd.caffemodel", b"a\0b")
    with pytest.raises(CaffeError, match="its name contains a zero byte"):
        main(["weights", "convert", "odd.caffemodel", "--out", "new.caffemodel.h5"])


@pytest.mark.parametrize(("name", "shown"), [(b"", "''"), (b"a\x1b[31mb\nc", "a·[31mb·c")])
def test_names_that_a_terminal_cannot_show(
    name: bytes, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _named("odd.caffemodel", name)
    assert main(["weights", "list", "odd.caffemodel"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"{shown}  Convolution  (2)  2"
    assert main(["weights", "diff", "odd.caffemodel", "old.caffemodel"]) == 1
    assert f"{shown}: only in odd.caffemodel" in capsys.readouterr().out.splitlines()
