"""Pictures reach a deploy net as the net beside it says."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

import netrun
from caffe_ir import caffe_ir_pb2 as pb
from netrun.evaluation.preparation import Preparation, nets_beside
from ssd_common.errors import CaffeError
from tests.netrun.logged import log_lines
from tests.netrun.narrow import deploy_net

MODEL = "MobileNetSSD_deploy.prototxt"
DATA = 'layer {{ name: "data" type: "{kind}" top: "data" {param} }}\n'
GREY = np.full((5, 7, 3), 200, np.uint8)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path(MODEL).write_text(deploy_net())
    return tmp_path


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """What is logged."""
    with log_lines(logging.LogRecord.getMessage) as found:
        yield found


def write(name: str, param: str, kind: str = "AnnotatedData") -> None:
    Path(name).write_text(DATA.format(kind=kind, param=param))


def fed(model: str = MODEL, channels: int = 3, image: np.ndarray = GREY, **how) -> np.ndarray:
    """What the net gets of an image, at 4 x 4 pixels."""
    given = {"mean": None, "scale": None} | how
    prepare = Preparation(nets_beside(model), model, (1, channels, 4, 4), **given)
    out = np.empty((channels, 4, 4), np.float32)
    prepare(image, out)
    return out


def assert_all(values: np.ndarray, wanted: float) -> None:
    np.testing.assert_allclose(values, np.full_like(values, wanted), rtol=1e-6)


MEAN_AND_SCALE = "transform_param { mean_value: 127.5 scale: 0.007843 }"


@pytest.mark.parametrize(
    ("model", "beside"),
    [
        (MODEL, "MobileNetSSD_test.prototxt"),
        (MODEL, "MobileNetSSD_train.prototxt"),
        (MODEL, "test.prototxt"),
        (MODEL, "train.prototxt"),
        ("deploy.prototxt", "SSD_300x300_test.prototxt"),
        ("net.prototxt", "net_test.prototxt"),
        ("deploy.prototxt", "train_val.prototxt"),
        ("deploy.prototxt", "trainval.prototxt"),
        ("deploy.prototxt", "lenet_train_test.prototxt"),
        ("SSD-deploy.prototxt", "SSD-test.prototxt"),
        ("deploy_faces.prototxt", "train_val_faces.prototxt"),
        ("deploy.pt", "test.pt"),
    ],
)
def test_the_net_beside_is_found_and_named(model: str, beside: str, lines: list[str]) -> None:
    Path(model).write_text(deploy_net())
    write(beside, MEAN_AND_SCALE)
    assert_all(fed(model), (200 - 127.5) * 0.007843)
    assert lines == [
        f"Pictures: BGR, 4 wide, 4 high (LINEAR), mean 127.5, scale 0.007843, from {beside}"
    ]


def test_its_own_test_net_comes_before_another() -> None:
    write("test.prototxt", "transform_param { mean_value: 1 }")
    write("MobileNetSSD_train.prototxt", "transform_param { mean_value: 2 }")
    write("MobileNetSSD_test.prototxt", MEAN_AND_SCALE)
    assert_all(fed(), (200 - 127.5) * 0.007843)


def test_scale_alone_no_transform_and_mean_file_count() -> None:
    write("test.prototxt", "transform_param { scale: 0.5 }")
    assert_all(fed(), 100)
    write("test.prototxt", "")
    assert_all(fed(), 200)
    mean = np.arange(3 * 4 * 4, dtype=np.float32)
    blob = pb.BlobProto(num=1, channels=3, height=4, width=4, data=mean.tolist())
    Path("mean.binaryproto").write_bytes(blob.SerializeToString())
    write("test.prototxt", 'transform_param { mean_file: "mean.binaryproto" scale: 2 }')
    assert (fed() == 2 * (200 - mean.reshape(3, 4, 4))).all()
    Path("mean.binaryproto").unlink()
    with pytest.raises(CaffeError, match=r"mean_file mean.binaryproto: No such file"):
        fed()
    assert_all(fed(mean=[100]), 200)  # (200 - 100) * 2


def test_the_interpolation_is_the_test_nets() -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8)
    for mode, flag in (("AREA", cv2.INTER_AREA), ("NEAREST", cv2.INTER_NEAREST)):
        resize = f"resize_param {{ prob: 1 height: 4 width: 4 interp_mode: {mode} }}"
        write("test.prototxt", f"transform_param {{ {resize} }}")
        wanted = cv2.resize(image, (4, 4), interpolation=flag).transpose(2, 0, 1)
        assert (fed(image=image) == wanted).all()
    random = "resize_param { height: 4 width: 4 interp_mode: AREA interp_mode: NEAREST }"
    write("test.prototxt", f"transform_param {{ {random} mirror: true }}")
    assert (fed(image=image) == cv2.resize(image, (4, 4)).transpose(2, 0, 1)).all()


def test_an_unreadable_neighbour_is_a_warning(lines: list[str]) -> None:
    Path("MobileNetSSD_test.prototxt").write_text("layer { nonsense: 1 }")
    write("test.prototxt", MEAN_AND_SCALE)
    assert_all(fed(), (200 - 127.5) * 0.007843)
    assert "MobileNetSSD_test.prototxt:1:9" in lines[0]
    assert "left out" in lines[0]


def test_without_a_net_beside_the_default_is_said(lines: list[str]) -> None:
    assert fed()[:, 0, 0].tolist() == [200 - 104, 200 - 117, 200 - 123]
    assert lines == [
        f"{MODEL}: no test or train net beside it says how pictures are prepared",
        "Pictures: BGR, 4 wide, 4 high (LINEAR), mean 104,117,123, scale 1, from the default",
    ]


def test_other_framings_are_refused() -> None:
    resize = "resize_param { height: 8 width: 8 }"
    write("test.prototxt", f"transform_param {{ {resize} crop_size: 4 }}")
    with pytest.raises(CaffeError, match=r"whole images, and test.prototxt crops them"):
        fed()
    write("test.prototxt", "transform_param { resize_param { resize_mode: FIT_SMALL_SIZE } }")
    with pytest.raises(CaffeError, match="resize_mode is another"):
        fed()


def test_a_cut_without_a_size_is_said(lines: list[str]) -> None:
    write("test.prototxt", "transform_param { crop_size: 4 scale: 0.5 }")
    assert_all(fed(), 100)
    assert lines[0] == (
        "test.prototxt cuts 4 x 4 pixels out of its pictures; detect resizes the whole picture"
    )


def test_a_mean_file_that_is_missing_can_be_replaced() -> None:
    write("test.prototxt", 'transform_param { mean_file: "nowhere" }')
    with pytest.raises(CaffeError, match=r"nowhere: No such .* --mean-value B,G,R takes its place"):
        fed()
    assert_all(fed(mean=[100]), 100)


def test_a_one_channel_input_gets_grey() -> None:
    """0.114 x 10 + 0.587 x 20 + 0.299 x 30 = 21.85, so 22."""
    image = np.empty((5, 7, 3), np.uint8)
    image[:] = (10, 20, 30)
    assert_all(fed(channels=1, image=image), 22)
    assert_all(fed(channels=1, image=image, mean=[0]), 22)
    assert_all(fed(channels=1, image=image, mean=[2], scale=0.5), 10)
    with pytest.raises(
        CaffeError, match=rf"^{MODEL}: transform_param: mean_value needs 1 value, has 3 \(from"
    ):
        fed(channels=1, mean=[1, 2, 3])
    with pytest.raises(CaffeError, match=r"its input has shape \(1, 4, 4, 4\)"):
        fed(channels=4)


def test_a_one_channel_detector_runs() -> None:
    """What netrun.detect finds is what the net computes of the grey picture."""
    Path("deploy.prototxt").write_text(deploy_net().replace("dim: 3 dim: 64", "dim: 1 dim: 64"))
    net = netrun.Net("deploy.prototxt", netrun.TEST, seed=1)
    net.save("w.caffemodel")
    image = np.random.default_rng(0).integers(0, 256, (80, 96, 3), np.uint8)
    found = netrun.detect("deploy.prototxt", "w.caffemodel", image, threshold=0, mean=[0])
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    net.blobs["data"].data[...] = cv2.resize(grey, (64, 64))
    rows = net.forward()["detection_out"][0, 0]
    assert found
    assert sorted(d.score for d in found) == sorted(rows[:, 2].tolist())
