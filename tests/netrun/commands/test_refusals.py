"""What commands refuse, in one line, before they write anything."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from caffe_ir import binary
from caffe_ir import caffe_ir_pb2 as pb
from netrun.weights.files import blob_message
from tests.netrun.commands.support import SOLVER, netrun, refusal
from tests.netrun.narrow import deploy_net


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("tran", "did you mean 'train'"),
        ("train --solvr x", "did you mean '--solver'"),
        ("train", "--solver"),
        ("train --solver nowhere.prototxt", "nowhere.prototxt"),
        ("train --solver solver.prototxt --snapshot a.solverstate --weights b", "not both"),
        ("train --solver solver.prototxt --gpu 0 --cpu", "exclude each other"),
        ("train --solver solver.prototxt --weights nowhere.caffemodel", "nowhere.caffemodel"),
        ("train --solver solver.prototxt --snapshot nowhere.solverstate", "nowhere.solverstate"),
        (
            "train --solver solver.prototxt --precision bf61",
            "'bf61' is not one of fp32, bf16, tf32 .did you mean 'bf16'",
        ),
        ("train --solver solver.prototxt --threads 0", "positive whole number"),
        ("train --solver misspelt.prototxt", "misspelt.prototxt:1:1: .*did you mean 'base_lr'"),
        ("train --solver no_lmdb.prototxt", "nowhere_lmdb"),
        (
            "train --solver solver.prototxt --weights other.caffemodel",
            r"layer 'conf'.*\(20 4 3 3\).*\(24 4 3 3\)",
        ),
        ("test --model test.prototxt --weights cut.caffemodel", "cut.caffemodel: .*truncated"),
        ("test --model nowhere.prototxt --weights snap/n_iter_8.caffemodel", "nowhere.prototxt"),
        (
            "detect --model deploy.prototxt --weights snap/n_iter_8.caffemodel nowhere.jpg",
            "nowhere.jpg: no such image",
        ),
        ("detect --model a --weights b c --mean-value 1,nan,3", "should be numbers"),
        (
            "detect --model deploy.prototxt --weights snap/n_iter_8.caffemodel solver.prototxt",
            "not an image",
        ),
        (
            "detect --model test.prototxt --weights snap/n_iter_8.caffemodel data/test_lmdb",
            "not a deploy net",
        ),
        (
            "test --model bare.prototxt --weights snap/n_iter_8.caffemodel --soft-nms",
            "--soft-nms: bare.prototxt has no DetectionOutput",
        ),
        (
            "detect --model deploy.prototxt --weights stranger.caffemodel data/test_lmdb",
            "stranger.caffemodel: these weights belong to another net",
        ),
        (
            "train --solver solver.prototxt --weights stranger.caffemodel",
            "stranger.caffemodel: these weights belong to another net",
        ),
        ("plot solver.prototxt", "no iteration"),
        ("plot logs/train.log --out a.pong", "pong"),
    ],
)
def test_refuses_in_one_line(argv: str, message: str, here: Path, capsys) -> None:
    Path("misspelt.prototxt").write_text("base_lrr: 0.1")
    Path("bare.prototxt").write_text(
        'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 } } }'
    )
    net = Path("test.prototxt").read_text()
    Path("no_lmdb_net.prototxt").write_text(net.replace("data/train_lmdb", "nowhere_lmdb"))
    Path("no_lmdb.prototxt").write_text(
        SOLVER.replace("test.prototxt", "no_lmdb_net.prototxt").replace("snap/n", "new/n")
    )
    weights = Path("snap/n_iter_8.caffemodel").read_bytes()
    Path("cut.caffemodel").write_bytes(weights[: len(weights) // 2])
    if "other.caffemodel" in argv:
        _five_classes_to_four(Path("other.caffemodel"))
    stranger = pb.NetParameter(layer=[pb.LayerParameter(name="x", blobs=[blob_message([1])])])
    binary.write(stranger, "stranger.caffemodel")
    before = sorted(here.rglob("*"))
    assert re.search(message, refusal(capsys, *argv.split()))
    assert sorted(here.rglob("*")) == before


def _five_classes_to_four(path: Path) -> None:
    """Weights of the same detector for one class less."""
    from netrun import Net

    other = path.with_suffix(".prototxt")
    fewer = {"num_output: 24": "num_output: 20", "dim: 6 }": "dim: 5 }", "classes: 6": "classes: 5"}
    text = deploy_net()
    for six, five in fewer.items():
        text = text.replace(six, five)
    other.write_text(text)
    Net(str(other), 1).save(str(path))


def test_gpu_without_cuda_is_one_line(here: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "no CUDA device here" in refusal(
        capsys, "train", "--solver", "solver.prototxt", "--gpu", "0"
    )


def test_a_gpu_that_is_no_number_is_wrong_usage(here: Path, capsys, monkeypatch) -> None:
    """Also where there is no GPU at all."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    said = refusal(capsys, "train", "--solver", "solver.prototxt", "--gpu", "0;1")
    form = "give device numbers separated by commas, or 'all'"
    assert said == f"--gpu 0;1: {form}; see netrun train --help"


@pytest.mark.parametrize("command", ["test --weights x", "detect --weights x data/test_lmdb"])
@pytest.mark.parametrize(
    "files", ["--model nowhere.prototxt", "--model test.prototxt --labelmap nowhere.prototxt"]
)
def test_a_missing_file_is_told_before_the_device(
    command: str, files: str, here: Path, capsys
) -> None:
    for device in ([], ["--gpu", "99"]):
        assert netrun(*command.split(), *files.split(), *device) == 1
        said = "netrun: error: nowhere.prototxt: No such file or directory\n"
        assert capsys.readouterr().err == said


def test_a_gpu_that_is_not_there_is_refused(here: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert "no device 7; this machine has 0 to 1" in refusal(
        capsys, "train", "--solver", "solver.prototxt", "--gpu", "0,7"
    )
    assert "separated by commas" in refusal(
        capsys, "train", "--solver", "solver.prototxt", "--gpu", "zero"
    )


def test_several_gpus_are_several_processes(here: Path, monkeypatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    started = []
    monkeypatch.setattr(
        "netrun.training.distributed.launch", lambda argv, count: started.append((argv, count)) or 0
    )
    assert netrun("train", "-solver", "solver.prototxt", "-gpu=all") == 0
    assert started == [(["train", "-solver", "solver.prototxt", "-gpu=all"], 4)]
