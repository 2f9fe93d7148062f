"""netrun show, and data_prep show --augmented: the pictures are what the loader feeds."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest

from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from caffe_ir.lmdb_reader import LmdbReader
from data_prep.cli import main as data_prep
from netrun import Net
from netrun.cli import main as netrun
from netrun.data.datum import decode
from netrun.data.transform import Transformer
from netrun.plots import training_images
from ssd_common.command import run_command
from tests.netrun.narrow import train_test_net


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with LMDBs of drawn shapes and a train net for them."""
    folder = tmp_path_factory.mktemp("drawn")
    data_prep(
        ["shapes", "--out", str(folder / "data"), "--train", "5", "--test", "2", "--size", "96"]
    )
    data = folder / "data"
    (folder / "train.prototxt").write_text(
        train_test_net(f"{data}/train_lmdb", f"{data}/test_lmdb", f"{data}/labelmap.prototxt")
    )
    return folder


def failure(capsys: pytest.CaptureFixture[str], prog: str, *argv: object) -> str:
    assert (
        run_command(prog, {"netrun": netrun, "data_prep": data_prep}[prog], list(map(str, argv)))
        == 1
    )
    return capsys.readouterr().err.removeprefix(f"{prog}: error: ").rstrip("\n")


def test_samples_are_those_of_training(drawn: Path) -> None:
    """Seven of five records, in batches of two as in the net and one by one as show takes them.

    Both have the pixels from before mean and scale.
    """
    model = str(drawn / "train.prototxt")
    ours = training_images.samples(
        training_images.data_net(model, pb.TRAIN), pb.TRAIN, 7, {1: "circle"}, seed=3
    )
    engine = Net(model, pb.TRAIN, seed=3)
    batches = [engine.layer_list[0].forward([]) for _ in range(4)]
    engine.close()
    for number, (image, boxes) in enumerate(ours):
        data, label = batches[number // 2]
        theirs = data[number % 2].numpy().transpose(1, 2, 0) + np.float32([104, 117, 123])
        np.testing.assert_allclose(image, theirs, atol=1e-4)
        rows = label.reshape(-1, 8).numpy()
        rows = rows[rows[:, 0] == number % 2]
        np.testing.assert_array_equal(
            [b.corners for b in boxes], rows[:, 3:7].reshape(len(boxes), 4)
        )
        assert [b.label for b in boxes] == rows[:, 1].astype(int).tolist()
        assert all(
            b.name.removesuffix(" (difficult)") == ("circle" if b.label == 1 else str(b.label))
            for b in boxes
        )
    assert sum(len(boxes) for _, boxes in ours) > 3


def test_restored_is_what_was_normalised(drawn: Path) -> None:
    reader = LmdbReader(drawn / "data/train_lmdb")
    image = decode(reader.value(0), None).image
    for field in (
        "mean_value: 104 mean_value: 117 mean_value: 123 scale: 0.007843",
        "mean_value: 127.5",
        "scale: 3",
    ):
        transformer = Transformer(text.parse(field, pb.TransformationParameter), [], pb.TRAIN)
        data = np.empty((3, *image.shape[:2]), np.float32)
        transformer.normalise(image, data)
        np.testing.assert_array_equal(transformer.restored(data), image)
    mean = np.random.default_rng(0).random(data.shape, np.float32) * 255
    transformer = Transformer(pb.TransformationParameter(scale=0.1), [], pb.TRAIN, mean)
    transformer.normalise(image, data)
    np.testing.assert_array_equal(transformer.restored(data), image)


def test_sheet(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, out = str(drawn / "train.prototxt"), tmp_path / "a.png"
    assert netrun(["show", "-model", model, "-out", str(out), "-count", "7"]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    sheet = cv2.imread(str(out))
    assert sheet.shape == (
        9 + 2 * 309,
        9 + 6 * 309,
        3,
    )  # two rows of six tiles of 300 pixels, 9 between them
    assert (sheet[320:, 330:] == 255).all()  # the seventh image is alone in its row
    netrun(["show", "--model", model, "--out", str(tmp_path / "b.png"), "--count", "7"])
    netrun(
        ["show", "--model", model, "--out", str(tmp_path / "c.png"), "--count", "7", "--seed", "1"]
    )
    assert (
        (tmp_path / "b.png").read_bytes() == out.read_bytes() != (tmp_path / "c.png").read_bytes()
    )


def test_data_prep_has_netrun_draw(
    drawn: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch
) -> None:
    model, lmdb, out = drawn / "train.prototxt", drawn / "data/test_lmdb", tmp_path / "a.png"
    data_prep(
        [
            "show",
            str(lmdb),
            "--augmented",
            str(model),
            "--count",
            "4",
            "--seed",
            "2",
            "--out",
            str(out),
        ]
    )
    assert capfd.readouterr().out == f"{out}\n"
    named = ["--labelmap", str(drawn / "data/labelmap.prototxt")]
    netrun(
        [
            "show",
            "--model",
            str(model),
            "--source",
            str(lmdb),
            "--count",
            "4",
            "--seed",
            "2",
            "--out",
            str(tmp_path / "b.png"),
            *named,
        ]
    )
    assert out.read_bytes() == (tmp_path / "b.png").read_bytes()
    capfd.readouterr()
    lost = tmp_path / "lost.prototxt"
    assert (
        failure(capfd, "data_prep", "show", lmdb, "--augmented", lost, "--out", out)
        == f"{lost}: No such file or directory"
    )
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "torch" else found(name)
    )
    said = (
        "--augmented needs netrun and PyTorch, and torch is not installed; without it "
        "show draws the records as they are"
    )
    assert failure(capfd, "data_prep", "show", lmdb, "--augmented", model, "--out", out) == said


def test_refusals(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = tmp_path / "deploy.prototxt"
    net.write_text(
        'layer { name: "data" type: "Input" top: "data" '
        "input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }"
    )
    said = f"{net}: no AnnotatedData layer in phase TRAIN; show takes a train or test net"
    assert failure(capsys, "netrun", "show", "--model", net, "--out", tmp_path / "x.png") == said
    lost = tmp_path / "lmdb"
    said = failure(
        capsys,
        "netrun",
        "show",
        "--model",
        drawn / "train.prototxt",
        "--source",
        lost,
        "--out",
        tmp_path / "x.png",
    )
    assert said == f"{lost}: no LMDB here; build it with data_prep or correct the path"
    assert not (tmp_path / "x.png").exists()
