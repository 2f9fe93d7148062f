"""Weights that do not belong to a net never pass in silence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import netrun
from caffe_ir import binary
from caffe_ir import caffe_ir_pb2 as pb
from netrun.engine.engine import Engine
from netrun.engine.transfer import fit_weights
from netrun.weights.files import blob_message
from ssd_common.errors import CaffeError
from tests.netrun.logged import log_lines

Lines = list[tuple[str, str]]
CONV = """layer {{
  name: "{name}" type: "Convolution" bottom: "x" top: "{name}"
  convolution_param {{ num_output: 1 kernel_size: 1 bias_term: false {filler} }}
  {share}
}}
"""
MISSING = "no parameters for the net's layers b, which keep what their fillers gave"
INPUT = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 2 } } }\n'


def net_text(*names: str, share: str = "") -> str:
    filler = 'weight_filler { type: "constant" value: 7 }'
    text = INPUT.replace("dim: 2 }", "dim: 2 dim: 3 dim: 3 }")
    return text + "".join(CONV.format(name=name, filler=filler, share=share) for name in names)


def write(path: Path, **values: float) -> str:
    """A file of weights: each layer has one blob of two equal values."""
    saved = pb.NetParameter()
    for name, value in values.items():
        saved.layer.add(name=name).blobs.add().CopyFrom(blob_message(np.full((1, 2, 1, 1), value)))
    binary.write(saved, path)
    return str(path)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("net.prototxt").write_text(net_text("a", "b"))
    return tmp_path


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Level and text of what is logged."""
    with log_lines(lambda record: (record.levelname, record.getMessage())) as found:
        yield found


def test_weights_of_another_net_stop(folder: Path) -> None:
    path = write(folder / "w.caffemodel", other=1, a_1=2)
    for read in (
        lambda: netrun.Net("net.prototxt", netrun.TEST, path),
        lambda: netrun.Net("net.prototxt", netrun.TEST).copy_from(path),
        lambda: netrun.time("net.prototxt", path, iterations=1),
        lambda: netrun.test("net.prototxt", [path], iterations=1),
    ):
        with pytest.raises(CaffeError) as error:
            read()
        assert str(error.value) == (
            f"{path}: these weights belong to another net: none of its layers has parameters "
            "in them (layers a, b of the net, other, a_1 of the file); "
            "`netrun weights fit --rename` takes those that have other names"
        )


def test_layers_that_no_file_has_are_named(folder: Path, lines: Lines) -> None:
    path = write(folder / "w.caffemodel", a=1, c=2)
    net = netrun.Net("net.prototxt", netrun.TEST, path)
    assert lines == [
        ("INFO", "Ignoring source layer c"),
        ("WARNING", f"{path}: {MISSING}"),
    ]
    assert net.params["b"][0].data.ravel().tolist() == [7, 7]


def test_a_second_file_fills_the_rest(folder: Path, lines: Lines) -> None:
    first = write(folder / "1.caffemodel", a=1)
    second = write(folder / "2.caffemodel", b=2)
    netrun.test("net.prototxt", [first, second], iterations=1)
    assert not [text for _, text in lines if "fillers" in text]
    net = netrun.Net("net.prototxt", netrun.TEST, first)
    del lines[:]
    net.copy_from(second)
    assert lines == []


def test_shared_parameters_are_there_once_one_layer_has_them(folder: Path, lines: Lines) -> None:
    Path("net.prototxt").write_text(net_text("a", "b", share='param { name: "w" }'))
    netrun.Net("net.prototxt", netrun.TEST, write(folder / "w.caffemodel", b=1))
    assert lines == []


def test_a_net_without_parameters_takes_any_file(folder: Path) -> None:
    Path("net.prototxt").write_text(net_text())
    path = write(folder / "w.caffemodel", a=1)
    assert netrun.Net("net.prototxt", netrun.TEST).copy_from(path) == ["a"]


def test_solver_stops_and_warns(folder: Path, lines: Lines) -> None:
    loss = 'layer { name: "l" type: "Reduction" bottom: "a" top: "l" loss_weight: 1 }'
    Path("net.prototxt").write_text(net_text("a", "b") + loss)
    Path("solver.prototxt").write_text(
        'net: "net.prototxt" test_iter: 1 test_interval: 9 base_lr: 0.1 lr_policy: "fixed" '
        'max_iter: 1 snapshot_prefix: "s" solver_mode: CPU'
    )
    solver = netrun.Solver("solver.prototxt")
    del lines[:]
    solver.copy_from(write(folder / "w.caffemodel", a=1, c=2))
    ignoring = ("INFO", "Ignoring source layer c")
    assert lines[1:3] == [ignoring, ignoring]  # the train net's and the test net's, as in Caffe
    assert [text for level, text in lines[3:] if level == "WARNING"] == [
        f"{folder}/w.caffemodel: {MISSING}"
    ]
    with pytest.raises(CaffeError, match="another net"):
        solver.copy_from(write(folder / "no.caffemodel", z=1))


PRIORS = """layer {{
  name: "{name}" type: "PriorBox" bottom: "a" bottom: "x" top: "{name}"
  prior_box_param {{ {priors} }}
}}
"""
VOC = "min_size: 30 max_size: 60 aspect_ratio: 2 step: 8"
COCO = "min_size: 21 max_size: 45 aspect_ratio: 2 step: 8"


def with_boxes(priors: str, *more: str) -> str:
    layers = [PRIORS.format(name=f"p{i}", priors=text) for i, text in enumerate((priors, *more))]
    return net_text("a") + "".join(layers)


def loaded(folder: Path, stored: str, own: str, name: str = "w.caffemodel") -> None:
    """Save the weights of one net, and load them into another."""
    (folder / "stored.prototxt").write_text(stored)
    Engine("stored.prototxt", pb.TEST).save(name)
    (folder / "own.prototxt").write_text(own)
    Engine("own.prototxt", pb.TEST, name)


def warnings(lines: Lines) -> list[str]:
    return [text for level, text in lines if level == "WARNING"]


def test_weights_of_other_prior_boxes_are_warned_of(folder: Path, lines: Lines) -> None:
    """SSD300 07+12+COCO fits ssd300_voc0712 by shape, but has COCO's boxes."""
    loaded(folder, with_boxes(COCO, VOC), with_boxes(VOC, COCO))
    (said,) = warnings(lines)
    assert said == (
        "w.caffemodel: these weights were trained with other prior boxes, so that boxes come out"
        " wrong: p0 has min_size 21, max_size 45 in the file, min_size 30, max_size 60 in the net,"
        " and so on (2 layers)"
    )


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        (VOC.replace("aspect_ratio: 2", "aspect_ratio: 2 aspect_ratio: 3"), "aspect_ratio 2 3 in"),
        (VOC.replace("step: 8", "step: 16"), "step 16.0 in the file, step 8.0 in the net"),
        (f"{VOC} flip: false", "flip False in the file"),
        (f"{VOC} clip: true", "clip True in the file"),
        (VOC.replace("max_size: 60", ""), "max_size none in the file, max_size 60 in the net"),
    ],
)
def test_every_field_of_prior_boxes_counts(
    folder: Path, lines: Lines, stored: str, words: str
) -> None:
    loaded(folder, with_boxes(stored), with_boxes(VOC))
    assert words in warnings(lines)[0]


def test_weights_that_are_fitted_are_warned_of(folder: Path, lines: Lines) -> None:
    """What `netrun weights fit` writes has the net's boxes, so that nothing says it later."""
    (folder / "stored.prototxt").write_text(with_boxes(COCO))
    Engine("stored.prototxt", pb.TEST).save("w.caffemodel")
    (folder / "own.prototxt").write_text(with_boxes(VOC))
    fit_weights("own.prototxt", ["w.caffemodel"], "fitted.caffemodel")
    (said,) = warnings(lines)
    assert said.startswith("w.caffemodel: these weights were trained with other prior boxes")


def test_the_same_prior_boxes_in_another_form(folder: Path, lines: Lines) -> None:
    """Files of older forks lack fields that are PriorBox's own, and HDF5 has no boxes at all."""
    spelled = f"{VOC} flip: true clip: false offset: 0.5"
    variances = " variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2"
    for stored in (VOC, spelled, VOC.replace("step: 8", ""), VOC + variances):
        loaded(folder, with_boxes(stored), with_boxes(VOC))
    loaded(folder, with_boxes(COCO), with_boxes(VOC), "w.caffemodel.h5")
    assert not warnings(lines)
