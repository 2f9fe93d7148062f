"""The command line, good and bad."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from netgen.cli import main
from netgen.zoo.registry import entries
from tests.support import ROOT


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *argv: str
) -> tuple[int, str, str]:
    from netgen.cli import entry  # noqa: PLC0415

    monkeypatch.setattr(sys, "argv", ["netgen", *argv])
    status = entry()
    out, err = capsys.readouterr()
    return status, out, err


def test_list_names_every_id(capsys: pytest.CaptureFixture[str]) -> None:
    main(["list"])
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]] == list(entries())


def test_build_writes_the_default_place(capsys: pytest.CaptureFixture[str]) -> None:
    main(["build", "fssd300"])
    assert "prototxt/fssd300_voc0712: wrote train.prototxt" in capsys.readouterr().out
    for path in Path("prototxt/fssd300_voc0712").iterdir():
        assert path.read_bytes() == (ROOT / path).read_bytes()
    main(["build", "fssd300", "--out", "./prototxt/fssd300_voc0712/"])
    assert "nothing changed" in capsys.readouterr().out
    main(["build", "fssd300", "--check"])
    (Path("prototxt/fssd300_voc0712") / "test.prototxt").write_text("")
    with pytest.raises(Exception, match=r"1 files .*fssd300_voc0712/test\.prototxt"):
        main(["build", "fssd300", "--check"])


def test_other_options_leave_the_zoo_alone(capsys: pytest.CaptureFixture[str]) -> None:
    main(["build", "ssd300", "--gpus", "0,1,2", "--iters", "100"])
    out, err = capsys.readouterr()
    assert out.startswith("runs/ssd300_voc0712: wrote")
    assert "= 30, not the 32" in err
    assert not Path("prototxt").exists()
    main(["build", "ssd300", "--gpus", "cpu", "--quiet", "--target", "fssd"])
    assert capsys.readouterr() == ("", "")
    assert "solver_mode: CPU" in Path("runs/ssd300_voc0712/solver.prototxt").read_text()


def test_print_sources(capsys: pytest.CaptureFixture[str]) -> None:
    main(["build", "ssd300_coco", "--data", "/d", "--print-sources"])
    assert capsys.readouterr().out.split() == [
        "/d/coco/coco_train_lmdb",
        "/d/coco/coco_minival_lmdb",
    ]
    assert not list(Path().iterdir())


def test_summary(capsys: pytest.CaptureFixture[str]) -> None:
    main(["summary", "ssd300"])
    out = capsys.readouterr().out
    row = next(line.split() for line in out.splitlines() if line.startswith("conv4_3_norm"))
    assert row == ["conv4_3_norm", "512x38x38", "4", "5,776", "30", "60", "2", "8"]
    assert "26,285,486" in out
    main(["summary", str(ROOT / "prototxt/ssd300_voc0712/train.prototxt"), "--layers"])
    out = capsys.readouterr().out
    # 64 x 3 x 3 x 3 weights + 64 biases; 8 images of 300 x 300 x 64 x 27 multiply-adds
    row = next(line.split() for line in out.splitlines() if line.startswith("conv1_1"))
    assert row == ["conv1_1", "Convolution", "8x64x300x300", "1,792", "1,244.2"]
    assert "mbox_loss" in out.splitlines()[-1]


def test_check_prints_a_line_per_file(capsys: pytest.CaptureFixture[str]) -> None:
    main(["build", "fssd300", "--quiet"])
    folder = Path("prototxt/fssd300_voc0712")
    files = [f"{folder}/{name}.prototxt" for name in ("train", "deploy", "solver")]
    assert main(["check", *files]) == 0
    heading, train, deploy, solver = capsys.readouterr().out.splitlines()
    assert heading.split()[0] == "file"
    # Frozen: the kernels of the resize, 256 channels each: 2 x 37 for fc7 (19 -> 38), 2 x 37 for
    # conv7_2 (10 -> 38) = 37,888
    assert train.split()[1:] == [
        "16x3x300x300",
        "116",
        "8,732",
        "33,835,182",
        "37,888",
        "1,537",
        deploy.split()[-1],
    ]
    assert deploy.split()[1] == "1x3x300x300"
    assert "120,000 iterations, lr 0.001 ÷10 at 80,000, 100,000, 120,000" in solver


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("num_output: 64", "num_outputs: 64", ["test.prototxt:", "num_outputs", "num_output"]),
        ('bottom: "conv1_1"', 'bottom: "conv1_2x"', ["test.prototxt", "conv1_2x"]),
        ("num_output: 16", "num_output: 20", ["test.prototxt", "detection_out", "8732 priors"]),
        ('type: "Softmax"', 'type: "Sofmax"', ["test.prototxt", "Sofmax", "Softmax"]),
        ("test_iter: 619", "test_iter: 618", ["solver.prototxt", "618", "leaves out"]),
        ("stepvalue: 80000", "stepvalue: 110000", ["solver.prototxt", "rise"]),
        (
            "ssd300_voc0712/test.prototxt",
            "ssd300_voc0712/tset.prototxt",
            ["solver.prototxt", "tset.prototxt' is not there"],
        ),
    ],
)
def test_check_refuses(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    old: str,
    new: str,
    words: list[str],
) -> None:
    shutil.copytree(ROOT / "prototxt/ssd300_voc0712", "prototxt/ssd300_voc0712")
    file = Path("prototxt/ssd300_voc0712") / words[0].rstrip(":")
    content = file.read_text()
    assert old in content
    file.write_text(content.replace(old, new, 1))
    status, _, err = run(monkeypatch, capsys, "check", str(file))
    assert status == 1
    assert len(err.splitlines()) == 1
    assert all(word in err for word in words), err


@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        (
            "test.prototxt",
            ("21\n    background_label_id: 0\n    ov", "20\n    background_label_id: 0\n    ov"),
            "the mean leaves out class 20; set num_classes: 21",
        ),
        ("solver.prototxt", ("test_iter: 619", "test_iter: 700"), "set test_iter: 619"),
        ("solver.prototxt", ('eval_type: "detection"', ""), 'set eval_type: "detection"'),
    ],
)
def test_check_warns_once_of_what_gives_a_wrong_score(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    file: str,
    change: tuple[str, str],
    words: str,
) -> None:
    shutil.copytree(ROOT / "prototxt/ssd300_voc0712", "prototxt/ssd300_voc0712")
    path = Path("prototxt/ssd300_voc0712", file)
    content = path.read_text()
    assert change[0] in content
    path.write_text(content.replace(*change))
    files = [str(path.with_name(name)) for name in ("test.prototxt", "solver.prototxt")]
    status, out, err = run(monkeypatch, capsys, "check", *files)
    assert status == 0
    assert "120,000 iterations" in out
    (line,) = err.splitlines()
    assert line.startswith(f"netgen: warning: {path}: ")
    assert words in line


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["build", "fsd300"], ["no detector 'fsd300'", "fssd300"]),
        (["build", "ssd300", "--dataset", "nowhere.json"], ["nowhere.json"]),
        (["summary", "nowhere.prototxt"], ["nowhere.prototxt"]),
        (["summary", "sdd300"], ["sdd300", "ssd300"]),
        (["check", "nowhere.prototxt"], ["nowhere.prototxt"]),
    ],
)
def test_bad_input_is_one_line(
    work: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    argv: list[str],
    words: list[str],
) -> None:
    one_line(monkeypatch, capsys, argv, words, status=1)
    assert not list(work.iterdir()), "nothing half-written"


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["biuld", "ssd300"], ["biuld", "did you mean 'build'"]),
        (["build", "ssd300", "--datset", "coco"], ["--datset", "did you mean '--dataset'"]),
        (["build", "ssd300", "--target", "sssd"], ["sssd", "did you mean 'ssd'"]),
        (["build", "ssd300", "--gpus", "0;1"], ["0;1"]),
        (["build", "ssd300", "--gpus", "0,0"], ["'0,0' should name each GPU once"]),
        (["build", "ssd300", "--iters", "0"], ["'0' is not a positive whole number"]),
        (["build", "ssd300", "--classes", "1"], ["at least 2, background included"]),
        (["check"], ["FILE"]),
        (["build"], ["ID", "netgen build --help"]),
        (["card"], ["ID", "netgen card --help"]),
        (["build", "ssd300", "--print", "weigths"], ["weigths", "did you mean 'weights'"]),
    ],
)
def test_wrong_usage_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    argv: list[str],
    words: list[str],
) -> None:
    one_line(monkeypatch, capsys, argv, words, status=2)


def one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    argv: list[str],
    words: list[str],
    *,
    status: int,
) -> None:
    """A command ends with this status and one line that has all these words."""
    ended, out, err = run(monkeypatch, capsys, *argv)
    assert (ended, out) == (status, "")
    assert len(err.splitlines()) == 1
    assert err.startswith("netgen: error: ")
    assert all(word in err for word in words), err


def test_a_folder_that_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("file").touch()
    status, _, err = run(monkeypatch, capsys, "build", "ssd300", "--out", "file")
    assert status == 1
    assert len(err.splitlines()) == 1
    assert "file" in err


@pytest.mark.parametrize("command", ["list", "build", "summary", "card", "diff", "check"])
def test_help_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert f"examples:\n  netgen {command}" in capsys.readouterr().out


def test_help_loads_no_zoo() -> None:
    """The command line imports neither protobuf nor the zoo: `--help` and Tab answer at once."""
    code = (
        "import sys, netgen.cli\n"
        "slow = ('google', 'netgen.zoo', 'caffe_ir.caffe_ir_pb2')\n"
        "sys.exit(any(module.startswith(slow) for module in sys.modules))\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
