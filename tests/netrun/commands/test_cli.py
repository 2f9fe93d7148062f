"""The commands as a user types them, on a narrow detector over a few drawn shapes."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest

from netrun import cli
from netrun.cli import entry
from netrun.training import run_log
from tests.netrun.commands.support import SOLVER, netrun
from tests.support import ROOT, needs_caffe


def test_training_leaves_snapshots_and_a_log_that_plots(here: Path, capsys) -> None:
    assert sorted(p.name for p in (here / "snap").iterdir()) == [
        f"n_iter_{i}.{kind}" for i in (4, 8) for kind in ("caffemodel", "solverstate")
    ]
    found = run_log.read("logs/train.log")
    assert sorted(found.loss) == [0, 3, 6]
    assert set(found.rate.values()) == {0.01}
    assert list(found.tests) == ["detection_eval"]
    assert sorted(found.tests["detection_eval"]) == [4, 8]
    assert netrun("plot", "logs/train.log", "--out", "plots/loss.png") == 0
    assert cv2.imread("plots/loss.png") is not None
    assert "3 losses" in capsys.readouterr().out


def test_scores_are_the_solvers(here: Path, capsys) -> None:
    """`netrun test` on the last snapshot finds the mAP that training logged last, over all six
    images by default.

    No display falls on the last iteration: its extra forward, Caffe's too, moves BatchNorm's
    averages after the snapshot.
    """
    assert netrun("test", "--model", "test.prototxt", "--weights", "snap/n_iter_8.caffemodel") == 0
    said = capsys.readouterr()
    assert "Running for 3 iterations." in said.err
    trained = run_log.read("logs/train.log").tests["detection_eval"][8]
    match = re.search(r"mAP ([\d.]+) \(11point; MaxIntegral [\d.]+, Integral [\d.]+\)", said.out)
    assert match
    assert float(match[1]) == pytest.approx(trained, abs=1e-4)


def test_training_says_whether_it_codes_images_as_jpeg_again(here: Path, tmp_path: Path) -> None:
    """In the log before the first iteration, for the train net and the test net."""
    said = (
        "data: images are not encoded as JPEG again; the fork does so after distort, expand, crop"
    )
    start, _ = Path("logs/train.log").read_text().split("Iteration 0", 1)
    assert f"{said} (--jpeg-recoding does, too)\n" in start
    assert start.count("encoded as JPEG again, as in the fork (no distort, expand or crop)\n") == 1
    solver = SOLVER.replace("max_iter: 8", "max_iter: 1").replace("snap/n", f"{tmp_path}/n")
    (tmp_path / "solver.prototxt").write_text(solver)
    flags = ["--jpeg-recoding", f"--log={tmp_path}/train.log"]
    assert netrun("train", "--solver", str(tmp_path / "solver.prototxt"), *flags) == 0
    start, trained = (tmp_path / "train.log").read_text().split("Iteration 0", 1)
    assert (
        "data: images are encoded as JPEG again after distort, expand, crop, as in the fork\n"
        in start
    )
    assert trained.split("loss = ")[1].split()[0] != run_log.read("logs/train.log").loss[0]


@needs_caffe
def test_caffes_own_parser_reads_the_log(here: Path, tmp_path: Path) -> None:
    for name in ("parse_log.py", "extract_seconds.py"):
        script = (Path(os.environ["CAFFE_ROOT"]) / "tools/extra" / name).read_text()
        (tmp_path / name).write_text(
            re.sub(r"\bprint ('.*)", r"print(\1)", script)
        )  # as Python 3 has it
    subprocess.run(
        [sys.executable, "-W", "ignore", "parse_log.py", here / "logs/train.log", "."],
        cwd=tmp_path,
        check=True,
    )
    with (
        (tmp_path / "train.log.train").open() as train,
        (tmp_path / "train.log.test").open() as test,
    ):
        rows, tests = list(csv.DictReader(train)), list(csv.DictReader(test))
    read = run_log.read("logs/train.log")
    assert {int(float(row["NumIters"])): float(row["mbox_loss"]) for row in rows} == read.loss
    assert {int(float(row["NumIters"])): float(row["LearningRate"]) for row in rows} == read.rate
    assert {
        int(float(row["NumIters"])): float(row["detection_eval"]) for row in tests
    } == read.tests["detection_eval"]


def test_a_net_without_data_is_no_test(here: Path, capsys) -> None:
    assert (
        netrun(
            "test",
            "--model",
            "deploy.prototxt",
            "--weights",
            "snap/n_iter_8.caffemodel",
            "--iterations",
            "1",
        )
        == 0
    )
    assert (
        "deploy.prototxt has no data: its input 'data' stays as it is (netrun detect takes images)"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize("command", [c for c in cli.PROGRAM.commands if c != "device_query"])
def test_help_has_an_example(command: str, capsys) -> None:
    with pytest.raises(SystemExit):
        netrun(command, "--help")
    assert re.search(rf"^examples:\n +.*netrun {command} ", capsys.readouterr().out, re.MULTILINE)


def test_detections_are_drawn_and_listed(here: Path, capsys) -> None:
    argv = [
        "detect",
        "--model",
        "deploy.prototxt",
        "--weights",
        "snap/n_iter_8.caffemodel",
        "--threshold",
        "0.05",
        "--out",
        "seen",
    ]
    assert netrun(*argv, "--sheet", "sheet.png", "--batch", "4", "data/test_lmdb") == 0
    out = capsys.readouterr().out.splitlines()
    listed = json.loads(Path("seen/detections.json").read_text())
    assert len(listed) == 6
    assert len(out) == 7  # a line an image, and one for the sheet
    names = {d["name"] for entry in listed for d in entry["detections"]}
    assert names
    assert names <= {"circle", "ring", "square", "star", "triangle"}
    for item in listed:
        assert cv2.imread(f"seen/{item['drawn']}").shape == (96, 96, 3)
        assert all(d["score"] >= 0.05 for d in item["detections"])
    assert cv2.imread("sheet.png") is not None
    # the same image, alone and from its file: the same boxes
    jpeg = next(Path("data").rglob(listed[0]["image"].split("_", 1)[1].split("/")[-1]))
    assert netrun(*argv[:-1], "seen2", str(jpeg)) == 0
    alone = json.loads(Path("seen2/detections.json").read_text())[0]["detections"]
    assert [d["label"] for d in alone] == [d["label"] for d in listed[0]["detections"]]


def test_soft_suppression_drops_no_box(here: Path, capsys) -> None:
    Path("all.prototxt").write_text(
        Path("deploy.prototxt").read_text().replace("keep_top_k: 20", "keep_top_k: 900")
    )
    argv = [
        "detect",
        "--model",
        "all.prototxt",
        "--weights",
        "snap/n_iter_8.caffemodel",
        "--threshold",
        "0.02",
        "data/test_lmdb",
    ]
    found = []
    for folder, flag in (("hard", []), ("soft", ["--soft-nms"])):
        assert netrun(*argv, "--out", folder, *flag) == 0
        listed = json.loads(Path(f"{folder}/detections.json").read_text())
        found.append([image["detections"] for image in listed])
    hard, soft = found
    best = [image[0] for image in hard if image]
    assert best == [image[0] for image in soft if image], "the surest box is not touched"
    assert sum(map(len, found[1])) > sum(map(len, found[0]))
    assert (
        netrun(
            "test",
            "--model",
            "test.prototxt",
            "--weights",
            "snap/n_iter_8.caffemodel",
            "--soft-nms",
        )
        == 0
    )
    assert "mAP" in capsys.readouterr().out


def test_time_and_device_query(here: Path, capsys) -> None:
    assert netrun("time", "-model", "test.prototxt", "-iterations", "2") == 0
    said = capsys.readouterr().err
    for phrase in (
        "conv1\tforward: ",
        "Average Forward pass: ",
        "Average Backward pass: ",
        "*** Benchmark ends ***",
    ):
        assert phrase in said
    each = {
        (name, way): float(ms)
        for name, way, ms in re.findall(r"\] +(\S+)\t(forward|backward): (\S+) ms\.", said)
    }
    assert each["conv1", "forward"] > 0
    assert each["conv1", "backward"] > 0
    assert each["prior", "backward"] == 0  # no gradient passes through it
    assert "no backward pass to time" not in said
    for way in ("forward", "backward"):
        whole = float(re.search(rf"Average {way.title()} pass: (\S+) ms", said)[1])
        assert (
            sum(ms for (_, kind), ms in each.items() if kind == way) <= whole * 1.001
        )  # six digits each
    assert netrun("device_query", "-logtostderr", "--minloglevel=1", "-v", "1") == 0
    assert "CPU: " in capsys.readouterr().out


LOSS = """layer { name: "x" type: "DummyData" top: "x" top: "y" dummy_data_param {
  shape { dim: 4 dim: 3 } shape { dim: 4 dim: 2 } data_filler { type: "gaussian" } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "in_place" type: "ReLU" bottom: "ip" top: "ip" }
layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "y" top: "loss" }
"""


def test_time_of_a_deploy_net_says_what_train_leaves_out(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    """`detection_out` is for TEST alone, and TRAIN is the default, as in Caffe."""
    monkeypatch.chdir(tmp_path)
    deploy = (
        'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 4 } } }'
        'layer { name: "fc" type: "InnerProduct" bottom: "x" top: "fc"'
        " inner_product_param { num_output: 2 } }"
        'layer { name: "last" type: "Softmax" bottom: "fc" top: "last" include { phase: TEST } }'
    )
    Path("deploy.prototxt").write_text(deploy)
    command = ("time", "--model", "deploy.prototxt", "--iterations", "1")
    assert netrun(*command) == 0
    said = "deploy.prototxt: phase TRAIN leaves out last; --phase TEST times all layers"
    assert said in capsys.readouterr().err
    assert netrun(*command, "--phase", "TEST") == 0
    assert "leaves out" not in capsys.readouterr().err
    both = deploy + (
        'layer { name: "other" type: "Softmax" bottom: "fc" top: "other" include { phase: TRAIN } }'
    )
    Path("deploy.prototxt").write_text(both)
    assert netrun(*command) == 0
    assert "leaves out" not in capsys.readouterr().err, "a net for both phases"


@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
@pytest.mark.parametrize("loss", [True, False])
def test_time_of_a_backward_in_both_phases(
    phase: str, loss: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`caffe time` goes back from the loss in TEST as well; without a loss, a line says so."""
    net = LOSS
    if not loss:
        net = LOSS[: LOSS.index('layer { name: "loss"')]
    (tmp_path / "net.prototxt").write_text(net)
    command = ("time", "--model", str(tmp_path / "net.prototxt"), "--iterations", "1")
    assert netrun(*command, "--phase", phase) == 0
    said = capsys.readouterr().err
    found = re.search(r" ip\tbackward: (\S+) ms", said)
    assert found
    assert (float(found[1]) > 0) == loss
    without = f"No layer has a loss with a gradient in {phase}: there is no backward pass to time"
    assert (without in said) != loss


def test_latest_resumes_and_weights_start_anew(here: Path, capsys) -> None:
    Path("longer.prototxt").write_text(
        SOLVER.replace("max_iter: 8", "max_iter: 9").replace("snapshot: 4", "snapshot: 0")
    )
    assert (
        netrun("train", "--solver=longer.prototxt", "--snapshot=latest", "--sigint_effect=stop")
        == 0
    )
    said = capsys.readouterr().err
    assert "Resuming from snap/n_iter_8.solverstate" in said
    assert "Snapshotting to binary proto file snap/n_iter_9.caffemodel" in said
    Path("anew.prototxt").write_text(
        SOLVER.replace("snap/n", "anew/n").replace("max_iter: 8", "max_iter: 1")
    )
    assert (
        netrun(
            "train",
            "--solver=anew.prototxt",
            "--snapshot=latest",
            "--weights=snap/n_iter_8.caffemodel",
        )
        == 0
    )
    said = capsys.readouterr().err
    assert "No snapshot of anew/n yet" in said
    assert "Finetuning from snap/n_iter_8.caffemodel" in said
    for path in here.glob("snap/n_iter_9.*"):
        path.unlink()


@pytest.mark.parametrize(
    ("number", "ends"), [(signal.SIGINT, 0), (signal.SIGTERM, 143), (signal.SIGHUP, None)]
)
def test_signals(here: Path, number: signal.Signals, ends: int | None) -> None:
    """SIGINT: snapshot and stop, exit 0 as Caffe.

    SIGTERM: the same, but no cluster takes the run for done. SIGHUP: snapshot and go on.
    """
    name = f"sig{number}"
    text = (
        SOLVER.replace("snap/n", f"{name}/n")
        .replace("max_iter: 8", "max_iter: 1000000")
        .replace("snapshot: 4", "snapshot: 0")
    )
    Path(f"{name}.prototxt").write_text(text.replace("test_interval: 4", "test_interval: 500000"))
    command = [
        sys.executable,
        "-m",
        "netrun",
        "train",
        "--solver",
        f"{name}.prototxt",
        "--threads",
        "1",
        "--log",
        f"{name}.log",
    ]
    run = subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL
    )

    def wait_for(done) -> None:
        until = time.monotonic() + 600  # seconds: no busy machine takes so long
        while not done():
            assert time.monotonic() < until
            assert run.poll() is None or ends is not None
            time.sleep(0.02)

    try:
        log = Path(f"{name}.log")
        wait_for(lambda: log.exists() and "Iteration 3, loss" in log.read_text())
        run.send_signal(number)
        wait_for(lambda: list(Path(name).glob("n_iter_*.solverstate")))
        if ends is not None:
            assert run.wait(600) == ends
            assert "Optimization stopped early." in log.read_text()
        else:
            iterations = log.read_text().count(", lr = ")
            wait_for(lambda: log.read_text().count(", lr = ") > iterations)
    finally:
        run.kill()
        run.wait()


def test_help_lists_every_command(capsys) -> None:
    assert netrun() == 0
    out = capsys.readouterr().out
    assert all(name in out for name in cli.PROGRAM.commands)


def test_threads_that_wait_let_others_work(monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", ["netrun", "help"])
    monkeypatch.setenv("GOMP_SPINCOUNT", "")  # so that it is put back
    monkeypatch.delenv("GOMP_SPINCOUNT")
    assert entry() == 0
    assert os.environ["GOMP_SPINCOUNT"] == "2000"
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")  # the user's own choice stays
    assert entry() == 0
    assert os.environ["GOMP_SPINCOUNT"] == "7"
