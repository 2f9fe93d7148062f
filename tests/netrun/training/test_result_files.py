"""A result file that cannot be written: training goes on, an error follows the scores."""

from __future__ import annotations

from pathlib import Path

import pytest

from netrun.cli import main
from ssd_common import machine
from tests.held import held

# In TEST an image with a detection of class 1, beside an output that has a score.
NET = """name: "net"
layer { name: "d" type: "DummyData" top: "x" dummy_data_param { shape { dim: 2 dim: 2 }
  data_filler { type: "constant" value: 1 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y"
  inner_product_param { num_output: 1 weight_filler { type: "constant" value: 1 } } }
layer { name: "loss" type: "Reduction" bottom: "y" top: "loss" loss_weight: 1
  reduction_param { operation: SUMSQ } }
layer { name: "boxes" type: "DummyData" top: "loc" top: "conf" top: "priors" include { phase: TEST }
  dummy_data_param { shape { dim: 1 dim: 4 } shape { dim: 1 dim: 2 }
    shape { dim: 1 dim: 2 dim: 4 } data_filler { value: 0.5 } } }
layer { name: "out" type: "DetectionOutput" bottom: "loc" bottom: "conf" bottom: "priors"
  top: "found" include { phase: TEST } detection_output_param { num_classes: 2
    nms_param { nms_threshold: 0.5 } save_output_param { output_directory: "results"
      output_format: "VOC" label_map_file: "map.prototxt" name_size_file: "sizes.txt" } } }
layer { name: "silence" type: "Silence" bottom: "found" include { phase: TEST } }
"""
SOLVER = """net: "net.prototxt" base_lr: 0.01 lr_policy: "fixed" max_iter: 2 display: 1
test_iter: 1 test_interval: 1 snapshot_prefix: "snap/n" random_seed: 1 solver_mode: CPU"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.prototxt").write_text(NET)
    Path("solver.prototxt").write_text(SOLVER)
    Path("sizes.txt").write_text("a 10 10\n")


def train(label: str, capfd: pytest.CaptureFixture[str]) -> list[str]:
    """The log of a training run that tests three times."""
    Path("map.prototxt").write_text(f'item {{ name: "{label}" label: 1 }}')
    assert main(["train", "--solver", "solver.prototxt", "--threads", "1"]) == 0
    assert Path("snap/n_iter_2.solverstate").is_file()
    return capfd.readouterr().err.splitlines()


def test_a_class_with_a_slash(capfd: pytest.CaptureFixture[str]) -> None:
    assert not [line for line in train("car/truck", capfd) if line.startswith("E")]
    assert [path.name for path in Path("results").iterdir()] == ["car%2Ftruck.txt"]


def test_a_file_that_cannot_be_written(capfd: pytest.CaptureFixture[str]) -> None:
    lines = train("c" * 300, capfd)
    errors = [i for i, line in enumerate(lines) if line.startswith("E")]
    assert len(errors) == 3
    for i in errors:
        assert "Test net output #0: loss = " in lines[i - 1]
        assert lines[i].endswith("cannot write: File name too long: detections are not saved")
    assert not list(Path("results").iterdir())


def test_while_another_test_writes_there(capfd: pytest.CaptureFixture[str]) -> None:
    """Two tests leave the files of one of them, not some of each."""
    Path("results").mkdir()
    with held(Path("results"), "") as other:
        lines = train("cat", capfd)
    errors = [line for line in lines if line.startswith("E")]
    assert len(errors) == 3
    said = f"output_directory results: process {other.pid} is writing there"
    assert all(said in line for line in errors)
    assert [path.name for path in Path("results").iterdir()] == ["..lock"]


def test_what_a_killed_test_left_goes(capfd: pytest.CaptureFixture[str]) -> None:
    Path("results").mkdir()
    Path(f"results/.cat.txt.{machine.signature()}-9999.tmp").touch()
    train("cat", capfd)
    assert [path.name for path in Path("results").iterdir()] == ["cat.txt"]
