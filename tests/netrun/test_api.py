"""netrun's functions, as a user's script calls them, on a narrow detector of drawn shapes."""

from __future__ import annotations

import inspect
import logging
import subprocess
import sys
import types
from pathlib import Path

import cv2
import numpy as np
import pytest

import netrun
from caffe_ir import caffe_ir_pb2 as pb
from caffe_ir import text
from data_prep.cli import main as data_prep
from netrun import pycaffe
from ssd_common.errors import CaffeError, UsageError
from ssd_common.version import __version__
from tests.netrun.logged import log_lines
from tests.netrun.narrow import deploy_net, train_test_net

SOLVER = """net: "test.prototxt" test_iter: 3 test_interval: 4 test_initialization: false
eval_type: "detection"
ap_version: "11point" base_lr: 0.01 lr_policy: "fixed" momentum: 0.9 max_iter: 8 display: 3
snapshot: 4
snapshot_prefix: "snapshots/n" random_seed: 1 solver_mode: CPU
"""
WEIGHTS = "snapshots/n_iter_8.caffemodel"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder, trained by netrun.train."""
    folder = tmp_path_factory.mktemp("run")
    data_prep(
        ["shapes", "--out", str(folder / "data"), "--train", "8", "--test", "6", "--size", "96"]
    )
    (folder / "test.prototxt").write_text(
        train_test_net("data/train_lmdb", "data/test_lmdb", "data/labelmap.prototxt")
    )
    (folder / "deploy.prototxt").write_text(deploy_net())
    (folder / "solver.prototxt").write_text(SOLVER)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        result = netrun.train("solver.prototxt")
    assert result == netrun.TrainingResult(
        finished=True, iteration=8, snapshot="snapshots/n_iter_8.solverstate"
    )
    return folder


@pytest.fixture
def here(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(trained)
    return trained


# ---- names


def test_every_name_is_there() -> None:
    for name in netrun.__all__:
        assert getattr(netrun, name) is not None
    names: dict[str, object] = {}
    exec("from netrun import *", names)
    assert {*netrun.__all__} <= names.keys()
    assert {*netrun.__all__} <= {*dir(netrun)}


def test_every_name_is_pycaffes_too() -> None:
    for name in pycaffe.__all__:
        assert getattr(netrun, name) is getattr(pycaffe, name) or name == "layers"
        assert name in netrun.__all__ or name == "layers"


def test_unknown_names_are_refused() -> None:
    with pytest.raises(AttributeError, match=r"^module 'netrun' has no attribute 'nett'$"):
        _ = netrun.nett


def test_type_checkers_see_the_names_from_the_same_list() -> None:
    """Each line of the stub is one name; a line in another form would be a missing name."""
    stub = Path(netrun.__file__).with_suffix(".pyi").read_text()
    lines = [line for line in stub.splitlines() if not line.startswith("#")]
    assert [line.split()[-1] for line in lines] == netrun.__all__


def test_versions() -> None:
    assert netrun.__version__ == __version__
    assert pycaffe.__version__ == "1.0.0-rc3"


def test_public_functions_say_what_they_do() -> None:
    ours = [getattr(netrun, name) for name in netrun.__all__ if name not in pycaffe.__all__]
    for function in ours:
        if isinstance(function, types.FunctionType):
            assert function.__doc__
            assert {*function.__annotations__} == {
                *inspect.signature(function).parameters,
                "return",
            }


def test_importing_waits_for_no_library() -> None:
    script = (
        "import sys, netrun; dir(netrun); netrun.__version__; print([m for m in "
        "('torch', 'cv2', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


# ---- detect


def test_detect_in_files_arrays_and_lmdbs(here: Path) -> None:
    """The same picture however it comes; boxes in its pixels, surest first, classes by name."""
    found = netrun.detect("deploy.prototxt", WEIGHTS, "data/test_lmdb", threshold=0.05, limit=2)
    images = list(dict.fromkeys(d.image for d in found))
    assert len(images) == 2
    first = [d for d in found if d.image == images[0]]
    assert first
    assert [d.score for d in first] == sorted((d.score for d in first), reverse=True)
    for d in first:
        assert d.score >= 0.05
        assert d.name in ("circle", "ring", "square", "star", "triangle")
        xmin, ymin, xmax, ymax = d.box
        assert xmin < xmax
        assert ymin < ymax
    assert max(max(d.box) for d in first) > 10  # pixels
    path = next(Path("data").rglob(images[0].split("_", 1)[1].split("/")[-1]))
    [from_file, from_array] = (
        netrun.detect("deploy.prototxt", Path(WEIGHTS), image, threshold=0.05)
        for image in (path, cv2.imread(str(path)))
    )
    for other, name in ((from_file, str(path)), (from_array, "0")):
        assert {d.image for d in other} == {name}
        assert [(d.label, d.name, d.score, d.box) for d in other] == [
            (d.label, d.name, d.score, d.box) for d in first
        ]


def test_detect_takes_several_images_at_once_and_options(here: Path) -> None:
    images = [np.full((40, 60, 3), value, np.uint8) for value in (0, 90, 200)]
    one_by_one = netrun.detect("deploy.prototxt", WEIGHTS, images, threshold=0.01)
    together = netrun.detect("deploy.prototxt", WEIGHTS, images, threshold=0.01, batch=3)
    assert {d.image for d in together} == {"0", "1", "2"}
    assert [(d.image, d.label) for d in one_by_one] == [(d.image, d.label) for d in together]
    np.testing.assert_allclose([d.box for d in one_by_one], [d.box for d in together], atol=1e-2)
    soft = netrun.RunOptions(soft_nms=True)
    assert (
        netrun.detect("deploy.prototxt", WEIGHTS, images, threshold=0.01, options=soft)
        != one_by_one
    )
    other = netrun.detect(
        "deploy.prototxt", WEIGHTS, images, threshold=0.01, mean=(0, 0, 0), scale=0.5
    )
    assert other != one_by_one


def test_detect_refuses(here: Path) -> None:
    with pytest.raises(CaffeError, match=r"^nowhere.jpg: no such image, folder or LMDB$"):
        netrun.detect("deploy.prototxt", WEIGHTS, ["nowhere.jpg"])
    grey = np.zeros((4, 5), np.uint8)
    with pytest.raises(
        CaffeError, match=r"^image 1: not \(H, W, 3\) uint8, in BGR, but uint8 of shape \(4, 5\)$"
    ):
        netrun.detect("deploy.prototxt", WEIGHTS, [np.zeros((4, 5, 3), np.uint8), grey])
    with pytest.raises(CaffeError, match=r"^7: no such image.*for a camera .*/dev/video7 "):
        netrun.detect("deploy.prototxt", WEIGHTS, "7")
    with pytest.raises(CaffeError, match="not a deploy net"):
        netrun.detect("test.prototxt", WEIGHTS, "data/test_lmdb")


def test_detect_says_how_videos_become_pictures(here: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    clip = Path("a clip.MP4")
    clip.write_bytes(b"")
    command = "ffmpeg -i 'a clip.MP4' frames/%05d.jpg`, then `netrun detect --model "
    with pytest.raises(CaffeError, match=f"^a clip.MP4: a video, not an image: .*{command}"):
        netrun.detect(here / "deploy.prototxt", here / WEIGHTS, clip)
    clips = Path("clips")
    clips.mkdir()
    clip.rename(clips / "b.avi")
    with pytest.raises(
        CaffeError, match=r"^clips: no images in this folder; for b.avi .*clips/b.avi"
    ):
        netrun.detect(here / "deploy.prototxt", here / WEIGHTS, clips)


def test_a_net_that_reads_a_video_is_no_deploy_net(here: Path, tmp_path: Path) -> None:
    clip = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 64))
    writer.write(np.zeros((64, 64, 3), np.uint8))
    writer.release()
    net = text.read_net("deploy.prototxt")
    data = f"""type: "VideoData" data_param {{ batch_size: 1 }}
        video_data_param {{ video_type: VIDEO video_file: "{clip}" }}"""
    net.layer[0].ClearField("input_param")
    net.layer[0].MergeFrom(text.parse(data, pb.LayerParameter))
    text.write(net, tmp_path / "video.prototxt")
    with pytest.raises(CaffeError, match=r"VideoData layer .* give these weights' deploy net"):
        netrun.detect(tmp_path / "video.prototxt", WEIGHTS, np.zeros((4, 5, 3), np.uint8))


# ---- test, train, time


def test_test_is_what_training_scored(here: Path) -> None:
    score = netrun.test("test.prototxt", WEIGHTS, coco=True)
    assert score.names[1] == "circle"
    [found] = score.average_precisions
    assert found.output == "detection_eval"
    assert (
        found.mean
        == score.mean_ap
        == found.by_version["11point"]
        == pytest.approx(np.mean(list(found.per_class.values())))
    )
    assert score.means == []
    assert score.coco is not None
    assert "AP50" in score.coco.figures
    other = netrun.test("test.prototxt", [WEIGHTS], ap_version="Integral", iterations=3)
    assert other.mean_ap == found.by_version["Integral"]
    assert other.coco is None
    status = netrun.status(".")
    assert not status.scores  # without a log there are none
    assert (status.iteration, status.max_iter, status.weights) == (8, 8, WEIGHTS)


def test_test_refuses(here: Path) -> None:
    Path("bare.prototxt").write_text(
        'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 } } }'
    )
    soft = netrun.RunOptions(soft_nms=True)
    with pytest.raises(
        CaffeError, match=r"^--soft-nms: bare.prototxt has no DetectionOutput layer$"
    ):
        netrun.test("bare.prototxt", WEIGHTS, options=soft)


def test_train_goes_on_and_refuses(here: Path, tmp_path: Path) -> None:
    Path("longer.prototxt").write_text(
        SOLVER.replace("max_iter: 8", "max_iter: 9").replace("snapshot: 4", "snapshot: 0")
    )
    with pytest.raises(UsageError, match="not both"):
        netrun.train("longer.prototxt", weights=WEIGHTS, resume="snapshots/n_iter_8.solverstate")
    result = netrun.train("longer.prototxt", resume="latest", device="cpu")
    assert (result.finished, result.iteration) == (True, 9)
    for path in here.glob("snapshots/n_iter_9.*"):
        path.unlink()


def test_time(here: Path) -> None:
    found = netrun.time("test.prototxt", iterations=2)
    layers = {layer.name: layer for layer in found.layers}
    assert found.iterations == 2
    assert layers["conv1"].forward > 0
    assert layers["conv1"].backward > 0
    assert layers["prior"].backward == 0
    assert sum(layer.forward for layer in found.layers) <= found.forward * 1.001
    assert 2 * (found.forward + found.backward) <= found.total


def test_time_feeds_pictures_noise_and_labels_zeros(tmp_path: Path) -> None:
    """The loss is the mean of squares of numbers drawn evenly from -128 to 128: 128² / 3."""
    (tmp_path / "net.prototxt").write_text(
        'layer { name: "in" type: "Input" top: "x" top: "label" input_param {'
        " shape { dim: 2 dim: 3 dim: 64 dim: 64 } shape { dim: 2 dim: 1 dim: 1 dim: 1 } } }"
        'layer { name: "loss" type: "Reduction" bottom: "x" top: "loss" loss_weight: 1'
        f" reduction_param {{ operation: SUMSQ coeff: {1 / (2 * 3 * 64 * 64)} }} }}"
        'layer { name: "sum" type: "Reduction" bottom: "label" top: "sum" loss_weight: 1e9 }'
    )
    with log_lines(logging.LogRecord.getMessage) as logged:
        netrun.time(tmp_path / "net.prototxt", iterations=1)
    [loss] = [line.partition(":")[2] for line in logged if line.startswith("Initial loss")]
    assert float(loss) == pytest.approx(128**2 / 3, rel=0.02)


# ---- pictures, logs, weights


def test_show_and_plot(here: Path, tmp_path: Path) -> None:
    netrun.show("test.prototxt", tmp_path / "a.png", count=2)
    assert cv2.imread(str(tmp_path / "a.png")).shape[1] > 600
    line = "I1121 02:03:04.000000  1234 solver.cpp:243] Iteration 4, loss = 2.5\n"
    (tmp_path / "train.log").write_text(line)
    assert netrun.plot(tmp_path / "train.log", tmp_path / "plots/loss.png").loss == {4: 2.5}
    assert (tmp_path / "plots/loss.png").is_file()


def test_weights(here: Path, tmp_path: Path) -> None:
    layers = {layer.name: layer for layer in netrun.list_weights(WEIGHTS)}
    assert layers["conv1"].type == "Convolution"
    assert layers["conv1"].count == sum(int(np.prod(shape)) for shape in layers["conv1"].shapes)
    netrun.convert_weights(WEIGHTS, tmp_path / "w.caffemodel.h5")
    assert netrun.compare_weights(WEIGHTS, tmp_path / "w.caffemodel.h5") == []
    assert netrun.compare_weights(WEIGHTS, "snapshots/n_iter_4.caffemodel")
    fit = netrun.fit_weights("deploy.prototxt", [WEIGHTS], tmp_path / "fit.caffemodel")
    assert fit.copied.keys() == layers.keys()
    assert netrun.compare_weights(WEIGHTS, tmp_path / "fit.caffemodel") == []
